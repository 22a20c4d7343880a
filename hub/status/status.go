// Package status tells what is known of an assignment: the effective phase, from what a spoke reported and from whether
// that spoke is there. It is pure; the API shows what it says, and nothing else judges readiness.
package status

import (
	"bytes"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reasons of phases that the hub gives.
const (
	ReasonNotReported     = "NotReported"
	ReasonUnconfirmed     = "Unconfirmed"
	ReasonHubRestarted    = "HubRestarted"
	ReasonSpokeStale      = "SpokeStale"
	ReasonSpokeNeverSeen  = "SpokeNeverConnected"
	ReasonOlderAssignment = "OlderAssignment"
)

// Input is what is known when an assignment is judged.
type Input struct {
	// Assignment is what the cluster is to run; nil for something that a cluster still holds though nothing assigns it.
	Assignment *yardarmv1.AssignmentSpec
	// Presence is one of the domain's words; empty counts as never connected.
	Presence string
	// LastSeen is when the spoke was last heard; ignored while it is connected.
	LastSeen time.Time
	// Confirmed says that Report is known to be what the spoke observes now.
	Confirmed bool
	// Report is the newest one; nil where there is none.
	Report *yardarmv1.Report
	// Now is the hub's clock.
	Now time.Time
}

// Of judges an assignment. A stale value never counts as ready, and a report counts for the assignment it names only.
func Of(in Input) *yardarmv1.AssignmentStatus {
	st := &yardarmv1.AssignmentStatus{Report: in.Report}
	if in.Report != nil {
		st.AsOf = timestamppb.New(in.LastSeen)
		if in.Presence == yardarmv1.PresenceConnected && in.Confirmed {
			st.AsOf = timestamppb.New(in.Now)
		}
	}
	st.Phase, st.Reason, st.Message = judge(in)
	return st
}

func judge(in Input) (phase, reason, message string) {
	switch in.Presence {
	case yardarmv1.PresenceConnected:
	case yardarmv1.PresenceStale:
		message = "its spoke has not been heard since " + in.LastSeen.UTC().Format(time.RFC3339)
		if in.Report != nil {
			message += fmt.Sprintf("; it then reported revision %d %s", in.Report.Revision, in.Report.Phase)
		}
		return yardarmv1.PhaseStale, ReasonSpokeStale, message
	case yardarmv1.PresenceUnknown:
		return yardarmv1.PhasePending, ReasonHubRestarted, "the hub has restarted, and the spoke has not come back yet"
	default:
		return yardarmv1.PhaseNeverConnected, ReasonSpokeNeverSeen, "its spoke has never connected"
	}
	r := in.Report
	switch {
	case r == nil:
		return yardarmv1.PhasePending, ReasonNotReported, "the spoke has not reported on it yet"
	case !in.Confirmed:
		return yardarmv1.PhasePending, ReasonUnconfirmed, "the spoke is connected and has not confirmed its last report yet"
	case r.Phase == yardarmv1.PhaseHeld, in.Assignment == nil:
		return r.Phase, r.Reason, r.Message
	case !bytes.Equal(r.AssignmentHash, in.Assignment.Hash):
		return yardarmv1.PhasePending, ReasonOlderAssignment,
			fmt.Sprintf("the spoke's report is still about revision %d (%s)", r.Revision, r.Phase)
	}
	return r.Phase, r.Reason, r.Message
}

// Drifted tells whether an assignment counts as drifted: as long as what its drift was reported with does.
func Drifted(st *yardarmv1.AssignmentStatus) bool {
	return st.GetReport().GetObjects().GetDrifted() > 0 && st.GetReport().GetPhase() == st.GetPhase()
}

// Count adds one assignment.
func Count(c *yardarmv1.PhaseCounts, st *yardarmv1.AssignmentStatus) {
	Add(c, st.GetPhase(), Drifted(st), 1)
}

// Add adds n assignments of a phase, or takes them away where n is negative.
func Add(c *yardarmv1.PhaseCounts, phase string, drifted bool, n int) {
	c.Total += uint32(n) // wraps around, and so subtracts
	if drifted {
		c.Drifted += uint32(n)
	}
	*counter(c, phase) += uint32(n)
}

func counter(c *yardarmv1.PhaseCounts, phase string) *uint32 {
	switch phase {
	case yardarmv1.PhaseReady:
		return &c.Ready
	case yardarmv1.PhaseProgressing, yardarmv1.PhaseRemoving:
		return &c.Progressing
	case yardarmv1.PhaseFailed, yardarmv1.PhaseDegraded:
		return &c.Failed
	case yardarmv1.PhaseHeld:
		return &c.Held
	case yardarmv1.PhaseStale:
		return &c.Stale
	case yardarmv1.PhaseNeverConnected:
		return &c.NeverConnected
	}
	return &c.Pending
}
