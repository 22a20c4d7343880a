package rollout

import (
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reached tells whether a stage is under way, or has passed. The row's stages have to be as many as its strategy's.
func Reached(row *storev1.Rollout, stage uint32) bool {
	if row.Unconfirmed {
		return false
	}
	if stage != row.At {
		return stage < row.At
	}
	return row.Strategy.Stages[stage].GetApproval() != yardarmv1.ApprovalBefore || row.Stages[stage].Approved
}

// Summary is what a bundle shows of the rollout of its latest revision; row is the one that there is, nil for none. It is nil where there is nothing to show.
func Summary(b *yardarmv1.Bundle, row *storev1.Rollout) *yardarmv1.RolloutSummary {
	latest := b.GetStatus().GetLatestRevision()
	switch {
	case latest == 0:
		return nil
	case row == nil && latest == b.GetStatus().GetRevision():
		return &yardarmv1.RolloutSummary{Revision: latest, Phase: yardarmv1.RolloutCompleted} // by a hub without rollouts
	case row.GetRevision() < latest || row.GetRetry():
		return &yardarmv1.RolloutSummary{Revision: latest, Phase: yardarmv1.RolloutPending}
	}
	out := &yardarmv1.RolloutSummary{Revision: latest, Phase: Phase(row.Phase).String(), WaitsFor: Wait(row.Wait).String(), Failure: row.Failure}
	if int(row.At) < len(row.Stages) {
		out.Stage = row.Stages[row.At].Name
	}
	return out
}

// Supersedes is the revision under way that the rollout of a later one takes over from; 0 for none. row is the one that there is, of either.
func Supersedes(row *storev1.Rollout, revision uint32) uint32 {
	switch phase := Phase(row.GetPhase()); {
	case row.GetRevision() == revision:
		return row.GetSupersedes()
	case phase == Completed || phase == RolledBack:
		return 0
	}
	return row.GetRevision()
}
