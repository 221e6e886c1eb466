package route_test

import (
	"fmt"
	"net/netip"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/route"
)

func Example() {
	table, err := route.New([]proxy.Route{
		{
			Match:   proxy.Match{Paths: []proxy.PathMatch{{Kind: proxy.PathPrefix, Value: "/api"}}},
			Split:   []proxy.Share{{Pool: "api", Weight: 95}, {Pool: "canary", Weight: 5}},
			Rewrite: proxy.Rewrite{Prefix: "/v2", Replace: true},
		},
		{Redirect: &proxy.Redirect{To: "https://www.example.com{uri}", Status: 301}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := netip.MustParseAddr("192.0.2.1")

	r := get("example.com/%61pi/users?page=2")
	i, _ := table.Match(r, client)
	fmt.Printf("route %d, share %d, %s\n", i, table.Share(i, 1<<63), table.AppendTarget(nil, i, r))

	r = get("example.com/apis?page=2")
	i, _ = table.Match(r, client)
	location, _ := route.AppendLocation(nil, &proxy.Redirect{To: "https://www.example.com{uri}"}, r)
	fmt.Printf("route %d, %s\n", i, location)

	// Output:
	// route 0, share 0, /v2/users?page=2
	// route 1, https://www.example.com/apis?page=2
}
