package status

import (
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestOf(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seen := now.Add(-time.Hour)
	a := &yardarmv1.AssignmentSpec{Bundle: "web", Revision: 2, Hash: []byte("new")}
	ready := &yardarmv1.Report{Phase: yardarmv1.PhaseReady, Revision: 2, AssignmentHash: []byte("new")}
	older := &yardarmv1.Report{Phase: yardarmv1.PhaseReady, Revision: 1, AssignmentHash: []byte("old")}
	held := &yardarmv1.Report{Phase: yardarmv1.PhaseHeld, Reason: "NewerThanHub", Revision: 3, AssignmentHash: []byte("other")}
	removing := &yardarmv1.Report{Phase: yardarmv1.PhaseRemoving, AssignmentHash: []byte("gone")}

	for _, tc := range []struct {
		name          string
		in            Input
		phase, reason string
		asOf          time.Time
	}{
		{"ready", Input{a, yardarmv1.PresenceConnected, seen, true, ready, now}, yardarmv1.PhaseReady, "", now},
		{"another assignment's report", Input{a, yardarmv1.PresenceConnected, seen, true, older, now}, yardarmv1.PhasePending, ReasonOlderAssignment, now},
		{"no report", Input{a, yardarmv1.PresenceConnected, seen, true, nil, now}, yardarmv1.PhasePending, ReasonNotReported, time.Time{}},
		{"unconfirmed is not ready", Input{a, yardarmv1.PresenceConnected, seen, false, ready, now}, yardarmv1.PhasePending, ReasonUnconfirmed, seen},
		{"stale is not ready", Input{a, yardarmv1.PresenceStale, seen, true, ready, now}, yardarmv1.PhaseStale, ReasonSpokeStale, seen},
		{"after a restart of the hub", Input{a, yardarmv1.PresenceUnknown, seen, true, ready, now}, yardarmv1.PhasePending, ReasonHubRestarted, seen},
		{"never connected", Input{a, yardarmv1.PresenceNeverConnected, seen, false, nil, now}, yardarmv1.PhaseNeverConnected, ReasonSpokeNeverSeen, time.Time{}},
		{"no presence at all", Input{Assignment: a, Now: now}, yardarmv1.PhaseNeverConnected, ReasonSpokeNeverSeen, time.Time{}},
		{"held, whatever its hash", Input{a, yardarmv1.PresenceConnected, seen, true, held, now}, yardarmv1.PhaseHeld, "NewerThanHub", now},
		{"nothing assigns it", Input{nil, yardarmv1.PresenceConnected, seen, true, removing, now}, yardarmv1.PhaseRemoving, "", now},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Of(tc.in)
			if got.Phase != tc.phase || got.Reason != tc.reason {
				t.Errorf("phase %s (%s), want %s (%s)", got.Phase, got.Reason, tc.phase, tc.reason)
			}
			if tc.asOf.IsZero() != (got.AsOf == nil) || !tc.asOf.IsZero() && !got.AsOf.AsTime().Equal(tc.asOf) {
				t.Errorf("as of %v, want %v", got.AsOf.AsTime(), tc.asOf)
			}
		})
	}
}

func TestCountCountsEachOnce(t *testing.T) {
	c := &yardarmv1.PhaseCounts{}
	for _, p := range []string{"Ready", "Progressing", "Removing", "Failed", "Degraded", "Held", "Pending", "Stale", "NeverConnected"} {
		Count(c, &yardarmv1.AssignmentStatus{Phase: p, Report: &yardarmv1.Report{Phase: yardarmv1.PhaseReady, Objects: &yardarmv1.ObjectCounts{Drifted: 2}}})
	}
	if sum := c.Ready + c.Progressing + c.Failed + c.Held + c.Pending + c.Stale + c.NeverConnected; c.Total != 9 || sum != 9 {
		t.Errorf("total %d, sum %d, want 9", c.Total, sum)
	}
	// What is stale or about another assignment is not known to drift.
	if c.Drifted != 1 {
		t.Errorf("%d have drifted, want 1", c.Drifted)
	}
}
