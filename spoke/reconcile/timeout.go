package reconcile

import (
	"fmt"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// defaultTimeout is how long an assignment may take if its policy says nothing: as long as Deployments give themselves.
	defaultTimeout = 10 * time.Minute
	// maxTimeout bounds what a hub may ask for, as the policy's field says.
	maxTimeout = 24 * time.Hour
	// reasonTimeout is that of an assignment, or of an object of one that was ready, that has not become ready in time.
	reasonTimeout = "Timeout"
)

// timing measures an assignment: how long it has taken since it began, until it is ready. What it waited for before it began (its content, its
// dependencies, an operator) does not count: those say so themselves. A spoke that is restarted measures anew.
type timing struct {
	limit   time.Duration
	begun   time.Time // zero before
	reached bool      // it has been ready
}

func timingOf(policy *yardarmv1.DeliveryPolicy) timing {
	limit := policy.GetTimeout().AsDuration()
	if limit <= 0 {
		limit = defaultTimeout
	}
	return timing{limit: min(limit, maxTimeout)}
}

// begin notes that the assignment is being carried out.
func (t *timing) begin(now time.Time) {
	if t.begun.IsZero() {
		t.begun = now
	}
}

// overdue tells whether the assignment should have become ready by now.
func (t *timing) overdue(now time.Time) bool {
	return !t.begun.IsZero() && !t.reached && now.Sub(t.begun) >= t.limit
}

// late tells whether an object that is not ready since then is a failure by now. Once the assignment was ready, each has its own time.
func (t *timing) late(now, since time.Time) bool {
	return t.overdue(now) || t.reached && now.Sub(since) >= t.limit
}

// due answers when the assignment becomes overdue; ok is false if it never does.
func (t *timing) due(now time.Time) (at time.Time, ok bool) {
	return t.begun.Add(t.limit), !t.begun.IsZero() && !t.reached && !t.overdue(now)
}

// judge takes in what follows from the objects, and answers what follows from that and the time. partly says that not every object is applied.
func (t *timing) judge(now time.Time, partly bool, phase, reason, message string) (string, string, string) {
	switch {
	case phase == yardarmv1.PhaseReady:
		t.reached = true
	case phase != yardarmv1.PhaseProgressing || !t.overdue(now):
	case partly:
		return yardarmv1.PhaseFailed, reasonTimeout, t.text() + ": " + message
	default:
		return yardarmv1.PhaseDegraded, reasonTimeout, t.text() + ": " + message
	}
	return phase, reason, message
}

func (t *timing) text() string { return fmt.Sprintf("not ready within %v", t.limit) }
