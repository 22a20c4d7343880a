package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/artifact"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout/drive"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// plannedReports is how many reports are timed, one after the other.
const plannedReports = 200

// inThree is a strategy of three stages, no soak and no approval.
var inThree = &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Name: "canary", Clusters: 1}, {Name: "early", Percent: 10}, {Name: "rest"}}}

// rollout has changes go through a fleet in three stages; and, over databases of many clusters and bundles, times what one report costs the driver, and what
// people ask.
func rollout(ctx context.Context, c Config) (_ any, err error) {
	plan, err := planTime(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &report.Rollout{Clusters: c.Clusters, Bundles: c.ClusterBundles, PlanPerReport: float64(plan.Nanoseconds()) / 1e3}
	if c.Given == nil {
		if err := ask(ctx, c, out); err != nil {
			return nil, err
		}
	}
	w, err := newFleet(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	var took []time.Duration
	for n := range c.Changes {
		one, err := w.roll(ctx, n)
		if err != nil {
			return nil, err
		}
		took = append(took, one)
		w.say("a change went through %d spokes in three stages in %s", w.started, short(one))
		if err := w.settle(ctx); err != nil {
			return nil, err
		}
	}
	out.Spokes, out.ConvergedSeconds, out.SlowestSeconds = w.started, measure.Percentile(took, 0.5).Seconds(), measure.Percentile(took, 1).Seconds()
	return out, nil
}

// roll publishes one change, and answers how long it took from the answer until its rollout was complete, and nobody was left.
func (w *world) roll(ctx context.Context, n int) (time.Duration, error) {
	bundle := seed.BundleName(0)
	answer, err := w.hub.client.Publish(ctx, &hubv1.Publication{Bundle: bundle, Groups: []string{groupAll}, Rollout: inThree},
		[]manifest.File{{Path: "app.yaml", Data: artifact.Manifests(1, artifactSize, 1000+n)}}, nil)
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", bundle, err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stream, err := w.hub.client.WatchRollout(ctx, &hubv1.WatchRolloutRequest{Bundle: bundle})
	if err != nil {
		return 0, err
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return 0, errors.New("the watch of the rollout has ended")
		}
		if err != nil {
			return 0, err
		}
		if st := r.GetStatus(); r.GetSpec().GetRevision() == answer.GetRevision().GetSpec().GetNumber() && st.GetPhase() == yardarmv1.RolloutCompleted {
			return time.Since(began), nil
		}
	}
}

// planTime is what one report costs the driver of rollouts: the median time from the report's being in the store until the driver is at rest again.
func planTime(ctx context.Context, c Config) (_ time.Duration, err error) {
	plain := store.Config{Dir: filepath.Join(c.Dir, "plan")} // no hub's: nothing is audited
	if _, err := seed.Database(ctx, plain, seed.Fleet{Clusters: c.Clusters, Bundles: c.ClusterBundles}); err != nil {
		return 0, err
	}
	db, err := store.Open(plain)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := underWay(ctx, c, db); err != nil {
		return 0, err
	}
	driver, err := drive.New(drive.Config{Store: db, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer driver.Close()
	if _, err := driver.Step(ctx); err != nil {
		return 0, err
	}
	c.say("%d rollouts of %d clusters each are under way", c.ClusterBundles, c.Clusters)
	var took []time.Duration
	phases := []string{yardarmv1.PhaseProgressing, yardarmv1.PhaseDegraded}
	for i := range plannedReports {
		bundle := "uid-" + seed.BundleName(i%c.ClusterBundles)
		cluster := "uid-" + seed.ClusterName(i%c.Clusters)
		tx := db.Read()
		a := placement.DesiredOf(tx, tx.Cluster(cluster), tx.Bundle(bundle))
		if err := db.Observe(ctx, func(tx *store.Tx) error {
			return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: cluster, Received: timestamppb.Now(), Report: &yardarmv1.Report{
				BundleUid: bundle, AssignmentHash: a.Hash, Revision: a.Revision, Phase: phases[i/c.ClusterBundles%2]}})
		}); err != nil {
			return 0, err
		}
		began := time.Now()
		if _, err := driver.Step(ctx); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	return measure.Percentile(took, 0.5), nil
}

// underWay publishes a second revision of every bundle, and has every cluster be there.
func underWay(ctx context.Context, c Config, db *store.Store) error {
	if err := db.Observe(ctx, func(tx *store.Tx) error {
		for cluster := range tx.Clusters() {
			if err := tx.PutPresence(&store.Presence{ClusterUID: cluster.Metadata.Uid, State: yardarmv1.PresenceConnected, Confirmed: true}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	_, err := db.Update(ctx, func(tx *store.Tx) error {
		for i := range c.ClusterBundles {
			b := proto.CloneOf(tx.Bundle("uid-" + seed.BundleName(i)))
			r := proto.CloneOf(tx.Revision(b.Metadata.Uid, 1))
			b.Status.LatestRevision, r.Spec.Number = 2, 2
			if err := errors.Join(tx.PutRevision(r), tx.PutBundle(b)); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}
