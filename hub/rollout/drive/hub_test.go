package drive

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

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
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Received: timestamppb.New(h.time()), Report: report})
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
