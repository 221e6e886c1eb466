// Package report tells what a run of chaos came to: in words and figures, and as a
// picture. It is pure.
package report

import (
	"time"

	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// bucket is the resolution of what the clients saw.
const bucket = 100 * time.Millisecond

// A Record is what happened in a run.
type Record struct {
	Plan       plan.Plan
	Lasted     time.Duration
	Realtime   bool // the observers ran in real time
	Violations []judge.Violation
	Excused    []judge.Violation // put down to the machine, which was late
	Figures    judge.Figures

	holds   [2][]span // by node: when it had the address
	roles   [2][]span
	clients map[string][]tally // by class and bucket
	worst   map[string]*outage
}

// span is a time in which something was so.
type span struct {
	from, to time.Duration
	what     string
}

// tally counts requests that were sent in a bucket.
type tally struct{ answered, failed int }

// outage finds the longest time without an answer of a class.
type outage struct{ last, longest, at time.Duration }

// New returns an empty record.
func New(p plan.Plan) *Record {
	return &Record{Plan: p, clients: map[string][]tally{}, worst: map[string]*outage{}}
}

// Add takes the next event.
func (r *Record) Add(e judge.Event) {
	switch e.What {
	case judge.Sample:
		for i, has := range e.Holds {
			what := ""
			if has {
				what = "holds"
			}
			r.holds[i] = extend(r.holds[i], e.At, what)
		}
	case judge.State:
		if e.Node >= 0 && e.Node < len(r.roles) {
			r.roles[e.Node] = extend(r.roles[e.Node], e.At, roleOf(e.Status))
		}
	case judge.Outcome:
		r.outcome(e)
	}
}

func roleOf(s judge.Status) string {
	if !s.Ready {
		return "unfit"
	}
	return s.Role
}

// silent is how long a node may say nothing for its role not to be known any more.
const silent = 500 * time.Millisecond

// extend adds what is so at a time to the spans.
func extend(spans []span, at time.Duration, what string) []span {
	if n := len(spans); n > 0 {
		last := &spans[n-1]
		if last.what == what && at-last.to <= silent {
			last.to = at
			return spans
		}
		if at-last.to <= silent {
			last.to = at
		}
	}
	return append(spans, span{at, at, what})
}

func (r *Record) outcome(e judge.Event) {
	buckets, at := r.clients[e.Text], int(max(0, e.At-e.Span)/bucket)
	for len(buckets) <= at {
		buckets = append(buckets, tally{})
	}
	b := &buckets[at]
	o := r.worst[e.Text]
	if o == nil {
		o = &outage{last: e.At}
		r.worst[e.Text] = o
	}
	if e.OK {
		b.answered++
		if gap := e.At - o.last; gap > o.longest {
			o.longest, o.at = gap, o.last
		}
		o.last = e.At
	} else {
		b.failed++
	}
	r.clients[e.Text] = buckets
}
