package drive

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// hub is a store, the driver of its rollouts, and clusters that are played by writing what their spokes would say.
type hub struct {
	t      testing.TB
	store  *store.Store
	driver *Driver
	dir    string
	now    time.Duration
	wake   time.Duration
	// set is how far somebody has set the hub's clock.
	set time.Duration
}

// time is by the hub's clock: a Saturday at 12:00, and what has gone by since.
func (h *hub) time() time.Time {
	return time.Date(2026, 3, 28, 11, 0, 0, 0, time.UTC).Add(h.now + h.set)
}

const (
	theBundle = "web"
	// theLabel is one that all revisions refer to.
	theLabel = "zone"
)

func newHub(t testing.TB, clusters int, strategy *yardarmv1.RolloutStrategy) *hub {
	h := &hub{t: t, dir: t.TempDir(), now: time.Hour}
	h.open()
	t.Cleanup(func() { h.close() })
	h.update(func(tx *store.Tx) error {
		if err := tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "all"}, Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{}}}); err != nil {
			return err
		}
		return tx.PutBundle(&yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: theBundle, Uid: theBundle},
			Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "all"}}, Rollout: strategy}, Status: &yardarmv1.BundleStatus{}})
	})
	for i := range clusters {
		h.enrol(fmt.Sprintf("c%d", i))
	}
	return h
}

func (h *hub) open() {
	var err error
	if h.store, err = store.Open(store.Config{Dir: h.dir}); err != nil {
		h.t.Fatal(err)
	}
	if h.driver, err = New(Config{Store: h.store, Logger: slog.New(slog.DiscardHandler), Clock: h.time, Elapsed: func() time.Duration { return h.now }}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) close() {
	h.driver.Close()
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
}

// restart is the hub's: presences are gone, and its monotonic clock reads whatever it may.
func (h *hub) restart() {
	h.close()
	h.now += time.Hour
	h.open()
}

func (h *hub) update(fn func(*store.Tx) error) {
	h.t.Helper()
	if _, err := h.store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) enrol(uid string) {
	h.update(func(tx *store.Tx) error {
		return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid}})
	})
	h.presence(uid, yardarmv1.PresenceConnected)
}

func (h *hub) presence(uid, state string) {
	if err := h.store.Observe(h.t.Context(), func(tx *store.Tx) error {
		return tx.PutPresence(&store.Presence{ClusterUID: uid, State: state, Confirmed: state == yardarmv1.PresenceConnected})
	}); err != nil {
		h.t.Fatal(err)
	}
}

// publish makes the bundle's next revision, and lets the driver see it.
func (h *hub) publish(changes ...*yardarmv1.StorageChange) *hub {
	h.update(func(tx *store.Tx) error {
		b := proto.CloneOf(tx.Bundle(theBundle))
		b.Status.LatestRevision++
		if err := tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RevisionSpec{
			BundleUid: theBundle, Bundle: theBundle, Number: b.Status.LatestRevision, Digest: fmt.Sprint("sha256:", b.Status.LatestRevision),
			Labels: []string{theLabel}, StorageChanges: changes}}); err != nil {
			return err
		}
		return tx.PutBundle(b)
	})
	return h.step()
}

func (h *hub) step() *hub {
	h.t.Helper()
	wake, err := h.driver.Step(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	h.wake = wake
	return h
}

func (h *hub) after(d time.Duration) *hub {
	h.now += d
	return h.step()
}

// runs is the revision that a cluster is to run.
func (h *hub) runs(uid string) uint32 {
	tx := h.store.Read()
	return placement.RevisionFor(tx, uid, tx.Bundle(theBundle))
}

// report has a cluster report of what it is to run, if it is to run anything.
func (h *hub) report(uid, phase string) {
	tx := h.store.Read()
	a := placement.DesiredOf(tx, tx.Cluster(uid), tx.Bundle(theBundle))
	if a == nil {
		return
	}
	report := &yardarmv1.Report{Bundle: theBundle, BundleUid: theBundle, AssignmentHash: a.Hash, Revision: a.Revision, Phase: phase}
	if phase == yardarmv1.PhaseFailed {
		report.Problems = []*yardarmv1.ObjectProblem{{Object: "Service prod/web", Reason: "Invalid", Message: "there is\nno such port " + strings.Repeat("9", maxSaid)}}
	}
	if err := h.store.Observe(h.t.Context(), func(tx *store.Tx) error {
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Received: timestamppb.Now(), Report: report})
	}); err != nil {
		h.t.Fatal(err)
	}
}

// all has every cluster report so of what it is to run, again and again, until nothing happens any more.
func (h *hub) all(phase string) *hub {
	h.t.Helper()
	for range 100 {
		before := h.picture() + h.zones()
		for c := range h.store.Read().Clusters() {
			h.report(c.Metadata.Uid, phase)
		}
		if h.step(); h.picture()+h.zones() == before {
			return h
		}
	}
	h.t.Fatal("it never comes to rest")
	return h
}

// picture is what the clusters are to run, and the rollout's phase and what it waits for.
func (h *hub) picture() string {
	var parts []string
	for c := range h.store.Read().Clusters() {
		parts = append(parts, fmt.Sprint(h.runs(c.Metadata.Uid)))
	}
	st := h.show().GetStatus()
	return strings.TrimSpace(strings.Join(parts, "") + " " + st.GetPhase() + " " + st.GetWaitsFor())
}

func (h *hub) show() *yardarmv1.Rollout {
	tx := h.store.Read()
	return Show(tx, tx.Bundle(theBundle), h.time(), func(*yardarmv1.Cluster) bool { return true })
}

func (h *hub) expect(picture string) *hub {
	h.t.Helper()
	if got := h.picture(); got != picture {
		h.t.Fatalf("%q, want %q", got, picture)
	}
	return h
}

// steer does what somebody asks for.
func (h *hub) steer(action string) error {
	var err error
	h.update(func(tx *store.Tx) error {
		row := proto.CloneOf(tx.Rollout(theBundle))
		if err = rollout.Steer(row, &yardarmv1.RolloutAction{Action: action, Actor: "me"}); err != nil {
			return nil
		}
		return tx.PutRollout(row)
	})
	h.step()
	return err
}

// inOrder goes through the clusters one by one, in the order of their names: c0, c1 and so on have to be enrolled in it.
func inOrder(stages ...*yardarmv1.Stage) *yardarmv1.RolloutStrategy {
	for _, s := range stages {
		s.OrderBy = "none"
	}
	return &yardarmv1.RolloutStrategy{Stages: stages}
}

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

// What a report costs in a fleet of 10,000 clusters.
func BenchmarkReport(b *testing.B) {
	h := newHub(b, 0, inOrder(&yardarmv1.Stage{Clusters: 1, Approval: yardarmv1.ApprovalAfter}, &yardarmv1.Stage{}))
	h.update(func(tx *store.Tx) error {
		for i := range 10_000 {
			if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprintf("c%d", i), Uid: fmt.Sprintf("c%d", i)}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err := h.store.Observe(b.Context(), func(tx *store.Tx) error {
		for i := range 10_000 {
			if err := tx.PutPresence(&store.Presence{ClusterUID: fmt.Sprintf("c%d", i), State: yardarmv1.PresenceConnected, Confirmed: true}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	h.publish()
	uid := ""
	for m := range h.store.Read().RolloutMembers(theBundle) {
		if m.Runs == 1 {
			uid = m.UID
		}
	}
	phases := []string{yardarmv1.PhaseReady, yardarmv1.PhaseProgressing}
	i := 0
	for b.Loop() {
		b.StopTimer()
		h.report(uid, phases[i%2])
		i++
		b.StartTimer()
		h.step()
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
