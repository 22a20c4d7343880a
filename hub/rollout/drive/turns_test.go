package drive

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A mass that joins a bundle whose rollout has ended gets it as its stage allows, and not while more of it fail than may.
func TestDriverLetsAMassInByTurns(t *testing.T) {
	h := newHub(t, 2, inOrder(&yardarmv1.Stage{Concurrency: "1", FailureBudget: "1"})).publish().all(yardarmv1.PhaseReady).expect("11 Completed")
	h.enrolAll(9)
	h.step().expect("11111110000 Completed") // a handful, though the stage takes one at a time
	tx := h.store.Read()
	counts := index.ClusterOf(tx, tx.Cluster("n8")).Bundles
	if counts.Total != 1 || counts.Pending != 1 {
		t.Errorf("who waits counts as %v, want as pending", counts)
	}
	h.report("n0", yardarmv1.PhaseFailed)
	h.report("n1", yardarmv1.PhaseReady)
	h.step().expect("11111111100 Completed")
	h.report("n2", yardarmv1.PhaseFailed)
	h.report("n3", yardarmv1.PhaseReady)
	h.step().expect("11111111100 Completed Failures")
	h.restart()
	for i := range 9 {
		h.presence(fmt.Sprint("n", i), yardarmv1.PresenceConnected)
	}
	h.step().expect("11111111100 Completed Failures")
	h.report("n2", yardarmv1.PhaseReady)
	h.step().expect("11111111111 Completed")
	h.all(yardarmv1.PhaseReady).expect("11111111111 Completed")
	if waited(h.store.Read(), theBundle) {
		t.Error("turns are left of clusters that have had theirs")
	}
	if m := slices.Collect(h.store.Read().RolloutMembers(theBundle)); len(m) > 0 {
		t.Errorf("members are left: %v", m)
	}
}

// Who joins while a stage is far away gets the settled revision meanwhile, in turn, and then the newer one with its stage; also after that was rolled back.
func TestDriverGivesNewcomersTheSettledRevisionMeanwhile(t *testing.T) {
	h := newHub(t, 1, nil).publish().all(yardarmv1.PhaseReady)
	h.update(func(tx *store.Tx) error {
		b := proto.CloneOf(tx.Bundle(theBundle))
		b.Spec.Rollout = inOrder(&yardarmv1.Stage{Clusters: 1, FailureBudget: "0"}, &yardarmv1.Stage{Concurrency: "1", Approval: yardarmv1.ApprovalBefore})
		return tx.PutBundle(b)
	})
	h.publish().all(yardarmv1.PhaseReady).expect("2 Progressing Approval")
	h.enrolAll(6)
	h.step().expect("2111110 Progressing Approval")
	h.report("n0", yardarmv1.PhaseReady)
	h.step().expect("2111111 Progressing Approval")
	if err := h.steer(yardarmv1.ActionApprove); err != nil {
		t.Fatal(err)
	}
	h.all(yardarmv1.PhaseReady).expect("2222222 Completed")
	h.publish()
	h.report("c0", yardarmv1.PhaseFailed)
	h.all(yardarmv1.PhaseFailed)
	h.enrol("o")
	if h.step(); h.runs("o") != 2 {
		t.Errorf("after it was rolled back (%s), who joins runs %d, want the settled one", h.picture(), h.runs("o"))
	}
}

// label gives clusters a label that revisions refer to, in one transaction.
func (h *hub) label(value string, uids ...string) {
	h.update(func(tx *store.Tx) error {
		for _, uid := range uids {
			c := proto.CloneOf(tx.Cluster(uid))
			c.Metadata.Labels = map[string]string{theLabel: value}
			if err := tx.PutCluster(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// zones is what the clusters are to run by: the label's value in what each is assigned, or - for none.
func (h *hub) zones() string {
	tx, out := h.store.Read(), ""
	for c := range tx.Clusters() {
		zone := placement.DesiredOf(tx, c, tx.Bundle(theBundle)).GetLabels()[theLabel]
		out += cmp.Or(zone, "-")
	}
	return out
}

func (h *hub) expectZones(want string) {
	h.t.Helper()
	if got := h.zones(); got != want {
		h.t.Fatalf("they run by zones %s, want %s", got, want)
	}
}

// Labels that many clusters get at once change what they run by turns, and not while more of them fail than may; across a restart of the hub, too.
func TestDriverGivesNewLabelsByTurns(t *testing.T) {
	h := newHub(t, 6, inOrder(&yardarmv1.Stage{Concurrency: "2", FailureBudget: "0"})).publish().all(yardarmv1.PhaseReady).expect("111111 Completed")
	all := []string{"c0", "c1", "c2", "c3", "c4", "c5"}
	h.label("a", all...)
	h.expectZones("------")
	h.step()
	if n := strings.Count(h.zones(), "a"); n != 2 {
		t.Fatalf("they run by zones %s", h.zones())
	}
	h.step() // nothing has been reported
	if n := strings.Count(h.zones(), "a"); n != 2 {
		t.Fatalf("what ran before counts: %s", h.zones())
	}
	h.restart()
	for _, uid := range all {
		h.presence(uid, yardarmv1.PresenceConnected)
	}
	h.step()
	if n := strings.Count(h.zones(), "a"); n != 2 {
		t.Fatalf("after a restart: %s", h.zones())
	}
	h.all(yardarmv1.PhaseReady).expect("111111 Completed")
	h.expectZones("aaaaaa")
	if waited(h.store.Read(), theBundle) || len(slices.Collect(h.store.Read().RolloutMembers(theBundle))) > 0 {
		t.Error("turns or members are left")
	}
	h.label("b", all...)
	h.step()
	for _, uid := range all {
		if h.store.Read().Before(theBundle, uid) == nil {
			h.report(uid, yardarmv1.PhaseFailed)
		}
	}
	h.step().expect("111111 Completed Failures")
	h.label("a", all...) // who still waits does not wait any more; who fails may be mended
	h.all(yardarmv1.PhaseReady).expect("111111 Completed")
	h.expectZones("aaaaaa")
	if s := h.show().Status.Stages[0]; s.Clusters != 6 || s.Done != 6 || s.Concurrency != 2 {
		t.Errorf("six clusters count as %v", s)
	}
}

// While a rollout is under way, who has it gets what has changed in turn with the others, and a rollback gives back what ran before it.
func TestDriverTakesLabelsBackWithARollback(t *testing.T) {
	h := newHub(t, 2, inOrder(&yardarmv1.Stage{Name: "one", Clusters: 1, FailureBudget: "0", Approval: yardarmv1.ApprovalAfter}, &yardarmv1.Stage{})).publish().all(yardarmv1.PhaseReady)
	if err := h.steer(yardarmv1.ActionApprove); err != nil {
		t.Fatal(err)
	}
	h.all(yardarmv1.PhaseReady).expect("11 Completed")
	h.publish().all(yardarmv1.PhaseReady)
	if p := h.picture(); strings.Count(p, "2") != 1 {
		t.Fatal(p)
	}
	h.label("a", "c0", "c1")
	h.step()
	h.expectZones("aa") // each is the only one of its stage: it goes at once
	for _, uid := range []string{"c0", "c1"} {
		if h.runs(uid) == 2 {
			h.report(uid, yardarmv1.PhaseFailed)
		}
	}
	h.step().all(yardarmv1.PhaseReady).expect("11 RolledBack")
	h.expectZones("aa")
	h.label("b", "c0", "c1")
	h.step().all(yardarmv1.PhaseReady).expect("11 RolledBack")
	h.expectZones("bb")
}

// A label that flaps moves nothing, and leaves nothing behind.
func TestDriverForgetsALabelThatFlaps(t *testing.T) {
	h := newHub(t, 2, nil).publish().all(yardarmv1.PhaseReady).expect("11 Completed")
	h.gate("freeze", &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}})
	h.label("a", "c0", "c1")
	h.step()
	h.expectZones("--")
	h.label("b", "c0")
	h.step()
	h.expectZones("--")
	h.update(func(tx *store.Tx) error {
		c := proto.CloneOf(tx.Cluster("c0"))
		c.Metadata.Labels = nil
		return tx.PutCluster(c)
	})
	if tx := h.store.Read(); tx.Before(theBundle, "c0") != nil || tx.Before(theBundle, "c1") == nil {
		t.Error("who is as it was waits still, or who is not does not")
	}
	h.step().all(yardarmv1.PhaseReady)
	h.gate("freeze", nil)
	h.step()
	h.expectZones("-a")
	h.all(yardarmv1.PhaseReady).expect("11 Completed")
}

// A mass that joins waits for gates as everybody does, runs nothing meanwhile, and shows as held.
func TestDriverLetsNobodyInThroughAGate(t *testing.T) {
	h := newHub(t, 1, nil).publish().all(yardarmv1.PhaseReady)
	h.gate("freeze", &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}})
	h.enrolAll(3)
	h.step().expect("1000 Completed")
	if g := h.show().Status.Gates; len(g) != 1 || g[0].Clusters != 3 {
		t.Errorf("the status shows %v", g)
	}
	h.gate("freeze", nil)
	h.step().expect("1111 Completed")
}

// Who leaves while it waits, and who is deleted, leaves no turn behind. Who comes back begins anew, and keeps what it holds until then (hub/dispatch).
func TestDriverForgetsTurnsOfThoseWhoLeave(t *testing.T) {
	h := newHub(t, 1, nil).publish().all(yardarmv1.PhaseReady).expect("1 Completed")
	h.gate("freeze", &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}})
	h.enrolAll(2)
	h.step().expect("100 Completed")
	all := func(labels map[string]string) {
		h.update(func(tx *store.Tx) error {
			g := proto.CloneOf(tx.Group("all"))
			g.Spec.Selector.MatchLabels = labels
			return tx.PutGroup(g)
		})
	}
	h.update(func(tx *store.Tx) error { return tx.DeleteCluster("n1") })
	all(map[string]string{"nobody": "has"})
	h.step()
	if waited(h.store.Read(), theBundle) {
		t.Error("turns are left")
	}
	all(nil)
	h.step().expect("00 Completed")
	h.gate("freeze", nil)
	h.step().expect("11 Completed")
	h.all(yardarmv1.PhaseReady)
	h.enrol("n2")
	h.step().all(yardarmv1.PhaseReady).expect("111 Completed")
	n := uint32(0)
	for _, s := range h.show().Status.Stages {
		n += s.Clusters
	}
	if n != 3 {
		t.Errorf("three clusters, of which two have left and come back, count as %d", n)
	}
}

// A hub that knew no turns has clusters that run what is settled without any: they stay as they are, however many.
func TestDriverTakesThoseAsInWhoHaveNoTurn(t *testing.T) {
	h := newHub(t, 9, inOrder(&yardarmv1.Stage{Concurrency: "1"})).publish().all(yardarmv1.PhaseReady).expect("111111111 Completed")
	h.restart()
	for i := range 9 {
		h.presence(fmt.Sprint("c", i), yardarmv1.PresenceConnected)
	}
	h.step().expect("111111111 Completed")
	h.publish()
	if p := h.picture(); strings.Count(p, "1") != 8 || strings.Count(p, "2") != 1 {
		t.Errorf("the next revision finds %s", p)
	}
}

// enrolAll has so many clusters join in one transaction.
func (h *hub) enrolAll(n int) {
	h.update(func(tx *store.Tx) error {
		for i := range n {
			uid := fmt.Sprint("n", i)
			if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid}}); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range n {
		h.presence(fmt.Sprint("n", i), yardarmv1.PresenceConnected)
	}
}
