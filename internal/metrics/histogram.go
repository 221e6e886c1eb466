package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/tandemlb/tandem/proxy/stats"
)

// The classic buckets end with each power of two, in seconds, between these: 244 µs and
// 64 s. They are bounds of native buckets as well, and so both say the same.
const (
	leastClassic    = -12
	greatestClassic = 6
	perOctave       = 1 << stats.Schema
	lowestPower     = stats.NativeOffset / perOctave // that bucket 0 ends with
)

// distribution is a metric that has the classic and the native form of a histogram.
type distribution struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	counts stats.Distribution
}

// Desc implements prometheus.Metric.
func (d distribution) Desc() *prometheus.Desc { return d.desc }

// Write implements prometheus.Metric.
func (d distribution) Write(to *dto.Metric) error {
	h := &dto.Histogram{
		SampleCount: proto.Uint64(d.counts.Count()), SampleSum: proto.Float64(float64(d.counts.Sum) / 1e9),
		Schema: proto.Int32(stats.Schema), ZeroThreshold: proto.Float64(stats.ZeroThreshold), ZeroCount: proto.Uint64(d.counts.At(0)),
	}
	below, next := uint64(0), 0
	for power := leastClassic; power <= greatestClassic; power++ {
		last := (power - lowestPower) * perOctave
		for ; next <= last; next++ {
			below += d.counts.At(next)
		}
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: proto.Float64(stats.Bound(last)), CumulativeCount: proto.Uint64(below)})
	}
	h.PositiveSpan, h.PositiveDelta = spans(&d.counts)
	to.Label, to.Histogram = d.labels, h
	return nil
}

// spans returns the native buckets that are not empty, but for bucket 0: how many are left
// out before those that follow each other, and what each has beyond the one before.
func spans(d *stats.Distribution) (all []*dto.BucketSpan, deltas []int64) {
	var before uint64 // in the last bucket
	end := stats.NativeOffset + 1
	for i := 1; i < stats.Buckets; i++ {
		n := d.At(i)
		if n == 0 {
			continue
		}
		at := i + stats.NativeOffset
		// The offset of the first is counted from bucket 0 of Prometheus, which ends with
		// one second.
		switch {
		case len(all) == 0:
			all = append(all, &dto.BucketSpan{Offset: proto.Int32(int32(at)), Length: proto.Uint32(1)})
		case at > end:
			all = append(all, &dto.BucketSpan{Offset: proto.Int32(int32(at - end)), Length: proto.Uint32(1)})
		default:
			*all[len(all)-1].Length++
		}
		deltas = append(deltas, int64(n)-int64(before))
		before, end = n, at+1
	}
	return all, deltas
}
