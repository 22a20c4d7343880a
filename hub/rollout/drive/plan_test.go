package drive

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A plan is what then happens, cluster by cluster and stage by stage, and changes nothing.
func TestPlan(t *testing.T) {
	h := newHub(t, 12, nil).publish().all(yardarmv1.PhaseReady)
	h.presence("c3", yardarmv1.PresenceStale)
	h.gate("nightly", &yardarmv1.GateSpec{Clusters: &yardarmv1.Scope{Names: []string{"c1", "c2"}}, Freeze: &yardarmv1.Freeze{}})
	see := func(*yardarmv1.Cluster) bool { return true }
	planned := func(tx *store.ReadTx) *yardarmv1.RolloutPlan {
		t.Helper()
		plan, err := Plan(tx, tx.Bundle(theBundle), h.time(), see)
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	if plan := planned(h.store.Read()); plan != nil {
		t.Errorf("of one that has begun: %v", plan)
	}
	var plan *yardarmv1.RolloutPlan
	undone := errors.New("undone")
	if _, err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		b := proto.CloneOf(tx.Bundle(theBundle))
		b.Status.LatestRevision++
		plan = nil
		if err := errors.Join(tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RevisionSpec{BundleUid: theBundle, Number: 2}}), tx.PutBundle(b)); err != nil {
			return err
		}
		plan = planned(&tx.ReadTx)
		return undone
	}); !errors.Is(err, undone) {
		t.Fatal(err)
	}
	h.expect("111111111111 Completed")
	h.publish()
	held, away := uint32(0), uint32(0)
	for i, stage := range h.show().Status.Stages {
		p := plan.Stages[i]
		if p.Name != stage.Name || p.Clusters != stage.Clusters || p.Concurrency != stage.Concurrency || p.FailureBudget != stage.FailureBudget || len(p.Examples) != min(3, int(p.Clusters)) {
			t.Errorf("planned was %v, and is %v", p, stage)
		}
		away += p.Away
		for _, g := range p.Gates {
			held += g.Clusters
		}
	}
	if away != 1 || held != 2 {
		t.Errorf("%d away and %d held in %v", away, held, plan)
	}
	for i := range 12 {
		if uid := fmt.Sprint("c", i); h.runs(uid) == 2 && plan.Stages[0].Examples[0] != uid {
			t.Errorf("the canary is %s: %v", uid, plan.Stages[0])
		}
	}
}

// A plan says all of a stage that its strategy does, names whom its reader may see, and counts gates though somebody has overridden them for the revision before.
func TestPlanSaysAllOfAStage(t *testing.T) {
	h := newHub(t, 3, &yardarmv1.RolloutStrategy{Strategy: "careful"})
	h.update(func(tx *store.Tx) error {
		return tx.PutStrategy(&yardarmv1.Strategy{Metadata: &yardarmv1.ObjectMeta{Name: "careful"}, Spec: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{
			{Name: "first", Clusters: 1, Soak: durationpb.New(time.Minute), ProgressDeadline: durationpb.New(time.Hour), Approval: yardarmv1.ApprovalAfter},
			{Name: "rest", Concurrency: "2", FailureBudget: yardarmv1.ShareAll}}}})
	})
	h.publish()
	if err := h.steer(yardarmv1.ActionOverride); err != nil {
		t.Fatal(err)
	}
	h.gate("now", &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}})
	plan := func(tx *store.ReadTx) *yardarmv1.RolloutPlan {
		t.Helper()
		plan, err := Plan(tx, tx.Bundle(theBundle), h.time(), func(*yardarmv1.Cluster) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	if got := plan(h.store.Read()); got != nil {
		t.Errorf("of one that is under way: %v", got)
	}
	h.update(func(tx *store.Tx) error {
		b := proto.CloneOf(tx.Bundle(theBundle))
		b.Status.LatestRevision++
		return errors.Join(tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RevisionSpec{BundleUid: theBundle, Number: 2}}), tx.PutBundle(b))
	})
	hold := func(clusters uint32) []*yardarmv1.RolloutGate {
		return []*yardarmv1.RolloutGate{{Gate: "now", Type: yardarmv1.GateFreeze, Clusters: clusters, Actor: "anna"}}
	}
	want := &yardarmv1.RolloutPlan{Strategy: "careful", Stages: []*yardarmv1.PlannedStage{
		{Name: "first", Clusters: 1, Concurrency: 1, FailureBudget: 1, Soak: durationpb.New(time.Minute), ProgressDeadline: durationpb.New(time.Hour), Approval: "after", Gates: hold(1)},
		{Name: "rest", Clusters: 2, Concurrency: 2, FailureBudget: 2, Tolerant: true, ProgressDeadline: durationpb.New(15 * time.Minute), Gates: hold(2)}}}
	if got := plan(h.store.Read()); !proto.Equal(got, want) {
		t.Errorf("the plan is\n%v, want\n%v", got, want)
	}
}
