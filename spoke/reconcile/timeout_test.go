package reconcile

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestTimingOf(t *testing.T) {
	for name, c := range map[string]struct {
		timeout *durationpb.Duration
		want    time.Duration
	}{
		"nothing said": {nil, 10 * time.Minute},
		"said":         {durationpb.New(time.Minute), time.Minute},
		"negative":     {durationpb.New(-time.Minute), 10 * time.Minute},
		"too long":     {durationpb.New(100 * time.Hour), 24 * time.Hour},
		"nonsense":     {&durationpb.Duration{Seconds: 1 << 62, Nanos: -5}, 24 * time.Hour},
	} {
		if got := timingOf(&yardarmv1.DeliveryPolicy{Timeout: c.timeout}, nil, nil, time.Now()).limit; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTiming(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	judge := func(tm *timing, minutes int, partly bool, phase string) string {
		phase, reason, message := tm.judge(at(minutes), partly, phase, "Reason", "why")
		return phase + " " + reason + " " + message
	}
	const progressing, ready = yardarmv1.PhaseProgressing, yardarmv1.PhaseReady

	tm := timing{limit: 10 * time.Minute}
	if got := judge(&tm, 600, true, progressing); got != "Progressing Reason why" || tm.late(at(600), start) {
		t.Errorf("before it began: %s", got)
	}
	if _, ok := tm.due(start); ok {
		t.Error("it is due before it began")
	}
	tm.begin(start)
	tm.begin(at(5)) // a retry begins nothing
	if due, ok := tm.due(at(5)); !ok || !due.Equal(at(10)) {
		t.Errorf("due at %v %v", due, ok)
	}
	for _, c := range []struct {
		minutes int
		partly  bool
		phase   string
		want    string
	}{
		{9, false, progressing, "Progressing Reason why"},
		{10, false, progressing, "Degraded Timeout not ready within 10m0s: why"},
		{10, true, progressing, "Failed Timeout not ready within 10m0s: why"},
		{10, false, yardarmv1.PhaseFailed, "Failed Reason why"},
		{10, false, yardarmv1.PhaseDegraded, "Degraded Reason why"},
		{11, false, ready, "Ready Reason why"},
		{60, false, progressing, "Progressing Reason why"}, // it was ready
	} {
		if got := judge(&tm, c.minutes, c.partly, c.phase); got != c.want {
			t.Errorf("after %d min, %s: %s, want %s", c.minutes, c.phase, got, c.want)
		}
	}
	if _, ok := tm.due(at(60)); ok {
		t.Error("it is due though it was ready")
	}
	if tm.late(at(60), at(51)) || !tm.late(at(60), at(50)) {
		t.Error("once it was ready, each object has its own time")
	}
}

// A spoke that is restarted goes on measuring, whatever becomes of the clock meanwhile.
func TestTimingAfterARestart(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const limit = 10 * time.Minute
	for name, c := range map[string]struct {
		kept    *spokev1.Beginning
		left    time.Duration // until it is overdue; 0: it has not begun
		stamp   time.Time
		reached bool
	}{
		"nothing is kept":    {kept: nil},
		"another assignment": {kept: &spokev1.Beginning{AssignmentHash: []byte("old"), BeginTime: timestamppb.New(now.Add(-time.Hour))}},
		"under way":          {kept: begun(now.Add(-4*time.Minute), false), left: 6 * time.Minute, stamp: now.Add(-4 * time.Minute)},
		"was ready":          {kept: begun(now.Add(-4*time.Minute), true), left: 6 * time.Minute, stamp: now.Add(-4 * time.Minute), reached: true},
		"down for long":      {kept: begun(now.Add(-time.Hour), false), left: time.Minute, stamp: now.Add(-time.Hour)},
		"set by years":       {kept: begun(time.Unix(0, 0), false), left: time.Minute, stamp: time.Unix(0, 0)},
		"set back":           {kept: begun(now.Add(time.Hour), false), left: limit, stamp: now},
		"no time":            {kept: &spokev1.Beginning{AssignmentHash: []byte("new")}, left: time.Minute, stamp: time.Unix(0, 0)},
	} {
		tm := timingOf(&yardarmv1.DeliveryPolicy{Timeout: durationpb.New(limit)}, []byte("new"), c.kept, now)
		due, ok := tm.due(now)
		if ok != (c.left > 0 && !c.reached) || ok && due.Sub(now) != c.left || tm.reached != c.reached {
			t.Errorf("%s: due in %v %v, reached %v", name, due.Sub(now), ok, tm.reached)
		}
		tm.begin(now.Add(time.Minute)) // a restart begins nothing anew
		if next := tm.beginning(); c.left > 0 && (!next.BeginTime.AsTime().Equal(c.stamp) || string(next.AssignmentHash) != "new" || next.Reached != c.reached) {
			t.Errorf("%s: the next process is told %v", name, next)
		}
	}
	// A short timeout has a short while for a look.
	tm := timingOf(&yardarmv1.DeliveryPolicy{Timeout: durationpb.New(20 * time.Second)}, []byte("new"), begun(now.Add(-time.Hour), false), now)
	if due, _ := tm.due(now); due.Sub(now) != 2*time.Second {
		t.Errorf("due in %v", due.Sub(now))
	}
}

func begun(at time.Time, reached bool) *spokev1.Beginning {
	return &spokev1.Beginning{AssignmentHash: []byte("new"), BeginTime: timestamppb.New(at), Reached: reached}
}

// Restarts do not make an assignment young again, and one that was ready in time stays so.
func TestTimeoutOutlivesRestarts(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	policy := &yardarmv1.DeliveryPolicy{Timeout: durationpb.New(time.Minute)}
	spec := e.assign(assignment{bundle: "web", revision: 1, objects: []string{deployment}, delivery: policy})
	s.awaitPhase("web", yardarmv1.PhaseProgressing)
	kept := func() *spokev1.Beginning { return e.state.Entries()[0].Beginning }
	e.until("its beginning is kept", func() bool { return string(kept().GetAssignmentHash()) == string(spec.Hash) })
	s.stop()
	first := kept()
	for range 2 {
		s = e.start()
		s.awaitPhase("web", yardarmv1.PhaseProgressing)
		s.stop()
	}
	if got := kept(); !proto.Equal(got, first) {
		t.Errorf("it began %v, and after restarts %v", first, got)
	}
	// Its minute passes while the spoke is down, and it is looked at first.
	e.state.change(func() {
		entry := e.state.entries["web"]
		entry.Beginning = proto.CloneOf(first)
		entry.Beginning.BeginTime = timestamppb.New(first.BeginTime.AsTime().Add(-time.Minute))
		e.state.entries["web"] = entry
	})
	s = e.start()
	r := s.await("web", "it is late", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseDegraded })
	if r.Reason != "Timeout" {
		t.Errorf("report: %v", r)
	}
	e.available(1, 1)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.until("that it was ready is kept", func() bool { return kept().Reached })
	s.stop()
	e.available(1, 0)
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseProgressing)
}

// What was to be removed and is assigned again begins anew, though it be the same assignment.
func TestTimeoutBeginsAnewAfterARemoval(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	a := assignment{bundle: "web", revision: 1, objects: []string{deployment}, delivery: &yardarmv1.DeliveryPolicy{Timeout: durationpb.New(5 * time.Second)}}
	late := func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseDegraded && r.Reason == "Timeout" }
	e.assign(a)
	s.await("web", "it is late", late)
	e.policy.set("freeze: {reason: stocktaking}")
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	s.await("web", "its removal is frozen", func(r *yardarmv1.Report) bool { return r.Reason == yardarmv1.ReasonFrozen })
	e.assign(a)
	e.policy.set("")
	s.await("web", "it has time again", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseProgressing && r.Objects.Applied == 1 })
	s.await("web", "it is late again", late)
}

// An assignment that takes too long is degraded and says what is not ready; the spoke goes on, and it can still become ready.
func TestAssignmentThatIsLate(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	policy := &yardarmv1.DeliveryPolicy{Timeout: durationpb.New(2 * time.Second)}
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{configMap("m0", "one"), deployment}, delivery: policy})
	s.await("web", "it is waited for", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseProgressing && r.Objects.Applied == 2 })
	r := s.awaitPhase("web", yardarmv1.PhaseDegraded)
	if r.Reason != "Timeout" || !strings.Contains(r.Message, "not ready within 2s") || !strings.Contains(r.Message, "Deployment "+e.ns+"/web") {
		t.Errorf("report: %v", r)
	}
	e.delete("m0")
	e.until("m0 is there again", func() bool { return e.get("m0") != nil })
	e.available(1, 1)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	// What happens later has a time of its own.
	e.available(1, 0)
	s.awaitPhase("web", yardarmv1.PhaseProgressing)
	s.await("web", "it is late again", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseDegraded && r.Reason == "Timeout" })
}

// What waits for another bundle has not begun, and so is not late; what finalizers hold up is.
func TestWhatCountsForTheTimeout(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	policy := needs("", "base")
	policy.Timeout = durationpb.New(time.Second)
	held := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}"
	e.assign(assignment{bundle: "app", revision: 1, objects: several(1, "one"), delivery: policy},
		assignment{bundle: "base", revision: 1, objects: []string{held, configMap("b0", "one")}})
	s.awaitPhase("app", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "base", revision: 2, objects: []string{configMap("b0", "one")}, delivery: &yardarmv1.DeliveryPolicy{Timeout: durationpb.New(2 * time.Second)}},
		assignment{bundle: "app", revision: 2, objects: several(1, "two"), delivery: policy})
	s.awaitPhase("app", yardarmv1.PhasePending)
	r := s.awaitPhase("base", yardarmv1.PhaseDegraded)
	if r.Reason != "Timeout" || !strings.Contains(r.Message, "example.com/hold") {
		t.Errorf("report: %v", r)
	}
	r = s.await("app", "it knows", func(r *yardarmv1.Report) bool { return strings.Contains(r.Message, "base is Degraded") })
	if r.Phase != yardarmv1.PhasePending {
		t.Errorf("report: %v", r)
	}
	e.edit("held", `{"metadata":{"finalizers":null}}`)
	s.awaitPhase("app", yardarmv1.PhaseReady)
}
