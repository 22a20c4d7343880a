package scenario

import (
	"context"
	"errors"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
)

// givenBack is longer than a hub that is quiet takes to give back what a wave has left.
const givenBack = 30 * time.Second

// connect has all spokes connect, run five bundles, see twenty changes and stay, and compares the hub's memory with that of a
// bare server with as many streams and messages.
func connect(ctx context.Context, c Config) (_ any, err error) {
	w, err := newWorld(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	empty, err := w.hub.memory()
	if err != nil {
		return nil, err
	}
	enrolled, err := w.enrol(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.deploy(ctx); err != nil {
		return nil, err
	}
	before, err := w.cost()
	if err != nil {
		return nil, err
	}
	half := max(w.Spokes/2, 1)
	took, err := w.connect(half)
	if err != nil {
		return nil, err
	}
	if err := w.churn(ctx); err != nil {
		return nil, err
	}
	if err := pause(ctx, min(w.Hold, givenBack)); err != nil {
		return nil, err
	}
	between, err := w.hub.memory()
	if err != nil {
		return nil, err
	}
	rest, err := w.connect(w.Spokes)
	if err != nil {
		return nil, err
	}
	if err := w.churn(ctx); err != nil {
		return nil, err
	}
	settled, err := w.stats()
	if err != nil {
		return nil, err
	}
	w.say("%d changes made; holding for %s", w.Changes, w.Hold)
	held := time.Now()
	if err := pause(ctx, w.Hold); err != nil {
		return nil, err
	}
	stats, err := w.stats()
	if err != nil {
		return nil, err
	}
	memory, err := w.hub.memory()
	if err != nil {
		return nil, err
	}
	after, err := w.cost()
	if err != nil {
		return nil, err
	}
	heldFor := time.Since(held)
	if err := w.close(); err != nil {
		return nil, err
	}
	bare, err := echoFloor(ctx, c, c.Spokes, 200, 200, c.Changes)
	if err != nil {
		return nil, err
	}
	spent := after.since(before)
	per := (memory.Resident - empty.Resident) / int64(c.Spokes)
	return &report.Connect{
		Spokes: stats.Connected, Drops: stats.Drops, HeldSeconds: heldFor.Seconds(),
		EnrolmentsPerSecond: float64(c.Spokes) / enrolled.Seconds(), HandshakesPerSecond: float64(c.Spokes) / (took + rest).Seconds(),
		HubRSSPerSpoke: per, BareRSSPerSpoke: bare.memory, RSSRatioToBare: measure.Ratio(float64(per), float64(bare.memory)),
		RSSSlope: (memory.Resident - between.Resident) / int64(max(c.Spokes-half, 1)), BareRSSSlope: bare.slope,
		GeneratorCPU: spent.generator.Seconds(), HubCPU: spent.hub.Seconds(), DropsBeforeHold: settled.Drops,
	}, nil
}

// churn makes the changes that a fleet is to have seen, and waits until it is at rest.
func (w *world) churn(ctx context.Context) error {
	for i := range w.Changes {
		if err := w.change(ctx, seed.BundleName(i%w.Bundles), groupAll); err != nil {
			return err
		}
	}
	return w.settle(ctx)
}
