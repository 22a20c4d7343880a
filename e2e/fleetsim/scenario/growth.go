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
	// growthChanges is how many changes of all are made at each size, and growthTens how many of ten, unless fewer are asked for: those cost so little that one alone tells nothing.
	growthChanges, growthTens = 5, 20
	// growthFew is the fleet in which a change of ten is as cheap as it can be.
	growthFew = 100
	// tenBundle is what only ten clusters run.
	tenBundle = "app-ten"
)

// growth measures memory and the cost of a change as a fleet grows by doubling, and what a change of ten
// clusters costs among a hundred and among all.
func growth(ctx context.Context, c Config) (_ any, err error) {
	w, err := newWorld(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.deploy(ctx); err != nil {
		return nil, err
	}
	// What connecting and changes leave is given back before memory is looked at.
	rest := min(givenBack, c.Idle)
	if err := pause(ctx, rest); err != nil {
		return nil, err
	}
	alone, err := w.hub.memory()
	if err != nil {
		return nil, err
	}
	all := growthSizes(c.Spokes)
	out := &report.Growth{Few: min(growthFew, all[0])}
	if err := w.grow(ctx, out.Few); err != nil {
		return nil, err
	}
	if out.TenOfFewCPU, err = w.ten(ctx); err != nil {
		return nil, err
	}
	var sizes, memories []float64
	for _, size := range all {
		if err := w.grow(ctx, size); err != nil {
			return nil, err
		}
		found, err := w.measureChanges(ctx, seed.BundleName(0), groupAll, min(growthChanges, c.Changes))
		if err != nil {
			return nil, err
		}
		ten, err := w.ten(ctx)
		if err != nil {
			return nil, err
		}
		if err := pause(ctx, rest); err != nil {
			return nil, err
		}
		idle, err := w.idleCPU(ctx, rest)
		if err != nil {
			return nil, err
		}
		memory, err := w.hub.memory()
		if err != nil {
			return nil, err
		}
		grown, cpu := memory.Resident-alone.Resident, measure.Mean(found.without(idle))
		out.Sizes, out.Memory = append(out.Sizes, size), append(out.Memory, grown)
		out.SpokesCPU = append(out.SpokesCPU, found.cost().generator.Seconds())
		out.ChangeCPU, out.TenCPU, out.IdleCPU = append(out.ChangeCPU, cpu), append(out.TenCPU, ten), append(out.IdleCPU, idle)
		sizes, memories = append(sizes, float64(size)), append(memories, float64(grown))
		w.say("%d spokes: %d bytes of memory, a change of all %.3f s of CPU, a change of ten %.4f s, and %.3f s in each second for no change", size, grown, cpu, ten, idle)
	}
	out.MemoryExponent = measure.Exponent(sizes, memories)
	out.ChangeExponent, out.SpokesExponent = measure.Exponent(sizes, out.ChangeCPU), measure.Exponent(sizes, out.SpokesCPU)
	out.TenOfManyRatio = measure.Ratio(out.TenCPU[len(out.TenCPU)-1], out.TenOfFewCPU)
	return out, nil
}

// grow enrols and connects spokes until there are n.
func (w *world) grow(ctx context.Context, n int) error {
	if _, err := w.enrol(ctx, n); err != nil {
		return err
	}
	_, err := w.connect(n)
	return err
}

// ten answers what a change of ten clusters costs the hub among those that are connected: the median of several, each less what the hub takes just before and after it for
// none. For a collection that falls into one is a hundred times as much, and so may heartbeats be, which come together where spokes have had a change together.
func (w *world) ten(ctx context.Context) (float64, error) {
	var each []float64
	before, err := w.idleSecond(ctx)
	if err != nil {
		return 0, err
	}
	for range min(growthTens, w.Changes) {
		found, err := w.measureChanges(ctx, tenBundle, groupTen, 1)
		if err != nil {
			return 0, err
		}
		after, err := w.idleSecond(ctx)
		if err != nil {
			return 0, err
		}
		each = append(each, found.without((before+after)/2)...)
		before = after
	}
	return max(measure.Median(each), 0), nil
}

// idleCPU answers how many seconds of processor time the hub takes in each second while nothing changes.
func (w *world) idleCPU(ctx context.Context, d time.Duration) (float64, error) {
	var seconds []float64
	for range max(d/time.Second, 1) {
		second, err := w.idleSecond(ctx)
		if err != nil {
			return 0, err
		}
		seconds = append(seconds, second)
	}
	return measure.Mean(seconds), nil
}

// idleSecond answers the same of one second.
func (w *world) idleSecond(ctx context.Context) (float64, error) {
	began := time.Now()
	before, err := w.hub.cpu()
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, time.Second); err != nil {
		return 0, err
	}
	after, err := w.hub.cpu()
	return (after - before).Seconds() / time.Since(began).Seconds(), err
}

// without answers the hub's processor time for each change, less what it would have taken meanwhile had nothing changed: a fleet's heartbeats go on while a change
// is awaited, and while it is waited for that nothing follows it.
func (c changes) without(idle float64) []float64 {
	each := make([]float64, len(c.each))
	for i, one := range c.each {
		each[i] = one.hub.Seconds() - idle*one.took.Seconds()
	}
	return each
}

// growthSizes are the sizes up to n, each twice the one before, the smallest at least ten.
func growthSizes(n int) []int {
	sizes := []int{n}
	for len(sizes) < growthSteps && sizes[0]/2 >= tens {
		sizes = append([]int{sizes[0] / 2}, sizes...)
	}
	return sizes
}
