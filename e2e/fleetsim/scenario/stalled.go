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

// stalled publishes changes of one field to all, and again after some spokes have stopped reading: what that does to the others.
func stalled(ctx context.Context, c Config) (_ any, err error) {
	w, err := newFleet(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	without, err := w.measureChanges(ctx, seed.BundleName(0), groupAll, w.Changes)
	if err != nil {
		return nil, err
	}
	n, err := w.stall()
	if err != nil {
		return nil, err
	}
	w.say("%d spokes read nothing any more", n)
	beside, err := w.measureChanges(ctx, seed.BundleName(0), groupAll, w.Changes)
	if err != nil {
		return nil, err
	}
	before, after := measure.Percentile(without.samples, 0.99), measure.Percentile(beside.samples, 0.99)
	return &report.Stalled{
		Spokes: w.started, Stalled: n, P99: measure.Milliseconds(after), P99Without: measure.Milliseconds(before),
		Ratio: measure.Ratio(float64(after), float64(before)),
	}, nil
}

// stall has one spoke in stalledOf read nothing any more, at least one of each worker, and answers how many.
func (w *world) stall() (int, error) {
	w.stalled = map[*worker.Worker]int{}
	for i, n := range w.running() {
		w.stalled[w.workers[i]] = max(n/stalledOf, 1)
	}
	var sum atomic.Int64
	err := w.each(func(of *worker.Worker, n int) error {
		some := w.stalled[of]
		sum.Add(int64(some))
		return of.Stall(worker.StallArgs{From: n - some, To: n})
	})
	return int(sum.Load()), err
}
