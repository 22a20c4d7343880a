package scenario

import (
	"context"
	"errors"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
)

const (
	// growthSteps is how many sizes are measured, each twice the one before.
	growthSteps = 5
	// growthChanges is how many changes of all, and of ten, are made at each size, unless fewer are asked for.
	growthChanges = 5
	// growthIdle is for how long nothing changes, at each size, to measure what the hub takes for its connections alone: for their heartbeats, most of all.
	growthIdle = 10 * time.Second
	// tenBundle is what only ten clusters run.
	tenBundle = "app-ten"
)

// growth measures memory and the cost of a change at sizes that double up to the whole fleet, and what a change of ten
// clusters costs among the fewest and among all.
func growth(ctx context.Context, c Config) (_ any, err error) {
	w, err := newWorld(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if _, err := w.enrol(ctx); err != nil {
		return nil, err
	}
	if err := w.deploy(ctx); err != nil {
		return nil, err
	}
	alone, err := w.hub.memory()
	if err != nil {
		return nil, err
	}
	out := &report.Growth{}
	var sizes, memories []float64
	changes := min(growthChanges, c.Changes)
	for _, size := range growthSizes(c.Spokes) {
		if _, err := w.connect(size); err != nil {
			return nil, err
		}
		if err := w.settle(ctx); err != nil {
			return nil, err
		}
		all, err := w.measureChanges(ctx, seed.BundleName(0), groupAll, changes)
		if err != nil {
			return nil, err
		}
		few, err := w.measureChanges(ctx, tenBundle, groupTen, changes)
		if err != nil {
			return nil, err
		}
		idle, err := w.idleCPU(ctx, min(growthIdle, c.Idle))
		if err != nil {
			return nil, err
		}
		memory, err := w.hub.memory()
		if err != nil {
			return nil, err
		}
		allCPU, tenCPU := all.without(idle), few.without(idle)
		out.Sizes = append(out.Sizes, size)
		out.Memory = append(out.Memory, memory.Resident-alone.Resident)
		out.ChangeCPU, out.TenCPU, out.IdleCPU = append(out.ChangeCPU, allCPU), append(out.TenCPU, tenCPU), append(out.IdleCPU, idle)
		sizes, memories = append(sizes, float64(size)), append(memories, float64(memory.Resident-alone.Resident))
		w.say("%d spokes: %d bytes of memory, a change of all %.3f s of CPU, a change of ten %.3f s, and %.3f s in each second for no change", size, memory.Resident-alone.Resident, allCPU, tenCPU, idle)
	}
	out.MemoryExponent = measure.Exponent(sizes, memories)
	out.ChangeExponent = measure.Exponent(sizes, out.ChangeCPU)
	out.TenOfManyRatio = measure.Ratio(out.TenCPU[len(out.TenCPU)-1], out.TenCPU[0])
	return out, nil
}

// idleCPU answers how many seconds of processor time the hub takes in each second while nothing changes.
func (w *world) idleCPU(ctx context.Context, d time.Duration) (float64, error) {
	began := time.Now()
	before, err := w.hub.cpu()
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, d); err != nil {
		return 0, err
	}
	after, err := w.hub.cpu()
	return (after - before).Seconds() / time.Since(began).Seconds(), err
}

// without answers the hub's processor time for one change, less what it would have taken meanwhile had nothing changed: a fleet's heartbeats go on while a change
// is awaited, and while it is waited for that nothing follows it.
func (c changes) without(idle float64) float64 {
	return max(c.cost.hub.Seconds()-idle*c.took.Seconds(), 0)
}

// growthSizes are the sizes up to n, each twice the one before, the smallest at least ten.
func growthSizes(n int) []int {
	sizes := []int{n}
	for len(sizes) < growthSteps && sizes[0]/2 >= tens {
		sizes = append([]int{sizes[0] / 2}, sizes...)
	}
	return sizes
}
