package scenario

import (
	"context"
	"errors"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
)

// countFor is how long syncs are counted, which slows the hub: after its processor time is measured.
const countFor = 10 * time.Second

// idle watches a fleet in which nothing changes.
func idle(ctx context.Context, c Config) (_ any, err error) {
	w, err := newFleet(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := pause(ctx, beat); err != nil { // what the handshakes have left behind is collected, as for the floor
		return nil, err
	}
	before, err := w.cost()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	w.say("watching for %s", w.Idle)
	if err := pause(ctx, w.Idle); err != nil {
		return nil, err
	}
	after, err := w.cost()
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	syncs, err := measure.Syncs(ctx, w.Dir, w.hub.pid(), func() error { return pause(ctx, min(countFor, w.Idle)) })
	if err != nil {
		return nil, err
	}
	stats, err := w.stats()
	if err != nil {
		return nil, err
	}
	spent := after.since(before)
	if err := w.close(); err != nil { // the floor has the machine to itself
		return nil, err
	}
	bare, err := beatFloor(ctx, c, stats.Connected)
	if err != nil {
		return nil, err
	}
	return &report.Idle{
		Spokes: stats.Connected, Seconds: took.Seconds(), HubCPUPercent: 100 * spent.hub.Seconds() / took.Seconds(),
		FloorCPUPercent: bare, Fsyncs: syncs, GeneratorCPU: spent.generator.Seconds(),
	}, nil
}

// newFleet is a world whose spokes are all connected, run their bundles, and are at rest.
func newFleet(ctx context.Context, c Config) (_ *world, err error) {
	w, err := newWorld(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if _, err := w.enrol(ctx, w.Spokes); err != nil {
		return nil, err
	}
	if err := w.deploy(ctx); err != nil {
		return nil, err
	}
	if _, err := w.connect(c.Spokes); err != nil {
		return nil, err
	}
	for i := range w.Bundles {
		if _, err := w.awaitRevision(seed.BundleName(i), groupAll, 1); err != nil {
			return nil, err
		}
	}
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	// Presence and first reports go to disk a while later.
	return w, pause(ctx, flushed)
}

// flushed is longer than a hub takes to write observed state, and than a message that waits for it.
const flushed = 7 * time.Second
