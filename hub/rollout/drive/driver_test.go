package drive

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestDriverGoesStageByStage(t *testing.T) {
	h := newHub(t, 12, nil).publish()
	given := func() (n int) {
		for i := range 12 {
			if h.runs(fmt.Sprintf("c%d", i)) == 1 {
				n++
			}
		}
		return n
	}
	if n := given(); n != 1 {
		t.Fatalf("%d clusters got it first, want one canary", n)
	}
	var seen []int
	for range 20 {
		for c := range h.store.Read().Clusters() {
			h.report(c.Metadata.Uid, yardarmv1.PhaseReady)
		}
		h.step()
		seen = append(seen, given())
	}
	// One canary, one more until 10 % have it, and then 3 at a time.
	if want := []int{2, 5, 8, 11, 12}; !slices.Equal(slices.Compact(seen), want) {
		t.Errorf("clusters that are to run it: %v, want %v", slices.Compact(seen), want)
	}
	h.expect("111111111111 Completed")
	if m := slices.Collect(h.store.Read().RolloutMembers(theBundle)); len(m) > 0 {
		t.Errorf("members are left: %v", m)
	}
	if st := h.show().Status; st.SettledRevision != 1 || st.Stages[2].Done != 10 {
		t.Errorf("status %v", st)
	}
}

func TestDriverReturnsAllThatWereReached(t *testing.T) {
	h := newHub(t, 4, inOrder(&yardarmv1.Stage{Concurrency: "2", FailureBudget: "0"})).publish().all(yardarmv1.PhaseReady).expect("1111 Completed")
	h.publish()
	reached := h.picture()
	if strings.Count(reached, "2") != 2 {
		t.Fatalf("%s, want two at a time", reached)
	}
	i := strings.IndexByte(reached, '2')
	h.report(fmt.Sprintf("c%d", i), yardarmv1.PhaseFailed)
	h.step().expect("1111 RollingBack Clusters")
	h.all(yardarmv1.PhaseReady).expect("1111 RolledBack")
	want := fmt.Sprintf("stage stage-1: c%d failed, and at most 0 may (c%d: Service prod/web: Invalid: there is no such port 99", i, i)
	if failure := h.show().Status.Failure; !strings.HasPrefix(failure, want) || !strings.HasSuffix(failure, "9…)") || len(failure) > len(want)+maxSaid {
		t.Errorf("failure %q, want %q", failure, want)
	}
	// A hub that starts again does not begin what has failed, and one that is asked to does.
	h.restart()
	h.step().expect("1111 RolledBack")
	for i := range 4 {
		h.presence(fmt.Sprintf("c%d", i), yardarmv1.PresenceConnected)
	}
	if err := h.steer(yardarmv1.ActionRetry); err != nil {
		t.Fatal(err)
	}
	h.all(yardarmv1.PhaseReady).expect("2222 Completed")
	// So does a newer one.
	h.publish().all(yardarmv1.PhaseReady).expect("3333 Completed")
}

func TestDriverKeepsWhatPeopleDo(t *testing.T) {
	h := newHub(t, 2, inOrder(&yardarmv1.Stage{Clusters: 1, Approval: yardarmv1.ApprovalBefore}, &yardarmv1.Stage{})).publish()
	h.expect("00 Progressing Approval")
	h.restart()
	h.step()
	h.presence("c0", yardarmv1.PresenceConnected)
	h.presence("c1", yardarmv1.PresenceConnected)
	h.step().expect("00 Progressing Approval")
	if err := h.steer(yardarmv1.ActionApprove); err != nil {
		t.Fatal(err)
	}
	first := h.picture()
	if strings.Count(first, "1") != 1 {
		t.Fatalf("%s, want one", first)
	}
	if err := h.steer(yardarmv1.ActionPause); err != nil {
		t.Fatal(err)
	}
	h.all(yardarmv1.PhaseReady)
	h.restart()
	h.presence("c0", yardarmv1.PresenceConnected)
	h.presence("c1", yardarmv1.PresenceConnected)
	h.all(yardarmv1.PhaseReady).expect(strings.Replace(first, "Progressing Clusters", "Paused Operator", 1))
	if err := h.steer(yardarmv1.ActionResume); err != nil {
		t.Fatal(err)
	}
	h.all(yardarmv1.PhaseReady).expect("11 Completed")
	var did []string
	for _, a := range h.show().Status.Actions {
		did = append(did, a.Action+" by "+a.Actor+" at "+a.Stage)
	}
	if want := []string{"approve by me at stage-1", "pause by me at stage-1", "resume by me at stage-1"}; !slices.Equal(did, want) {
		t.Errorf("%q, want %q", did, want)
	}
}

func TestDriverSoaksAnewAfterARestart(t *testing.T) {
	h := newHub(t, 1, inOrder(&yardarmv1.Stage{Soak: durationpb.New(time.Minute)})).publish().all(yardarmv1.PhaseReady)
	if h.wake != h.now+time.Minute {
		t.Errorf("woken at %v, want a minute after %v", h.wake, h.now)
	}
	h.after(59 * time.Second).expect("1 Progressing Clusters")
	h.restart()
	h.presence("c0", yardarmv1.PresenceConnected)
	h.step().after(59 * time.Second).expect("1 Progressing Clusters")
	h.after(time.Second).expect("1 Completed")
}

func TestDriverCountsDeadlinesAnewAfterARestart(t *testing.T) {
	h := newHub(t, 1, inOrder(&yardarmv1.Stage{ProgressDeadline: durationpb.New(10 * time.Minute)})).publish().after(9 * time.Minute)
	h.restart()
	h.presence("c0", yardarmv1.PresenceConnected)
	h.step().after(9 * time.Minute).expect("1 Progressing Clusters")
	h.after(time.Minute).expect("1 RolledBack") // it never had another
}

// A report counts for the assignment whose hash it names, and not for another one of the same revision.
func TestDriverBelievesNoReportOfAnotherAssignment(t *testing.T) {
	h := newHub(t, 1, inOrder(&yardarmv1.Stage{})).publish()
	h.report("c0", yardarmv1.PhaseReady)
	h.update(func(tx *store.Tx) error { return tx.AddReconciliation("c0", theBundle) })
	h.step().expect("1 Progressing Clusters")
	h.report("c0", yardarmv1.PhaseReady)
	h.step().expect("1 Completed")
}

func TestDriverWaitsForWhoIsAway(t *testing.T) {
	h := newHub(t, 3, inOrder(&yardarmv1.Stage{Concurrency: "3"}))
	h.presence("c1", yardarmv1.PresenceStale)
	h.publish().all(yardarmv1.PhaseReady).expect("101 Completed")
	if c := h.show().Status.Clusters; len(c) != 1 || c[0].Cluster != "c1" || !c[0].Away || c[0].State != yardarmv1.MemberWaiting {
		t.Errorf("clusters %v", c)
	}
	h.restart()
	h.step().expect("101 Completed")
	h.presence("c1", yardarmv1.PresenceConnected)
	h.step().expect("111 Completed")
	h.all(yardarmv1.PhaseReady)
	if c := h.show().Status.Clusters; len(c) != 0 || h.store.Read().Rollout(theBundle).Chunks != 0 {
		t.Errorf("clusters %v", c)
	}
}

func TestDriverTakesJoinersAndSupersedes(t *testing.T) {
	h := newHub(t, 2, inOrder(&yardarmv1.Stage{Concurrency: "1"})).publish().all(yardarmv1.PhaseReady).publish()
	h.enrol("c2")
	h.step()
	if m, ok := h.store.Read().RolloutMember(theBundle, "c2"); !ok || m.Runs != 2 || m.From != 0 {
		t.Errorf("who joined does not go straight to the newest revision that its stage has reached: %+v", m)
	}
	h.publish()
	if p := h.picture(); strings.Count(p, "3") != 1 || strings.Count(p, "2") > 1 {
		t.Errorf("after a newer revision: %s", p)
	}
	h.all(yardarmv1.PhaseReady).expect("333 Completed")
}

// An old database, all of whose clusters run the latest revision, has no rollouts; the next revision has one.
func TestDriverTakesOverFromHubsWithoutRollouts(t *testing.T) {
	h := newHub(t, 2, inOrder(&yardarmv1.Stage{Concurrency: "1"}))
	h.update(func(tx *store.Tx) error {
		b := proto.CloneOf(tx.Bundle(theBundle))
		b.Status.Revision, b.Status.LatestRevision = 5, 5
		return tx.PutBundle(b)
	})
	h.update(func(tx *store.Tx) error {
		return tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RevisionSpec{BundleUid: theBundle, Number: 5, Digest: "sha256:5"}})
	})
	h.step().expect("55 Completed")
	if h.store.Read().Rollout(theBundle) != nil {
		t.Error("a rollout was made of nothing")
	}
	h.publish()
	if p := h.picture(); strings.Count(p, "6") != 1 || strings.Count(p, "5") != 1 {
		t.Errorf("after the next revision: %s", p)
	}
}

// Of more clusters than a subscription tells apart, none is passed over.
func TestDriverSeesMoreThanItIsTold(t *testing.T) {
	const clusters = 4_500 // of 4,096
	h := newFleet(t, clusters, inOrder(&yardarmv1.Stage{Concurrency: "100%"}))
	h.presences(clusters, false)
	for i := range clusters {
		h.report(fmt.Sprintf("c%d", i), yardarmv1.PhaseReady)
	}
	if h.step(); h.show().GetStatus().GetPhase() != yardarmv1.RolloutProgressing {
		t.Fatal("what is not confirmed counts")
	}
	h.presences(clusters, true)
	if h.step(); h.show().GetStatus().GetPhase() != yardarmv1.RolloutCompleted {
		t.Errorf("all are ready, and the rollout is %s", h.show().GetStatus().GetPhase())
	}
}

// A revision that changes stored versions reaches nobody until somebody confirms it, also across a restart; tried again, it is not asked for again, and what
// supersedes it asks for itself.
func TestConfirmation(t *testing.T) {
	change := &yardarmv1.StorageChange{Definition: "ships.example.com", From: "v1", To: "v2"}
	h := newHub(t, 2, inOrder(&yardarmv1.Stage{Concurrency: "2", FailureBudget: "0"})).publish().all(yardarmv1.PhaseReady).expect("11 Completed")
	steer := func(action string) {
		t.Helper()
		if err := h.steer(action); err != nil {
			t.Fatal(err)
		}
	}
	h.publish(change).expect("11 Progressing Confirmation")
	if st := h.show().Status; st.Confirmation != "ships.example.com: objects are stored as v2 instead of v1" {
		t.Errorf("status %v", st)
	}
	told := ""
	for e := range h.store.Read().Events(0) {
		told += e.Reason + ": " + e.Message + "\n"
	}
	if !strings.Contains(told, "RolloutAwaitsConfirmation: revision 2 waits for a confirmation: ships.example.com") {
		t.Errorf("told is:\n%s", told)
	}
	h.restart()
	for _, uid := range []string{"c0", "c1"} {
		h.presence(uid, yardarmv1.PresenceConnected)
	}
	h.all(yardarmv1.PhaseReady).after(time.Hour).expect("11 Progressing Confirmation")
	steer(yardarmv1.ActionApprove)
	h.expect("22 Progressing Clusters")
	if st := h.show().Status; st.Confirmation != "" || st.Actions[0].Action != yardarmv1.ActionConfirm {
		t.Errorf("status %v", st)
	}
	h.report("c0", yardarmv1.PhaseFailed)
	h.step().all(yardarmv1.PhaseReady).expect("11 RolledBack")
	steer(yardarmv1.ActionRetry)
	h.expect("22 Progressing Clusters")
	h.publish(change).expect("22 Progressing Confirmation")
	h.publish().expect("44 Progressing Clusters")
}

// A rollout goes on by the strategy as it was when it began; a change concerns the next one, and one that is tried again.
func TestDriverTakesStrategiesByName(t *testing.T) {
	h := newHub(t, 3, &yardarmv1.RolloutStrategy{Strategy: "careful"})
	say := func(atATime string) {
		h.update(func(tx *store.Tx) error {
			return tx.PutStrategy(&yardarmv1.Strategy{Metadata: &yardarmv1.ObjectMeta{Name: "careful"},
				Spec: inOrder(&yardarmv1.Stage{Concurrency: atATime, FailureBudget: "0"})})
		})
	}
	say("1")
	reached := func(revision string) int { return strings.Count(strings.Fields(h.publish().picture())[0], revision) }
	if n := reached("1"); n != 1 {
		t.Fatalf("%d at a time, want 1", n)
	}
	say("3")
	h.restart()
	for i := range 3 {
		h.presence(fmt.Sprint("c", i), yardarmv1.PresenceConnected)
	}
	if h.step(); h.show().Spec.Strategy.Stages[0].Concurrency != "1" || h.show().Spec.Strategy.Strategy != "careful" {
		t.Errorf("its strategy is %v by now", h.show().Spec.Strategy)
	}
	h.all(yardarmv1.PhaseReady).expect("111 Completed")
	if n := reached("2"); n != 3 {
		t.Errorf("%d at a time, want 3", n)
	}
}
