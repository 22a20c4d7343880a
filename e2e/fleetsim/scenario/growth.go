package scenario

import (
	"context"
	"errors"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
)

const (
	// growthSteps is how many sizes are measured, each twice the one before.
	growthSteps = 5
	// growthChanges is how many changes of all, and of ten, are made at each size, unless fewer are asked for.
	growthChanges = 5
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
	var tens []float64
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
		memory, err := w.hub.memory()
		if err != nil {
			return nil, err
		}
		out.Sizes = append(out.Sizes, size)
		out.Memory = append(out.Memory, memory.Resident-alone.Resident)
		out.ChangeCPU = append(out.ChangeCPU, all.cost.hub.Seconds())
		out.TenCPU = append(out.TenCPU, few.cost.hub.Seconds())
		sizes, memories = append(sizes, float64(size)), append(memories, float64(memory.Resident-alone.Resident))
		tens = append(tens, few.cost.hub.Seconds())
		w.say("%d spokes: %d bytes of memory, a change of all %s of CPU, a change of ten %s", size, memory.Resident-alone.Resident, short(all.cost.hub), short(few.cost.hub))
	}
	out.MemoryExponent = measure.Exponent(sizes, memories)
	out.ChangeExponent = measure.Exponent(sizes, out.ChangeCPU)
	out.TenOfManyRatio = measure.Ratio(tens[len(tens)-1], tens[0])
	return out, nil
}

// growthSizes are the sizes up to n, each twice the one before, the smallest at least ten.
func growthSizes(n int) []int {
	sizes := []int{n}
	for len(sizes) < growthSteps && sizes[0]/2 >= tens {
		sizes = append([]int{sizes[0] / 2}, sizes...)
	}
	return sizes
}
