package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/floor"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// writeRows is how many rows are written to, in turn.
	writeRows = 10_000
	// writePadding makes a row 1 KiB on disk.
	writePadding = 940
)

// write measures the store in this process, as hub/api uses it, and then over the API.
func write(ctx context.Context, c Config) (_ any, err error) {
	out := &report.Write{Writers: c.Writers}
	dir := filepath.Join(c.Dir, "store")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := fillStore(ctx, db); err != nil {
		return nil, err
	}
	c.say("syncing, then writing, for %s each", c.Writing)
	// The disk's speed changes by the minute on a shared machine: it is measured before and after.
	before, err := floor.Syncs(dir, c.Writing/2)
	if err != nil {
		return nil, err
	}
	if out.SequentialWritesPerSecond, err = writeRate(ctx, db, 1, c.Writing); err != nil {
		return nil, err
	}
	after, err := floor.Syncs(dir, c.Writing/2)
	if err != nil {
		return nil, err
	}
	out.FdatasyncsPerSecond = (before + after) / 2
	out.SequentialRatio = measure.Ratio(out.SequentialWritesPerSecond, out.FdatasyncsPerSecond)
	if out.WritesPerSecond, err = writeRate(ctx, db, c.Writers, c.Writing); err != nil {
		return nil, err
	}
	c.say("%.0f writes a second by %d writers, %.0f by one, %.0f syncs of the disk", out.WritesPerSecond, c.Writers, out.SequentialWritesPerSecond, out.FdatasyncsPerSecond)
	if out.SyncsPerWrite, err = syncsPerWrite(ctx, c, db); err != nil {
		return nil, err
	}
	out.APIWritesPerSecond, err = apiWrites(ctx, c)
	return out, err
}

// row is one of 1 KiB on disk.
func row(i int64) *yardarmv1.Bundle {
	n := uint32(i % writeRows)
	return &yardarmv1.Bundle{
		Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprintf("bundle-%05d", n), Uid: fmt.Sprintf("%08x-uid", n*2654435761), Annotations: map[string]string{"a": strings.Repeat("x", writePadding)}},
		Spec:     &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "all"}}},
	}
}

// fillStore gives the file its size and the tree its depth.
func fillStore(ctx context.Context, db *store.Store) error {
	const some = 500
	for first := int64(0); first < writeRows; first += some {
		if _, err := db.Update(ctx, func(tx *store.Tx) error {
			for n := range int64(some) {
				if err := tx.PutBundle(row(first + n)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// writeRate answers how many rows a second writers write, each of which waits for each of its writes.
func writeRate(ctx context.Context, db *store.Store, writers int, during time.Duration) (perSecond float64, err error) {
	n, took, err := writeFor(ctx, db, writers, during)
	return float64(n) / took.Seconds(), err
}

func writeFor(ctx context.Context, db *store.Store, writers int, during time.Duration) (n int64, took time.Duration, err error) {
	var next atomic.Int64
	var group errgroup.Group
	began := time.Now()
	for range writers {
		group.Go(func() error {
			for time.Since(began) < during {
				r := row(next.Add(1) * 7)
				if _, err := db.Update(ctx, func(tx *store.Tx) error { return tx.PutBundle(r) }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return next.Load(), time.Since(began), err
}

// syncsPerWrite counts, from outside of this process, how many syncs one sequential write makes; 0 where nothing can count.
func syncsPerWrite(ctx context.Context, c Config, db *store.Store) (float64, error) {
	var writes int64
	syncs, err := measure.Syncs(ctx, c.Dir, os.Getpid(), func() (err error) {
		writes, _, err = writeFor(ctx, db, 1, min(c.Writing, time.Second))
		return err
	})
	if errors.Is(err, measure.ErrNoStrace) {
		c.say("syncs are not counted: %v", err)
		return 0, nil
	}
	return measure.Ratio(float64(syncs), float64(writes)), err
}

// apiWrites answers how many labels a second as many callers as writers change over gRPC and TLS, each of its own cluster.
func apiWrites(ctx context.Context, c Config) (perSecond float64, err error) {
	h, err := newHub(ctx, c)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	var group errgroup.Group
	for i := range c.Writers {
		group.Go(func() error {
			_, err := h.client.EnrollCluster(ctx, &hubv1.EnrollClusterRequest{Name: fmt.Sprintf("write-%d", i)})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	var n atomic.Int64
	began := time.Now()
	for i := range c.Writers {
		group.Go(func() error {
			for time.Since(began) < c.Writing {
				if _, err := h.client.LabelCluster(ctx, &hubv1.LabelClusterRequest{
					Name: fmt.Sprintf("write-%d", i), Set: map[string]string{"n": fmt.Sprint(n.Add(1))}, Overwrite: true,
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("write over the API: %w", err)
	}
	return float64(n.Load()) / time.Since(began).Seconds(), nil
}
