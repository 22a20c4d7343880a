package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// defaultTimeout is how long an assignment may take if its policy says nothing: as long as Deployments give themselves.
	defaultTimeout = 10 * time.Minute
	// maxTimeout bounds what a hub may ask for, as the policy's field says.
	maxTimeout = 24 * time.Hour
	// A spoke that starts gives each assignment a share of its timeout to be looked at, whatever the clock says: it may have been down for long, and
	// a machine may set its clock by years just after it has booted.
	startShare, startMax = 10, time.Minute
	// reasonTimeout is that of an assignment, or of an object of one that was ready, that has not become ready in time.
	reasonTimeout = "Timeout"
)

// timing measures an assignment: how long it has taken since it began, until it is ready. What it waited for before it began (its content, its
// dependencies, an operator) does not count: those say so themselves. A spoke that is restarted goes on from what the state keeps.
type timing struct {
	hash    []byte // of the assignment
	limit   time.Duration
	begun   time.Time // zero before; a running process goes by it, whatever becomes of the clock
	stamp   time.Time // what the clock said then, for the next process
	reached bool      // it has been ready
}

// timingOf measures the assignment that has a hash, from now on or from when an earlier process has begun it.
func timingOf(policy *yardarmv1.DeliveryPolicy, hash []byte, kept *spokev1.Beginning, now time.Time) timing {
	limit := policy.GetTimeout().AsDuration()
	if limit <= 0 {
		limit = defaultTimeout
	}
	t := timing{hash: hash, limit: min(limit, maxTimeout)}
	if kept == nil || !bytes.Equal(kept.AssignmentHash, hash) {
		return t
	}
	t.stamp, t.reached = kept.BeginTime.AsTime(), kept.Reached
	passed := now.Sub(t.stamp)
	if passed < 0 { // the clock was set back
		t.stamp, passed = now, 0
	}
	t.begun = now.Add(-min(passed, t.limit-min(t.limit/startShare, startMax)))
	return t
}

// begin notes that the assignment is being carried out.
func (t *timing) begin(now time.Time) {
	if t.begun.IsZero() {
		t.begun, t.stamp = now, now
	}
}

// beginning is what the next process has to know; nil before the beginning.
func (t *timing) beginning() *spokev1.Beginning {
	if t.begun.IsZero() {
		return nil
	}
	return &spokev1.Beginning{AssignmentHash: t.hash, BeginTime: timestamppb.New(t.stamp), Reached: t.reached}
}

// keepBeginning has the state keep since when the assignment is being carried out, and that it was ready in time. What cannot be kept now is kept
// after the next look.
func (b *bundle) keepBeginning(ctx context.Context) {
	now := b.timing.beginning()
	if now == nil || b.finished || proto.Equal(now, b.beginning) {
		return
	}
	if err := b.r.state.Begun(ctx, b.uid, now); err != nil {
		b.logger.Warn("cannot keep since when the assignment is being carried out", "error", err)
		return
	}
	b.beginning = now
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
