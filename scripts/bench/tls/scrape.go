package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// metricsAddress is where the metrics are that Tandem shows to everybody.
const metricsAddress = "127.0.0.1:19404"

// The systems whose metrics are scraped.
const (
	metered       = "tandem+metrics"
	meteredLogged = "tandem+both"
)

// scraped reads the metrics at address each second, as something that watches would, until
// end is called.
func scraped(ctx context.Context, address string) (end func(), err error) {
	if err := scrape(ctx, address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var scraping sync.WaitGroup
	scraping.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = scrape(ctx, address) // the first one was answered
			}
		}
	})
	return func() { cancel(); scraping.Wait() }, nil
}

func scrape(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("read the metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("read the metrics: %s", resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
