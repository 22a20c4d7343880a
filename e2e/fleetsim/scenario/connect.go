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
	enrolled, err := w.enrol(ctx, w.Spokes)
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
	spent := after.since(before)
	figures := &report.Connect{
		Spokes: stats.Connected, Drops: stats.Drops, HeldSeconds: heldFor.Seconds(),
		EnrolmentsPerSecond: float64(c.Spokes) / enrolled.Seconds(), HandshakesPerSecond: float64(c.Spokes) / (took + rest).Seconds(),
		HubRSSPerSpoke: (memory.Resident - empty.Resident) / int64(c.Spokes), RSSSlope: (memory.Resident - between.Resident) / int64(max(c.Spokes-half, 1)),
		GeneratorCPU: spent.generator.Seconds(), HubCPU: spent.hub.Seconds(), DropsBeforeHold: settled.Drops,
	}
	c.say("hub: %d of %d spokes are connected, %d drops, %d bytes of memory a spoke", figures.Spokes, c.Spokes, figures.Drops, figures.HubRSSPerSpoke)
	bare, err := echoFloor(ctx, c, c.Spokes, 200, 200, c.Changes)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		c.say("the floor broke: %v", err)
	}
	besideFloor(figures, bare, err)
	return figures, nil
}

// besideFloor puts figures of a hub beside the floor, or says why there is none: what was measured of the hub is not lost for that.
func besideFloor(f *report.Connect, bare echo, err error) {
	if err != nil {
		f.FloorBroke = err.Error()
		return
	}
	f.BareRSSPerSpoke, f.BareRSSSlope = bare.memory, bare.slope
	f.RSSRatioToBare = measure.Ratio(float64(f.HubRSSPerSpoke), float64(bare.memory))
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
