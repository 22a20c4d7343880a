package cli

import (
	"fmt"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// rolloutText is how a bundle's rollout stands, as in "3: canary", "3: awaits approval of rest", "3: rest, held by a gate" or "3: rolled back"; "-" once it is complete.
func rolloutText(b *yardarmv1.Bundle) string {
	if !rollsOut(b) {
		return "-"
	}
	r := b.GetStatus().GetRollout()
	return fmt.Sprintf("%d: %s", r.GetRevision(), rolloutPhase(r))
}

// rolloutIn is a line about a rollout that has not come to its end, and where more is said of it.
func (a *app) rolloutIn(b *yardarmv1.Bundle) string {
	text := table.Paint(table.Clean(rolloutText(b)), phaseColor(rolloutColor(b.GetStatus().GetRollout())), a.colors())
	if failure := b.GetStatus().GetRollout().GetFailure(); failure != "" {
		text += " (" + table.Clean(failure) + ")"
	}
	return fmt.Sprintf("rollout of revision %s; 'yardarm rollout status %s' says more", text, typeName(b))
}

// rollsOut tells whether the latest revision has not come to the end of its rollout.
func rollsOut(b *yardarmv1.Bundle) bool {
	r := b.GetStatus().GetRollout()
	return r != nil && r.GetPhase() != yardarmv1.RolloutCompleted
}

// rolloutPhase is the phase in words, with what is waited for.
func rolloutPhase(r *yardarmv1.RolloutSummary) string {
	switch phase := r.GetPhase(); {
	case phase == yardarmv1.RolloutProgressing && r.GetWaitsFor() == yardarmv1.RolloutWaitApproval:
		return "awaits approval of " + r.GetStage()
	case phase == yardarmv1.RolloutProgressing && r.GetWaitsFor() == yardarmv1.RolloutWaitConfirmation:
		return "awaits confirmation"
	case phase == yardarmv1.RolloutProgressing && r.GetWaitsFor() == yardarmv1.RolloutWaitGate:
		return r.GetStage() + ", held by a gate"
	case phase == yardarmv1.RolloutProgressing && r.GetWaitsFor() == yardarmv1.RolloutWaitPresence:
		return r.GetStage() + ", until clusters come back"
	case phase == yardarmv1.RolloutProgressing:
		return r.GetStage()
	case phase == yardarmv1.RolloutRollingBack:
		return "going back"
	case phase == yardarmv1.RolloutRolledBack:
		return "rolled back"
	case phase == yardarmv1.RolloutPaused && r.GetFailure() != "":
		return "failed"
	default:
		return strings.ToLower(phase)
	}
}

// rolloutColor is the phase whose colour it has.
func rolloutColor(r *yardarmv1.RolloutSummary) string {
	switch {
	case r == nil || r.GetPhase() == yardarmv1.RolloutCompleted:
		return ""
	case r.GetFailure() != "":
		return yardarmv1.PhaseFailed
	}
	return yardarmv1.PhaseProgressing
}
