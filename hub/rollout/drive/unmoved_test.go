package drive

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// varied has the odd clusters of a hub get another variant than the even ones, of revisions that publishVaried makes.
func varied(h *hub, clusters int) {
	h.update(func(tx *store.Tx) error {
		var err error
		for i := range clusters {
			c := proto.CloneOf(tx.Cluster(fmt.Sprint("c", i)))
			c.Metadata.Labels = map[string]string{"odd": fmt.Sprint(i % 2)}
			err = errors.Join(err, tx.PutCluster(c))
		}
		b := proto.CloneOf(tx.Bundle(theBundle))
		b.Spec.Targets = []*yardarmv1.Target{{Group: "odd", Variant: "odd"}, {Group: "all"}}
		return errors.Join(err, tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "odd"},
			Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"odd": "1"}}}}), tx.PutBundle(b))
	})
}

// publishVaried makes the bundle's next revision, of an artifact for the odd clusters and one for the others.
func publishVaried(h *hub, odd, others string) {
	h.update(func(tx *store.Tx) error {
		b := proto.CloneOf(tx.Bundle(theBundle))
		b.Status.LatestRevision++
		return errors.Join(tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RevisionSpec{
			BundleUid: theBundle, Bundle: theBundle, Number: b.Status.LatestRevision, Digest: others, Targets: b.Spec.Targets,
			Variants: []*yardarmv1.RevisionVariant{{Digest: others}, {Name: "odd", Digest: odd}}}}), tx.PutBundle(b))
	})
}

// A revision that changes one variant goes by stages through the clusters that have it, and the others have it at once: also while they are frozen, and when they fail
// by it, they have lost nothing.
func TestDriverMovesWhatChanges(t *testing.T) {
	h := newHub(t, 6, inOrder(&yardarmv1.Stage{Clusters: 1, FailureBudget: "0"}, &yardarmv1.Stage{Concurrency: "1"}))
	varied(h, 6)
	publishVaried(h, "odd1", "other1")
	h.step().all(yardarmv1.PhaseReady).expect("111111 Completed")

	publishVaried(h, "odd2", "other1")
	tx := h.store.Read()
	plan, err := Plan(tx, tx.Bundle(theBundle), h.time(), func(*yardarmv1.Cluster) bool { return true })
	if err != nil || plan.Unmoved != 3 || plan.Stages[0].Clusters != 1 || plan.Stages[1].Clusters != 2 {
		t.Errorf("the plan is %v, %v", plan, err)
	}
	h.step()
	picture := h.picture()
	if strings.Count(picture, "2") != 4 || picture[0] != '2' || picture[2] != '2' || picture[4] != '2' {
		t.Fatalf("%s: want all even ones and a canary", picture)
	}
	var told string
	for e := range h.store.Read().Events(0) {
		if e.Reason == "RolloutBegun" && e.Revision == 2 {
			told = e.Message
		}
	}
	if !strings.HasSuffix(told, "3 clusters in 2 stages; nothing changes in 3 more") {
		t.Errorf("it is told as %q", told)
	}
	// After a restart they are what they were.
	h.restart()
	for i := range 6 {
		h.presence(fmt.Sprint("c", i), yardarmv1.PresenceConnected)
	}
	if h.step(); h.picture() != picture {
		t.Errorf("after a restart %s, before %s", h.picture(), picture)
	}
	if m := h.show().Status.Stages[1]; m.Done != 3 || m.Clusters != 5 {
		t.Errorf("the last stage is %v", m)
	}
	h.all(yardarmv1.PhaseReady).expect("222222 Completed")
	if st := h.show().Status.Stages; st[0].Done+st[1].Done != 6 {
		t.Errorf("stages %v", st)
	}

	// One that fails goes back everywhere: those that it has not moved, too.
	publishVaried(h, "odd3", "other1")
	h.step()
	for i := range 6 {
		if uid := fmt.Sprint("c", i); i%2 == 1 && h.runs(uid) == 3 {
			h.report(uid, yardarmv1.PhaseFailed)
		}
	}
	h.step().all(yardarmv1.PhaseReady).expect("222222 RolledBack")
	// What is not ready goes by the stages, whatever changes in it.
	h.report("c0", yardarmv1.PhaseFailed)
	publishVaried(h, "odd4", "other1")
	h.step()
	for m := range h.store.Read().RolloutMembers(theBundle) {
		if want := m.UID == "c2" || m.UID == "c4"; (rollout.State(m.State) == rollout.Unmoved) != want {
			t.Errorf("%s is %s", m.UID, rollout.State(m.State))
		}
	}
}
