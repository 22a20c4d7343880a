package scenario

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/worker"
)

// stalled publishes changes of one field to all, in pairs: one beside some spokes that read nothing, and one without them. So what a machine does otherwise, which is more from
// one minute to the next than what is looked for, meets both alike.
func stalled(ctx context.Context, c Config) (_ any, err error) {
	w, err := newFleet(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	var without, beside []float64 // the p99 of each change, in milliseconds
	var n int
	change := func(of int) error {
		if n, err = w.stall(of); err != nil {
			return err
		}
		if of > 0 {
			w.say("%d spokes read nothing", n)
		}
		found, err := w.measureChanges(ctx, seed.BundleName(0), groupAll, 1)
		if err != nil {
			return err
		}
		p99 := measure.Milliseconds(measure.Percentile(found.samples, 0.99))
		if of > 0 {
			beside = append(beside, p99)
		} else {
			without = append(without, p99)
		}
		return nil
	}
	out := &report.Stalled{Spokes: w.started}
	for i := range w.Changes {
		first, second := 0, stalledOf
		if i%2 == 1 {
			first, second = second, first
		}
		for _, of := range []int{first, second} {
			if err := change(of); err != nil {
				return nil, err
			}
			out.Stalled = max(out.Stalled, n)
		}
	}
	out.P99, out.P99Without = measure.Median(beside), measure.Median(without)
	out.Ratio = measure.Ratio(out.P99, out.P99Without)
	return out, nil
}

// stall has one spoke in so many read nothing, at least one of each worker, and all others read; of 0, all do. It answers how many do not.
func (w *world) stall(of int) (int, error) {
	w.stalled = map[*worker.Worker]int{}
	for i, n := range w.running() {
		if of > 0 {
			w.stalled[w.workers[i]] = max(n/of, 1)
		}
	}
	var sum atomic.Int64
	err := w.each(func(of *worker.Worker, n int) error {
		some := w.stalled[of]
		sum.Add(int64(some))
		return of.Stall(worker.StallArgs{From: n - some, To: n})
	})
	return int(sum.Load()), err
}
