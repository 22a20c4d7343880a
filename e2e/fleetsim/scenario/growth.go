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

// growth measures memory and the cost of a change at sizes that double up to the whole fleet, and what a change of ten
// clusters costs among a hundred and among all.
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
	// What enrolling has left, and what connecting and changes will have, is given back before memory is looked at.
	rest := min(givenBack, c.Idle)
	if err := pause(ctx, rest); err != nil {
		return nil, err
	}
	alone, err := w.hub.memory()
	if err != nil {
		return nil, err
	}
	out := &report.Growth{Few: min(growthFew, c.Spokes)}
	if _, err := w.connect(out.Few); err != nil {
		return nil, err
	}
	if out.TenOfFewCPU, _, err = w.ten(ctx, rest); err != nil {
		return nil, err
	}
	var sizes, memories []float64
	for _, size := range growthSizes(c.Spokes) {
		if _, err := w.connect(size); err != nil {
			return nil, err
		}
		all, err := w.measureChanges(ctx, seed.BundleName(0), groupAll, min(growthChanges, c.Changes))
		if err != nil {
			return nil, err
		}
		ten, idle, err := w.ten(ctx, rest)
		if err != nil {
			return nil, err
		}
		memory, err := w.hub.memory()
		if err != nil {
			return nil, err
		}
		grown, cpu := memory.Resident-alone.Resident, measure.Mean(all.without(idle))
		out.Sizes, out.Memory = append(out.Sizes, size), append(out.Memory, grown)
		out.ChangeCPU, out.TenCPU, out.IdleCPU = append(out.ChangeCPU, cpu), append(out.TenCPU, ten), append(out.IdleCPU, idle)
		sizes, memories = append(sizes, float64(size)), append(memories, float64(grown))
		w.say("%d spokes: %d bytes of memory, a change of all %.3f s of CPU, a change of ten %.4f s, and %.3f s in each second for no change", size, grown, cpu, ten, idle)
	}
	out.MemoryExponent = measure.Exponent(sizes, memories)
	out.ChangeExponent = measure.Exponent(sizes, out.ChangeCPU)
	out.TenOfManyRatio = measure.Ratio(out.TenCPU[len(out.TenCPU)-1], out.TenOfFewCPU)
	return out, nil
}

// ten answers what a change of ten clusters costs the hub among those that are connected, and what it takes in each second while nothing changes, for which it rests
// as long as it is told: the medians, since a collection that falls into one of either is a hundred times as much as a change of ten.
func (w *world) ten(ctx context.Context, rest time.Duration) (cpu, idle float64, err error) {
	few, err := w.measureChanges(ctx, tenBundle, groupTen, min(growthTens, w.Changes))
	if err != nil {
		return 0, 0, err
	}
	if err := pause(ctx, rest); err != nil {
		return 0, 0, err
	}
	if idle, err = w.idleCPU(ctx, rest); err != nil {
		return 0, 0, err
	}
	return max(measure.Median(few.without(idle)), 0), idle, nil
}

// idleCPU answers how many seconds of processor time the hub takes in each second while nothing changes, the median of those that are watched.
func (w *world) idleCPU(ctx context.Context, d time.Duration) (float64, error) {
	var seconds []float64
	for range max(d/time.Second, 1) {
		began := time.Now()
		before, err := w.hub.cpu()
		if err != nil {
			return 0, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return 0, err
		}
		after, err := w.hub.cpu()
		if err != nil {
			return 0, err
		}
		seconds = append(seconds, (after-before).Seconds()/time.Since(began).Seconds())
	}
	return measure.Median(seconds), nil
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
