package drive

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ready has clusters report that they are.
func (h *hub) ready(uids ...string) *hub {
	for _, uid := range uids {
		h.report(uid, yardarmv1.PhaseReady)
	}
	return h.step()
}

// pace is as in "2 done, half in 10s, all in 30s (c1)".
func pace(p *yardarmv1.RolloutPace) string {
	return fmt.Sprintf("%d done, half in %v, all in %v (%s)", p.GetClusters(), p.GetMedian().AsDuration(), p.GetSlowest().AsDuration(), p.GetSlowestCluster())
}

// How long clusters took is told while a rollout goes on and of one that is over, whether or not the hub has restarted, and not of one that has healed.
func TestShowsHowLongClustersTook(t *testing.T) {
	h := newHub(t, 5, inOrder(&yardarmv1.Stage{Concurrency: "5", FailureBudget: "3"})).publish()
	if p := h.show().Status.Pace; p != nil {
		t.Errorf("while none is done: %v", p)
	}
	h.after(10 * time.Second).ready("c0")
	h.report("c4", yardarmv1.PhaseFailed)
	h.after(20*time.Second).ready("c1", "c4")
	if got := pace(h.show().Status.Pace); got != "2 done, half in 10s, all in 30s (c1)" {
		t.Error(got)
	}
	h.restart()
	for i := range 5 {
		h.presence(fmt.Sprint("c", i), yardarmv1.PresenceConnected)
	}
	h.after(10*time.Second).ready("c2", "c3").expect("11111 Completed")
	if got := pace(h.show().Status.Pace); !strings.HasPrefix(got, "4 done, half in 30s, all in 1h0m40s (c") {
		t.Error(got)
	}
}

// Who came back late, and who is new, is told of a rollout after it has come to its end, until the next one.
func TestShowsWhoCameLate(t *testing.T) {
	h := newHub(t, 4, inOrder(&yardarmv1.Stage{Clusters: 2, Concurrency: "2"}, &yardarmv1.Stage{}))
	names := func() string {
		st := h.show().Status
		var parts []string
		for _, n := range []*yardarmv1.RolloutNames{st.Away, st.Late, st.Joined} {
			parts = append(parts, fmt.Sprintf("%d%v", n.GetClusters(), n.GetNames()))
		}
		return strings.Join(parts, " ")
	}
	want := func(names, want string) {
		t.Helper()
		if names != want {
			t.Errorf("away, late and joined are %s, want %s", names, want)
		}
	}
	for _, uid := range []string{"c1", "c2"} {
		h.presence(uid, yardarmv1.PresenceStale)
	}
	h.publish()
	want(names(), "2[c1 c2] 0[] 0[]")
	h.all(yardarmv1.PhaseReady).expect("1001 Completed")
	h.presence("c2", yardarmv1.PresenceConnected)
	h.enrol("c4")
	h.step()
	want(names(), "1[c1] 1[c2] 1[c4]")
	h.all(yardarmv1.PhaseReady).expect("10111 Completed")
	want(names(), "1[c1] 1[c2] 1[c4]")
	h.restart()
	for _, uid := range []string{"c0", "c1", "c2", "c3", "c4"} {
		h.presence(uid, yardarmv1.PresenceConnected)
	}
	h.all(yardarmv1.PhaseReady).expect("11111 Completed")
	want(names(), "0[] 2[c1 c2] 1[c4]")
	// Of them, none is late or new with the next, and labels that change make nobody so.
	h.publish().all(yardarmv1.PhaseReady)
	h.label("blue", "c0")
	h.all(yardarmv1.PhaseReady).expect("22222 Completed")
	want(names(), "0[] 0[] 0[]")
}

// Somebody who joins with a stage that has passed already is new, and not late, though not all have their turn at once.
func TestShowsNewcomersOnce(t *testing.T) {
	h := newHub(t, 2, &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Group: "all", Concurrency: "1"}, {Approval: yardarmv1.ApprovalBefore}}}).publish()
	h.all(yardarmv1.PhaseReady).expect("11 Progressing Approval")
	h.enrolAll(8)
	if h.step(); strings.Count(h.picture(), "0") == 0 {
		t.Fatalf("nobody waits: %s", h.picture())
	}
	h.all(yardarmv1.PhaseReady).expect("1111111111 Progressing Approval")
	if st := h.show().Status; st.Late != nil || st.Joined.GetClusters() != 8 || len(st.Joined.Names) != 8 {
		t.Errorf("late are %v, new are %v", st.Late, st.Joined)
	}
}

// Those that hold a rollout up come first, of each kind those that have done so for the longest, and it is told when time decides about them.
func TestShowsTheSlowestFirst(t *testing.T) {
	soak, deadline := durationpb.New(time.Minute), durationpb.New(time.Hour)
	h := newHub(t, 6, inOrder(&yardarmv1.Stage{Concurrency: "3", FailureBudget: "3", Soak: soak, ProgressDeadline: deadline}))
	h.presence("c5", yardarmv1.PresenceStale)
	h.publish()
	var order []string
	for _, c := range h.show().Status.Clusters {
		order = append(order, c.Cluster) // those that were given it first, by name, and who is away
	}
	if len(order) != 4 || order[3] != "c5" {
		t.Fatalf("shown are %v", order)
	}
	begun := h.time()
	h.report(order[2], yardarmv1.PhaseFailed)
	h.after(time.Minute)
	received := h.time()
	h.ready(order[0])
	shown := h.show().Status.Clusters
	if len(shown) != 5 || shown[0].Cluster != order[2] || shown[0].State != yardarmv1.MemberFailed || shown[1].Cluster != order[0] || shown[2].Cluster != order[1] || shown[4].Cluster != "c5" {
		t.Fatalf("shown are %v", shown)
	}
	if c := shown[0]; c.Due != nil || !c.Since.AsTime().Equal(begun.Add(time.Minute)) {
		t.Errorf("who has failed: %v", c)
	}
	if c := shown[1]; !c.Since.AsTime().Equal(begun) || !c.Due.AsTime().Equal(received.Add(soak.AsDuration())) {
		t.Errorf("who soaks: %v", c)
	}
	if c := shown[2]; !c.Due.AsTime().Equal(begun.Add(deadline.AsDuration())) {
		t.Errorf("who is on its way: %v", c)
	}
}

// A fleet of which many are away is shown by those that fail.
func TestShowsFailuresAmongMany(t *testing.T) {
	h := newHub(t, maxShown+20, inOrder(&yardarmv1.Stage{Concurrency: "100%", FailureBudget: "100%"}))
	for i := range maxShown + 19 {
		h.presence(fmt.Sprint("c", i), yardarmv1.PresenceStale)
	}
	last := fmt.Sprint("c", maxShown+19)
	h.publish()
	h.report(last, yardarmv1.PhaseFailed)
	st := h.step().show().Status
	if len(st.Clusters) != maxShown || st.Clusters[0].Cluster != last {
		t.Errorf("%d are shown, %s first", len(st.Clusters), st.Clusters[0].Cluster)
	}
	if st.Away.Clusters != maxShown+19 || len(st.Away.Names) != maxShown {
		t.Errorf("%d are away, of which %d are named", st.Away.Clusters, len(st.Away.Names))
	}
}

// A row of a hub that kept none of this is shown as far as it goes.
func TestShowsRowsOfOlderHubs(t *testing.T) {
	h := newHub(t, 1, nil).publish()
	h.update(func(tx *store.Tx) error {
		return tx.PutRollout(&storev1.Rollout{BundleUid: theBundle, Revision: 1, Chunks: 1, Stages: []*storev1.RolloutStage{{Name: "first"}}})
	})
	if st := h.show().Status; len(st.Stages) != 1 || st.Stages[0].Clusters != 1 || len(st.Clusters) != 1 || st.Clusters[0].Cluster != "c0" {
		t.Errorf("status %v", st)
	}
}
