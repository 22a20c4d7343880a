package reconcile

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

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
		if got := timingOf(&yardarmv1.DeliveryPolicy{Timeout: c.timeout}).limit; got != c.want {
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
