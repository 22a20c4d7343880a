package main

import (
	"context"
	"errors"
	"fmt"
)

// Measure runs all phases, one after the other, and ends what it has started.
func Measure(ctx context.Context, c Config) (f *Figures, err error) {
	w, err := open(ctx, c)
	defer func() { err = errors.Join(err, w.close()) }()
	if err != nil {
		return nil, err
	}
	w.say("a hub, two clusters and their spokes are up")
	f = &Figures{}
	revision := 1
	for _, phase := range []struct {
		name string
		run  func() error
	}{
		{"apply", func() error { return w.measureApply(ctx, f) }},
		// A spoke that has applied as much as the other before memory is compared.
		{"restart", func() error { return w.with.restart(ctx) }},
		{"others", func() error { return w.makeOthers(ctx) }},
		{"first revision", func() error { return w.begin(ctx, revision) }},
		{"drift", func() error { return w.measureDrift(ctx, f, revision) }},
		{"churn", func() error { revision, err = w.churn(ctx, revision); return err }},
		{"idle", func() error { return w.measureIdle(ctx, f) }},
		{"no-op", func() error { return w.measureNoop(ctx, f) }},
	} {
		if err := phase.run(); err != nil {
			return nil, fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return f, nil
}

// begin makes the bundles, and publishes the first revision of each.
func (w *world) begin(ctx context.Context, revision int) error {
	for i := range w.Bundles {
		if err := w.makeBundle(ctx, bundleName(i), groupAll, namespace); err != nil {
			return err
		}
	}
	if err := w.publishAll(ctx, revision); err != nil {
		return err
	}
	w.say("%d objects are ready in both clusters", w.Bundles*w.PerBundle)
	return nil
}
