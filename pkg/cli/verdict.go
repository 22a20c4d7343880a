package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// question is what somebody waits for: that a revision is ready everywhere.
type question struct {
	bundle   string
	revision uint32
	// ignoreAbsent leaves out clusters that are stale or have never connected.
	ignoreAbsent bool
	// failFast ends the wait with the first cluster that has failed or holds. Degraded ones may heal.
	failFast bool
	// allowNone takes a bundle without clusters for ready.
	allowNone bool
}

// answer is what is to be said now.
type answer string

const (
	// answerWait: not yet.
	answerWait answer = "wait"
	// answerReady: in all clusters.
	answerReady answer = "ready"
	// answerFailed: in some cluster it cannot become so without somebody doing something.
	answerFailed answer = "failed"
	// answerStopped: its rollout has failed, and waits for somebody.
	answerStopped answer = "stopped"
	// answerRolledBack: its rollout has failed, and the clusters that it had reached go back, or went back.
	answerRolledBack answer = "rolled back"
	// answerApproval: its rollout waits for an approval, or a confirmation.
	answerApproval answer = "approval"
	// answerSuperseded: the bundle has moved on to another revision.
	answerSuperseded answer = "superseded"
	// answerGone: the bundle has been deleted.
	answerGone answer = "gone"
	// answerNone: no cluster is to run it.
	answerNone answer = "none"
)

// verdict is the answer to a question, and what it rests on.
type verdict struct {
	answer answer
	// asked is the revision that the question is about.
	asked uint32
	// ready of total clusters; those left out are in neither.
	ready, total int
	// absent are the clusters left out.
	absent int
	// revision is what the bundle has moved on to, when superseded.
	revision uint32
	// unpublished says that there is no such revision yet.
	unpublished bool
	// blocking are the assignments that are not ready, worst first, then by cluster.
	blocking []*yardarmv1.Assignment
}

// judge answers a question from the state of the fleet. It is pure. bundle is nil once it is deleted. The assignments may include those of other
// revisions: of a later one, which ends the wait, or of an earlier one, whose clusters have yet to be given this one.
func judge(q question, bundle *yardarmv1.Bundle, assignments []*yardarmv1.Assignment) verdict {
	v := verdict{asked: q.revision}
	if bundle == nil {
		v.answer = answerGone
		return v
	}
	newest := bundle.GetStatus().GetLatestRevision()
	failing, holding := false, false
	for _, x := range assignments {
		if !assigned(x) && !awaited(x) {
			// The cluster removes it, or holds it until somebody decides. Neither is about this revision.
			continue
		}
		newest = max(newest, x.GetSpec().GetRevision())
		phase := x.GetStatus().GetPhase()
		switch {
		case q.ignoreAbsent && (phase == yardarmv1.PhaseStale || phase == yardarmv1.PhaseNeverConnected):
			v.absent++
			continue
		}
		v.total++
		if x.GetSpec().GetRevision() == q.revision && phase == yardarmv1.PhaseReady {
			v.ready++
			continue
		}
		v.blocking = append(v.blocking, x)
		if x.GetSpec().GetRevision() == q.revision {
			failing, holding = failing || phase == yardarmv1.PhaseFailed, holding || phase == yardarmv1.PhaseHeld
		}
	}
	slices.SortStableFunc(v.blocking, func(a, b *yardarmv1.Assignment) int {
		return cmp.Or(cmp.Compare(severity(a), severity(b)), strings.Compare(a.GetSpec().GetCluster(), b.GetSpec().GetCluster()))
	})
	rollout := bundle.GetStatus().GetRollout()
	underway := rollout != nil && rollout.GetPhase() != yardarmv1.RolloutCompleted
	// Of a failure, a rollout that goes on says itself whether it is one too many.
	fatal := holding || failing && !(underway && rollout.GetWaitsFor() == yardarmv1.RolloutWaitClusters)
	switch {
	case newest > q.revision:
		v.answer, v.revision = answerSuperseded, newest
	case newest < q.revision:
		v.answer, v.unpublished = answerWait, true
	case rollout.GetPhase() == yardarmv1.RolloutRollingBack, rollout.GetPhase() == yardarmv1.RolloutRolledBack:
		v.answer = answerRolledBack
	case rollout.GetPhase() == yardarmv1.RolloutPaused && rollout.GetFailure() != "":
		v.answer = answerStopped
	case fatal && q.failFast:
		v.answer = answerFailed
	case rollout.GetWaitsFor() == yardarmv1.RolloutWaitApproval, rollout.GetWaitsFor() == yardarmv1.RolloutWaitConfirmation:
		v.answer = answerApproval
	case underway:
		v.answer = answerWait
	case len(assignments) < int(bundle.GetStatus().GetClusters().GetTotal()) && v.ready == v.total:
		// Two watches tell of the bundle and of its assignments: the second is behind, as just after a first revision.
		v.answer = answerWait
	case v.total == 0 && q.allowNone:
		v.answer = answerReady
	case v.total == 0:
		v.answer = answerNone
	case v.ready == v.total:
		v.answer = answerReady
	default:
		v.answer = answerWait
	}
	return v
}

// assigned tells an assignment from what a cluster still holds though nothing assigns it, which the hub lists among them, with the revision that was
// reported. Only the former has a size: every artifact holds an object.
func assigned(x *yardarmv1.Assignment) bool { return x.GetSpec().GetSize() > 0 }

// awaited tells that the bundle is for a cluster which has yet to be given any of it, as before its first rollout has begun.
func awaited(x *yardarmv1.Assignment) bool {
	return !assigned(x) && (x.GetSpec().GetRevision() == 0 || x.GetStatus().GetPhase() == yardarmv1.PhasePending)
}

// phasesBySeverity is in the order in which somebody should look at them.
var phasesBySeverity = []string{
	yardarmv1.PhaseFailed, yardarmv1.PhaseHeld, yardarmv1.PhaseDegraded, yardarmv1.PhaseStale, yardarmv1.PhaseNeverConnected,
	yardarmv1.PhaseProgressing, yardarmv1.PhaseRemoving, yardarmv1.PhasePending, yardarmv1.PhaseReady,
}

func severity(x *yardarmv1.Assignment) int {
	if i := slices.Index(phasesBySeverity, x.GetStatus().GetPhase()); i >= 0 {
		return i
	}
	return len(phasesBySeverity)
}

// progress is the verdict in a few words: "1 of 3 clusters ready (1 Failed, 1 Progressing)".
func (v verdict) progress() string {
	count := make(map[string]int)
	elsewhere := 0
	for _, x := range v.blocking {
		if x.GetSpec().GetRevision() != v.asked && !awaited(x) {
			elsewhere++
			continue
		}
		count[cmp.Or(x.GetStatus().GetPhase(), yardarmv1.PhasePending)]++
	}
	var parts []string
	for _, phase := range phasesBySeverity {
		if count[phase] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[phase], phase))
		}
	}
	if elsewhere > 0 {
		parts = append(parts, fmt.Sprintf("%d at another revision", elsewhere))
	}
	text := fmt.Sprintf("%d of %s ready", v.ready, plural(v.total, "cluster"))
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	if v.absent > 0 {
		text += fmt.Sprintf(", %d not there and left out", v.absent)
	}
	return text
}
