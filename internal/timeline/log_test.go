package timeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
)

// at is an event of a node, some seconds after the beginning.
func at(node string, boot, seq uint64, seconds int) Event {
	return Event{Node: node, Boot: boot, Seq: seq, At: time.Unix(int64(1000+seconds), 0).UTC(), Kind: admin.RoleEvent, What: fmt.Sprintf("%s %d.%d", node, boot, seq)}
}

func mark(boot, seq uint64) Mark { return Mark{Boot: boot, Seq: seq} }

func whats(all []Event) []string {
	var texts []string
	for _, e := range all {
		texts = append(texts, e.What)
	}
	return texts
}

func TestMergedIsTheSameInWhateverOrderEventsCome(t *testing.T) {
	all := []Event{
		at("lb1", 1, 1, 0), at("lb1", 1, 2, 5), at("lb1", 2, 1, 7), at("lb1", 2, 2, 6), // its clock went back
		at("lb2", 9, 1, 5), at("lb2", 9, 2, 5), at("lb2", 9, 3, 8),
	}
	want := []string{"lb1 1.1", "lb1 1.2", "lb2 9.1", "lb2 9.2", "lb1 2.2", "lb1 2.1", "lb2 9.3"}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		shuffled := append(slices.Clone(all), all[:3]...) // some come twice
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		var l Log
		added := 0
		for _, e := range shuffled {
			if l.Add(e) {
				added++
			}
		}
		if got := whats(l.Merged(time.Time{}, 100)); !slices.Equal(got, want) || added != len(all) {
			t.Fatalf("seed %d: %d added, in the order %q, want %q", seed, added, got, want)
		}
	}
}

func TestLogAnswersWhatIsAsked(t *testing.T) {
	var l Log
	for i := range 5 {
		l.Add(at("lb1", 1, uint64(i+1), i))
	}
	l.Add(at("lb2", 1, 1, 3))
	for name, tc := range map[string]struct {
		got  []Event
		want []string
	}{
		"since":              {l.Merged(time.Unix(1003, 0), 100), []string{"lb1 1.4", "lb2 1.1", "lb1 1.5"}},
		"the newest":         {l.Merged(time.Time{}, 2), []string{"lb2 1.1", "lb1 1.5"}},
		"none":               {l.Merged(time.Time{}, 0), nil},
		"after":              {l.After("lb1", mark(1, 3), 100), []string{"lb1 1.4", "lb1 1.5"}},
		"the first after":    {l.After("lb1", Mark{}, 1), []string{"lb1 1.1"}},
		"after another boot": {l.After("lb1", mark(0, 99), 1), []string{"lb1 1.1"}},
		"after all":          {l.After("lb1", mark(1, 5), 100), nil},
		"of nobody":          {l.After("lb3", Mark{}, 100), nil},
	} {
		if diff := cmp.Diff(tc.want, whats(tc.got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if l.Newest("lb1") != mark(1, 5) || l.Newest("lb3") != (Mark{}) {
		t.Errorf("newest %v, %v", l.Newest("lb1"), l.Newest("lb3"))
	}
}

func TestEachNodeHasRoomOfItsOwn(t *testing.T) {
	var l Log
	l.Add(at("lb2", 1, 1, 0))
	for i := range maxPerNode + 5 {
		l.Add(at("lb1", 1, uint64(i+1), i))
	}
	if l.Len() != maxPerNode+1 || l.After("lb1", Mark{}, 1)[0].Seq != 6 {
		t.Errorf("%d events, of which lb1's oldest is %d", l.Len(), l.After("lb1", Mark{}, 1)[0].Seq)
	}
	if l.Add(at("lb1", 1, 2, 1)) {
		t.Error("one that had to go was taken again")
	}
}

func TestReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Node: "lb1", Boot: time.UnixMilli(7)})
		s.Add(Event{Kind: admin.ConfigEvent, What: "before"})
		ctx, cancel := context.WithCancel(t.Context())
		before, after := s.Follow(ctx, time.Time{}, 10)
		slow := s.Subscribe(ctx)
		s.Add(Event{At: time.Now(), Kind: admin.ConfigEvent, What: "after\nwards", Evidence: strings.Repeat("ü", maxEvidence)})
		e := <-after
		if len(before) != 1 || e.Node != "lb1" || e.Boot != 7 || e.Seq != 2 || e.What != "after wards" || valid(e) != nil {
			t.Errorf("before %+v, then %.200v", before, e)
		}
		t.Log("# who does not read is let go, and learns so by the end; the others get all")
		for i := range maxBehind + 10 {
			s.Add(Event{Kind: admin.ConfigEvent, What: fmt.Sprint(i)})
			<-after
		}
		read := 0
		for range slow {
			read++
		}
		if read != maxBehind {
			t.Errorf("the slow one got %d", read)
		}
		cancel()
		synctest.Wait()
		if _, ok := <-after; ok {
			t.Error("open after the end")
		}
	})
}
