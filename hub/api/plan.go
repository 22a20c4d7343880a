package api

import (
	"fmt"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/drive"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// plan is how the latest revision of a bundle would go through its clusters; nil where its rollout has begun, or makes no sense to this hub.
func (v view) plan(b *yardarmv1.Bundle) *yardarmv1.RolloutPlan {
	plan, err := drive.Plan(v.ReadTx, b, v.now, v.seesCluster)
	if err != nil {
		return nil // the driver tells of it
	}
	return plan
}

// stageWarnings tell what a bundle's strategy, if it has one, makes no sense of with the clusters that there are: no mistake by itself, since others come.
func stageWarnings(tx *store.ReadTx, b *yardarmv1.Bundle) []string {
	said := b.GetSpec().GetRollout()
	if len(said.GetStages()) == 0 && said.GetStrategy() == "" {
		return nil
	}
	strategy, err := rollout.Effective(said, tx.Strategy)
	if err != nil {
		return nil
	}
	uid := b.GetMetadata().GetUid()
	var candidates []rollout.Candidate
	for c := range tx.ClustersOf(uid) {
		candidates = append(candidates, rollout.Candidate{UID: c.Metadata.Uid, Labels: c.Metadata.Labels, Groups: tx.GroupsOf(c.Metadata.Uid)})
	}
	return rollout.Warnings(uid, strategy, candidates)
}

// takeoverWarnings tell that a bundle's latest revision ends the rollout of one before.
func takeoverWarnings(tx *store.ReadTx, b *yardarmv1.Bundle) []string {
	latest := b.GetStatus().GetLatestRevision()
	under := rollout.Supersedes(tx.Rollout(b.GetMetadata().GetUid()), latest)
	if under == 0 {
		return nil
	}
	return []string{fmt.Sprintf("revision %d was still under way: revision %d takes over from it, in every cluster from what that runs, and its stages begin anew", under, latest)}
}
