package why

import (
	"bytes"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/status"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reasons of reports that hub/dispatch puts in the place of a spoke's.
const (
	reasonRefused  = "Refused"
	reasonContent  = "ContentUnavailable"
	reasonLanguage = "CustomizationUnsupported"
)

// deliver explains the way to the spoke's disk, and tells whether the assignment has come there.
func (e *explainer) deliver() bool {
	st, p := e.status, e.tx.Presence(e.uid)
	// What the hub says in a spoke's place needs nobody's confirmation.
	refused := e.reported() && p != nil && p.State == yardarmv1.PresenceConnected
	switch r := st.GetReport(); {
	case e.cluster.GetSpec().GetBan() != nil:
		return e.stop(yardarmv1.WhyClusterBanned, "the cluster is banned, and its spoke is not let in",
			"yardarm unban cluster "+e.out.Cluster, e.cluster.GetSpec().GetBan().GetTime())
	case st.GetPhase() == yardarmv1.PhaseHeld && (r.GetReason() == yardarmv1.ReasonNewerThanHub || r.GetReason() == yardarmv1.ReasonUnknownToHub):
		return e.stop(yardarmv1.WhyHeldSinceRestore, r.GetMessage(), e.accept(), r.GetSince())
	case refused && r.GetReason() == reasonLanguage:
		return e.stop(yardarmv1.WhySpokeTooOld, r.GetMessage(), "upgrade the spoke", r.GetSince())
	case refused && r.GetReason() == reasonContent:
		return e.stop(yardarmv1.WhyContentUnavailable, r.GetMessage(), "publish the revision again, or restore the hub's database", r.GetSince())
	case refused && r.GetReason() == reasonRefused:
		e.done("to the spoke", nil)
		return e.stop(yardarmv1.WhySpokeRefuses, r.GetMessage(), "see the spoke's log, and what the message says it lacks", r.GetSince())
	case e.reported():
		d := e.delivery
		if d == nil || !bytes.Equal(d.Hash, e.spec.GetHash()) {
			d = &Delivery{} // before this session
		}
		e.done("to the spoke", stamp(d.Sent))
		e.done("by the spoke", stamp(d.Persisted))
		return true
	case !e.connected():
		return false
	}
	return e.fly()
}

// connected tells whether the spoke is there; where it is not, it says so of the next step.
func (e *explainer) connected() bool {
	p := e.tx.Presence(e.uid)
	heard := ""
	if r := e.status.GetReport(); r != nil {
		heard = fmt.Sprintf("; it then reported revision %d %s", r.GetRevision(), r.GetPhase())
	}
	switch {
	case e.status.GetReason() == status.ReasonSpokeStale:
		return e.stop(yardarmv1.WhyStale, "its spoke has not been heard since "+p.LastSeen.UTC().Format(time.RFC3339)+heard,
			"see whether the cluster is up, and in it: yardarm-spoke preflight", stamp(p.LastSeen))
	case e.status.GetReason() == status.ReasonHubRestarted:
		return e.stop(yardarmv1.WhyHubRestarted, "the hub has restarted, and the spoke has not come back yet"+heard, "", stamp(p.Since))
	case p != nil && p.State == yardarmv1.PresenceConnected:
		return true
	case e.tx.Identity(e.uid) == nil:
		return e.stop(yardarmv1.WhyNotEnrolled, "no spoke has enrolled for the cluster", "yardarm enroll "+e.out.Cluster+", and run what it prints",
			e.cluster.GetMetadata().GetCreationTimestamp())
	}
	return e.stop(yardarmv1.WhyNeverConnected, "its spoke has enrolled and has never connected", "see the spoke's log, and in its cluster: yardarm-spoke preflight",
		e.tx.Identity(e.uid).GetEnrolled())
}

// fly explains where an assignment is of which the spoke has reported nothing yet.
func (e *explainer) fly() bool {
	d, hash := e.delivery, e.spec.GetHash()
	switch {
	case d == nil || !d.Known:
		return e.stop(yardarmv1.WhyNotSent, "the spoke has just connected, and has not said what it holds", "", nil)
	case bytes.Equal(d.Flying, hash):
		e.done("to the spoke", stamp(d.FlyingSince))
		return e.stop(yardarmv1.WhyNotAcknowledged, "the spoke has not acknowledged it yet", "", stamp(d.FlyingSince))
	case bytes.Equal(d.Hash, hash) && !d.Content:
		e.done("to the spoke", stamp(d.Sent))
		return e.stop(yardarmv1.WhyFetchingContent, "the spoke has the assignment, and fetches its content", "", stamp(d.Persisted))
	case bytes.Equal(d.Hash, hash):
		e.done("to the spoke", stamp(d.Sent))
		e.done("by the spoke", stamp(d.Persisted))
		return e.stop(yardarmv1.WhyNotReported, "the spoke has it, and has not reported on it yet", "", stamp(d.Persisted))
	case e.now.Before(d.Paused):
		return e.stop(yardarmv1.WhyNotSent, "the spoke's disk is full; the hub tries again at "+d.Paused.UTC().Format(time.RFC3339), "make room on the spoke's volume", nil)
	case d.Busy:
		return e.stop(yardarmv1.WhyNotSent, "another change is on its way to the spoke, and is to be acknowledged first", "", nil)
	}
	return e.stop(yardarmv1.WhyNotSent, "the hub is about to send it", "", nil)
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
