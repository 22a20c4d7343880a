package drive

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/rollout/gate"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// gate writes a gate, or deletes it where spec is nil.
func (h *hub) gate(name string, spec *yardarmv1.GateSpec) *hub {
	h.t.Helper()
	h.update(func(tx *store.Tx) error { return putGate(tx, name, spec) })
	return h
}

func putGate(tx *store.Tx, name string, spec *yardarmv1.GateSpec) error {
	if spec == nil {
		return tx.DeleteGate(name)
	}
	return tx.PutGate(&yardarmv1.Gate{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec, Status: &yardarmv1.GateStatus{Actor: "anna"}})
}

func windowOf(effect, schedule string, d time.Duration) *yardarmv1.GateSpec {
	return &yardarmv1.GateSpec{Window: &yardarmv1.Window{Effect: effect, Schedule: schedule, Duration: durationpb.New(d)}}
}

func freeze(clusters ...string) *yardarmv1.GateSpec {
	spec := &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}}
	if len(clusters) > 0 {
		spec.Clusters = &yardarmv1.Scope{Names: clusters}
	}
	return spec
}

// verdict is what the gates make of a cluster now.
func (h *hub) verdict(uid string) gate.Verdict {
	tx := h.store.Read()
	return gate.NewSet(tx.Gates()).At(h.time()).Judge(subject(tx, tx.Bundle(theBundle), uid))
}

// settled is a hub of which all clusters run revision 1, and which has just published revision 2.
func settled(t *testing.T, clusters int, stages ...*yardarmv1.Stage) *hub {
	h := newHub(t, clusters, &yardarmv1.RolloutStrategy{Stages: stages})
	h.publish().all(yardarmv1.PhaseReady)
	return h
}

func TestDriverWaitsForAWindow(t *testing.T) {
	h := settled(t, 2, &yardarmv1.Stage{Concurrency: "100%"})
	h.gate("nightly", windowOf(yardarmv1.WindowAllow, "0 22 * * *", time.Hour))
	h.publish().expect("11 Progressing Gate")
	opens := time.Date(2026, 3, 28, 22, 0, 0, 0, time.UTC)
	if st := h.show().Status; len(st.Gates) != 1 || st.Gates[0].Gate != "nightly" || st.Gates[0].Type != "window" || st.Gates[0].Clusters != 2 ||
		st.Gates[0].Actor != "anna" || !st.Gates[0].Opens.AsTime().Equal(opens) {
		t.Errorf("%v", st.Gates)
	}
	// It sleeps until then, but looks at the clock each hour.
	for h.time().Before(opens) {
		if h.wake <= h.now || h.wake > h.now+maxSleep || h.time().Add(h.wake-h.now).After(opens) {
			t.Fatalf("at %v it wakes in %v", h.time(), h.wake-h.now)
		}
		h.expect("11 Progressing Gate")
		h.now = h.wake
		h.step()
	}
	h.expect("22 Progressing Clusters")
	h.all(yardarmv1.PhaseReady).expect("22 Completed")
	if h.wake != 0 {
		t.Errorf("nothing waits for a gate, and it wakes in %v", h.wake-h.now)
	}
}

func TestDriverWaitsForAFreeze(t *testing.T) {
	h := settled(t, 2, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{})
	h.publish().expect("21 Progressing Clusters")
	h.gate("black-friday", freeze()).all(yardarmv1.PhaseReady).expect("21 Progressing Gate")
	h.restart()
	for _, uid := range []string{"c0", "c1"} {
		h.presence(uid, yardarmv1.PresenceConnected)
	}
	h.all(yardarmv1.PhaseReady).expect("21 Progressing Gate")
	h.gate("black-friday", nil).all(yardarmv1.PhaseReady).expect("22 Completed")
}

func TestDriverSetsAClusterAside(t *testing.T) {
	h := settled(t, 3, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{Concurrency: "100%"})
	h.gate("debugging", freeze("c1")).publish().all(yardarmv1.PhaseReady).expect("212 Completed")
	if gates := h.show().Status.Gates; len(gates) != 1 || gates[0].Clusters != 1 || gates[0].Opens != nil {
		t.Errorf("%v", gates)
	}
	h.publish().all(yardarmv1.PhaseReady).expect("313 Completed") // it comes from revision 1
	h.gate("debugging", nil).all(yardarmv1.PhaseReady).expect("333 Completed")
}

// A rollback passes over no cluster that is frozen: it stays until the freeze is lifted.
func TestDriverReturnsWhatIsFrozenLater(t *testing.T) {
	for _, spec := range []*yardarmv1.GateSpec{freeze("c1"), freeze()} {
		h := settled(t, 2, &yardarmv1.Stage{Concurrency: "100%", FailureBudget: "0"})
		h.publish().gate("keep", spec)
		h.report("c1", yardarmv1.PhaseFailed)
		h.step()
		if spec.Clusters != nil {
			h.expect("12 RollingBack Gate") // the other one never moved
		} else {
			h.expect("22 RollingBack Gate")
		}
		st := h.show().Status
		if len(st.Gates) != 1 || st.Gates[0].Gate != "keep" || st.WaitsFor != yardarmv1.RolloutWaitGate {
			t.Errorf("%v", st)
		}
		h.gate("keep", nil).step()
		h.expect("11 RollingBack Clusters").all(yardarmv1.PhaseReady).expect("11 RolledBack")
	}
}

// A window holds up no rollback.
func TestDriverReturnsOutsideAWindow(t *testing.T) {
	h := settled(t, 2, &yardarmv1.Stage{Concurrency: "100%", FailureBudget: "0"})
	h.publish().gate("nightly", windowOf(yardarmv1.WindowAllow, "0 22 * * *", time.Hour))
	h.report("c1", yardarmv1.PhaseFailed)
	h.step().expect("11 RollingBack Clusters")
}

// An override is for one revision, on as often as that is tried.
func TestDriverOverridesGates(t *testing.T) {
	h := settled(t, 2, &yardarmv1.Stage{Concurrency: "100%", FailureBudget: "0"})
	h.gate("all", freeze()).publish().expect("11 Progressing Gate")
	if err := h.steer(yardarmv1.ActionOverride); err != nil {
		t.Fatal(err)
	}
	h.expect("22 Progressing Clusters")
	if err := h.steer(yardarmv1.ActionOverride); err == nil {
		t.Error("it is overridden twice")
	}
	st := h.show().Status
	if n := len(st.Actions); !st.GatesOverridden || n != 1 || st.Actions[0].Action != yardarmv1.ActionOverride || len(st.Gates) != 0 {
		t.Errorf("%v", st)
	}
	h.report("c1", yardarmv1.PhaseFailed)
	h.step().all(yardarmv1.PhaseReady).expect("11 RolledBack")
	if err := h.steer(yardarmv1.ActionRetry); err != nil {
		t.Fatal(err)
	}
	h.expect("22 Progressing Clusters").all(yardarmv1.PhaseReady).expect("22 Completed")
	h.publish().all(yardarmv1.PhaseReady).expect("22 Progressing Gate")
}

// While clusters soak, a gate that shuts does not have them begin anew.
func TestDriverSoaksThroughGates(t *testing.T) {
	h := settled(t, 2, &yardarmv1.Stage{Clusters: 1, Soak: durationpb.New(10 * time.Minute)}, &yardarmv1.Stage{})
	h.now += time.Hour
	h.step().publish().all(yardarmv1.PhaseReady)
	soaking := h.picture()
	h.after(9 * time.Minute)
	h.gate("all", freeze()).step().expect(soaking)
	h.after(time.Minute).expect("21 Progressing Gate")
}

// A clock that is off by an hour or a year, either way, ends no soak and makes none longer.
func TestDriverSoaksByNoClock(t *testing.T) {
	const year = 365 * 24 * time.Hour
	h := settled(t, 2, &yardarmv1.Stage{Clusters: 1, Soak: durationpb.New(10 * time.Minute)}, &yardarmv1.Stage{})
	h.now += time.Hour
	h.step().publish().all(yardarmv1.PhaseReady)
	soaking := h.picture()
	for _, set := range []time.Duration{time.Hour, -time.Hour, year, -year} {
		h.set = set
		h.after(2 * time.Minute).expect(soaking)
	}
	h.after(2 * time.Minute).expect("22 Progressing Clusters")
}

// What the moment says is for its time. A clock that somebody sets back does not open a gate, and one that is set forward does not wait.
func TestDriverFollowsTheClock(t *testing.T) {
	h := settled(t, 1, &yardarmv1.Stage{})
	h.gate("noon", windowOf(yardarmv1.WindowAllow, "0 12 * * *", time.Hour)).gate("hold", freeze()).publish().expect("1 Progressing Gate")
	h.set = -2 * time.Hour
	h.gate("hold", nil).step().expect("1 Progressing Gate")
	h.set = 0
	h.after(time.Second).expect("2 Progressing Clusters")
	h.all(yardarmv1.PhaseReady).publish().expect("3 Progressing Clusters").all(yardarmv1.PhaseReady)
	h.set = -2 * time.Hour
	h.publish().expect("3 Progressing Gate")
}

// A gate that is written while the driver decides is passed by nothing that it has decided.
func TestDriverPassesNoGateThatWasJustWritten(t *testing.T) {
	h := settled(t, 1, &yardarmv1.Stage{})
	h.update(func(tx *store.Tx) error {
		b := tx.Bundle(theBundle)
		next := &yardarmv1.Bundle{Metadata: b.Metadata, Spec: b.Spec, Status: &yardarmv1.BundleStatus{LatestRevision: 2}}
		return errors.Join(tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RevisionSpec{
			BundleUid: theBundle, Bundle: theBundle, Number: 2, Digest: "sha256:2"}}), tx.PutBundle(next))
	})
	changed := h.driver.sub.Take()
	s := step{Driver: h.driver, tx: newSnapshot(h.store.Read()), now: h.now, time: h.time(), due: map[string]*track{}}
	s.find(changed)
	h.gate("all", freeze())
	if err := s.write(t.Context(), s.advance()); !errors.Is(err, errGates) {
		t.Fatalf("it is written: %v", err)
	}
	h.expect("1 Pending")
	h.driver.looked = false // as Step does
	h.step().expect("1 Progressing Gate")
}

// One timer wakes the driver, at the first of all gates' times and of what rollouts wait for.
func TestDriverWakesForTheFirstGate(t *testing.T) {
	h := settled(t, 1, &yardarmv1.Stage{})
	soon := h.time().Add(20 * time.Minute)
	h.gate("long", freeze())
	h.gate("short", &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{Until: timestamppb.New(soon)}})
	h.publish().expect("1 Progressing Gate")
	if h.wake != h.now+20*time.Minute {
		t.Errorf("it wakes in %v", h.wake-h.now)
	}
	h.gate("long", nil).step().expect("1 Progressing Gate")
	h.now = h.wake
	h.step().expect("2 Progressing Clusters")
	if n := len(slices.Collect(h.store.Read().Gates())); n != 1 {
		t.Errorf("%d gates are left", n)
	}
}
