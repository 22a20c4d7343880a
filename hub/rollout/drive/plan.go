package drive

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/gate"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxExamples is how many clusters a planned stage names, as the proto says.
const maxExamples = 3

// Plan is how the latest revision of a bundle would go through its clusters, as of a snapshot, or of a transaction that is about to make the revision, and a
// time: by the driver's own first step. It is nil where the rollout has begun already. sees says which clusters may be named.
func Plan(tx *store.ReadTx, b *yardarmv1.Bundle, now time.Time, sees func(*yardarmv1.Cluster) bool) (*yardarmv1.RolloutPlan, error) {
	set := gate.NewSet(tx.Gates())
	s := &step{Driver: &Driver{placer: placement.NewPlacer(), set: set, moment: set.At(now)}, tx: newSnapshot(tx), time: now}
	t, err := openTrack(s, b.GetMetadata().GetUid(), nil)
	if err != nil || t == nil || !t.begins {
		return nil, err
	}
	out := &yardarmv1.RolloutPlan{Strategy: t.strategy.GetStrategy()}
	held := make([]*holds, len(t.r.Stages))
	for i, stage := range t.r.Stages {
		said := t.strategy.Stages[i]
		out.Stages = append(out.Stages, &yardarmv1.PlannedStage{
			Name: stage.Name, Concurrency: uint32(stage.Concurrency), FailureBudget: uint32(stage.Budget), Tolerant: stage.Tolerant,
			Soak: said.GetSoak(), ProgressDeadline: durationpb.New(stage.Deadline), Approval: said.GetApproval(),
		})
		held[i] = newHolds(tx, b, nil, now)
	}
	for i, m := range t.r.Members {
		if m.State == rollout.Unmoved {
			out.Unmoved++
			continue
		}
		stage := out.Stages[m.Stage]
		stage.Clusters++
		if !t.seen[i].Present {
			stage.Away++
		} else {
			held[m.Stage].hold(m.UID, false)
		}
		if c := tx.Cluster(m.UID); len(stage.Examples) < maxExamples && sees(c) {
			stage.Examples = append(stage.Examples, c.GetMetadata().GetName())
		}
	}
	for i, stage := range out.Stages {
		stage.Gates = held[i].show()
	}
	return out, nil
}
