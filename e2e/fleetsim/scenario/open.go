package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
)

// open writes a large database as a hub would have left it, with observed state of every bundle in every cluster, drops the
// kernel's copy of it, and starts a hub on it.
func open(ctx context.Context, c Config) (_ any, err error) {
	if c.Given != nil {
		return nil, errGiven
	}
	own, err := fleet.NewHub(fleet.HubConfig{Programs: c.Programs, Dir: filepath.Join(c.Dir, "hub"), Flags: oneCaller})
	if err != nil {
		return nil, err
	}
	h := &hub{own: own}
	// The first start makes what only a hub can make: its key and its CA.
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := own.Stop(); err != nil {
		return nil, err
	}
	began := time.Now()
	size, err := seed.Hub(ctx, own.DataDir(), seed.Fleet{Clusters: c.Clusters, Bundles: c.ClusterBundles})
	if err != nil {
		return nil, fmt.Errorf("write the database: %w", err)
	}
	seeded := time.Since(began)
	c.say("wrote a database of %d MB in %s", size>>20, short(seeded))
	began = time.Now()
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	took := time.Since(began)
	memory, err := h.memory()
	if err != nil {
		return nil, err
	}
	return &report.Open{Clusters: c.Clusters, Bundles: c.ClusterBundles, Seconds: took.Seconds(), RSS: memory.Resident, Peak: memory.Peak, DatabaseBytes: size, SeedSeconds: seeded.Seconds()}, nil
}
