package drive

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// joinable is a store whose bundles have come to the end of their rollouts in all clusters with the label, and the driver of those.
type joinable struct {
	b      *testing.B
	store  *store.Store
	driver *Driver
	now    time.Duration
}

const (
	fleetClusters = 10_000
	fleetBundles  = 10
)

func newJoinable(b *testing.B, newcomers int) *joinable {
	f := &joinable{b: b, now: time.Hour}
	var err error
	if f.store, err = store.Open(store.Config{Dir: b.TempDir()}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.store.Close() })
	f.update(func(tx *store.Tx) error {
		err := tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "in"},
			Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"in": "yes"}}}})
		for i := range fleetClusters + newcomers {
			c := &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: clusterName(i), Uid: clusterName(i)}}
			if i < fleetClusters {
				c.Metadata.Labels = map[string]string{"in": "yes"}
			}
			err = errors.Join(err, tx.PutCluster(c), tx.PutPresence(&store.Presence{ClusterUID: clusterName(i), State: yardarmv1.PresenceConnected, Confirmed: true}))
		}
		return err
	})
	f.update(func(tx *store.Tx) (err error) {
		for i := range fleetBundles {
			uid := fmt.Sprint("b", i)
			err = errors.Join(err,
				tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: uid + "-1"}, Spec: &yardarmv1.RevisionSpec{BundleUid: uid, Bundle: uid, Number: 1, Digest: "sha256:1"}}),
				tx.PutBundle(&yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid}, Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "in"}}},
					Status: &yardarmv1.BundleStatus{Revision: 1, LatestRevision: 1}}))
		}
		return err
	})
	f.update(func(tx *store.Tx) (err error) { // after the bundles, whose clusters would be new to them otherwise
		for i := range fleetBundles {
			err = errors.Join(err,
				tx.PutRollout(&storev1.Rollout{BundleUid: fmt.Sprint("b", i), Revision: 1, Settled: 1, Phase: uint32(rollout.Completed), Strategy: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{}}},
					Stages: []*storev1.RolloutStage{{Name: "all", Done: fleetClusters, Concurrency: fleetClusters / 4, Budget: fleetClusters / 50}}}))
		}
		return err
	})
	if f.driver, err = New(Config{Store: f.store, Logger: slog.New(slog.DiscardHandler), Elapsed: func() time.Duration { return f.now }}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(f.driver.Close)
	f.step()
	return f
}

func clusterName(i int) string { return fmt.Sprintf("c%05d", i) }

func (f *joinable) update(fn func(*store.Tx) error) {
	f.b.Helper()
	if _, err := f.store.Update(f.b.Context(), fn); err != nil {
		f.b.Fatal(err)
	}
}

func (f *joinable) step() {
	f.b.Helper()
	f.now += time.Second
	if _, err := f.driver.Step(f.b.Context()); err != nil {
		f.b.Fatal(err)
	}
}

// label gives clusters the label by which bundles are for them, or takes it, in one transaction.
func (f *joinable) label(from, to int, in bool) {
	f.update(func(tx *store.Tx) error {
		for i := from; i < to; i++ {
			c := proto.CloneOf(tx.Cluster(clusterName(i)))
			if c.Metadata.Labels = nil; in {
				c.Metadata.Labels = map[string]string{"in": "yes"}
			}
			if err := tx.PutCluster(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// ready has clusters report so of all that they are to run, and tells of how many bundles they do.
func (f *joinable) ready(from, to int) (reports int) {
	if err := f.store.Observe(f.b.Context(), func(tx *store.Tx) error {
		reports = 0
		for n := range fleetBundles {
			b := tx.Bundle(fmt.Sprint("b", n))
			assigner := placement.NewAssigner(tx, b, 1)
			for i := from; i < to; i++ {
				uid := clusterName(i)
				if placement.RevisionFor(tx, uid, b) == 0 {
					continue
				}
				reports++
				if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Report: &yardarmv1.Report{Bundle: b.Metadata.Name, BundleUid: b.Metadata.Uid,
					AssignmentHash: assigner.Assign(tx, tx.Cluster(uid)).Hash, Revision: 1, Phase: yardarmv1.PhaseReady}}); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		f.b.Fatal(err)
	}
	return reports
}

// BenchmarkJoins has clusters join ten bundles of ten thousand at once: what it costs each of a hundred and of a thousand, with each bundle, until they have their
// turns, and until that is known that they are ready. That both cost each about the same says that nothing is quadratic.
func BenchmarkJoins(b *testing.B) {
	for _, newcomers := range []int{100, 1000} {
		b.Run(fmt.Sprint(newcomers), func(b *testing.B) { benchmarkJoins(b, newcomers) })
	}
}

func benchmarkJoins(b *testing.B, newcomers int) {
	f := newJoinable(b, newcomers)
	var label, turn, done time.Duration
	timed := func(d *time.Duration, do func()) {
		began := time.Now()
		do()
		*d += time.Since(began)
	}
	for b.Loop() {
		timed(&label, func() { f.label(fleetClusters, fleetClusters+newcomers, true) })
		timed(&turn, f.step)
		b.StopTimer()
		if n := f.ready(fleetClusters, fleetClusters+newcomers); n != newcomers*fleetBundles {
			b.Fatalf("%d have their turns, want %d", n, newcomers*fleetBundles)
		}
		b.StartTimer()
		timed(&done, f.step)
		b.StopTimer()
		for i := range fleetBundles {
			if row := f.store.Read().Rollout(fmt.Sprint("b", i)); row.Chunks != 0 || row.Stages[0].Done != uint32(fleetClusters+newcomers) {
				b.Fatalf("it does not come to its end: %v", row)
			}
		}
		f.label(fleetClusters, fleetClusters+newcomers, false)
		f.step()
		b.StartTimer()
	}
	for unit, d := range map[string]time.Duration{"us-to-label": label, "us-to-turn": turn, "us-to-done": done} {
		b.ReportMetric(float64(d.Microseconds())/float64(b.N*newcomers*fleetBundles), unit)
	}
}
