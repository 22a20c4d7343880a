package drive

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxShown is how many clusters are listed that somebody may want to look at.
const maxShown = 100

// Show is the rollout of a bundle's latest revision, as of a snapshot and a time; nil where the bundle has none. sees says which clusters may be named.
func Show(tx *store.ReadTx, b *yardarmv1.Bundle, now time.Time, sees func(*yardarmv1.Cluster) bool) *yardarmv1.Rollout {
	uid := b.GetMetadata().GetUid()
	row := tx.Rollout(uid)
	summary := rollout.Summary(b, row)
	if summary == nil {
		return nil
	}
	out := &yardarmv1.Rollout{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindRollout,
		Metadata: &yardarmv1.ObjectMeta{Name: b.GetMetadata().GetName(), Uid: uid},
		Spec:     &yardarmv1.RolloutSpec{Bundle: b.GetMetadata().GetName(), BundleUid: uid, Revision: summary.Revision},
		Status: &yardarmv1.RolloutStatus{Phase: summary.Phase, WaitsFor: summary.WaitsFor, Stage: summary.Stage, Failure: summary.Failure,
			SettledRevision: placement.Settled(tx, b)},
	}
	if row == nil || row.Revision != summary.Revision {
		return out
	}
	out.Status.GatesOverridden = row.Override
	out.Spec.Strategy, out.Status.Begun, out.Status.Since, out.Status.Actions = row.Strategy, row.Begun, row.Since, row.Actions
	for i, s := range row.Stages {
		stage := &yardarmv1.StageStatus{Name: s.Name, Clusters: s.Done, Done: s.Done, Concurrency: s.Concurrency, FailureBudget: s.Budget, Approved: s.Approved}
		if i < len(row.Strategy.GetStages()) {
			stage.Approval = row.Strategy.Stages[i].GetApproval()
		}
		out.Status.Stages = append(out.Status.Stages, stage)
	}
	if row.Unconfirmed {
		out.Status.Confirmation = rollout.Confirmation(tx.Revision(uid, row.Revision).GetSpec().GetStorageChanges())
	}
	holds := newHolds(tx, b, row, now)
	for m := range tx.RolloutMembers(uid) {
		c := tx.Cluster(m.UID)
		if c == nil || rollout.State(m.State) == rollout.Left || int(m.Stage) >= len(out.Status.Stages) {
			continue
		}
		p := tx.Presence(m.UID)
		away := p == nil || p.State != yardarmv1.PresenceConnected
		count(out.Status.Stages[m.Stage], m, away)
		if !away {
			holds.add(m)
		}
		if sees(c) && worthALook(rollout.State(m.State), away) {
			out.Status.Clusters = append(out.Status.Clusters, &yardarmv1.RolloutCluster{
				Cluster: c.Metadata.Name, Stage: row.Stages[m.Stage].Name, State: rollout.State(m.State).String(), Revision: m.Runs, FromRevision: m.From,
				GoodRevision: m.Good, FailedBefore: m.Prior, Away: away})
		}
	}
	slices.SortFunc(out.Status.Clusters, func(a, b *yardarmv1.RolloutCluster) int { return strings.Compare(a.Cluster, b.Cluster) })
	out.Status.Clusters = out.Status.Clusters[:min(len(out.Status.Clusters), maxShown)]
	out.Status.Gates = holds.show()
	return proto.CloneOf(out)
}

// worthALook: it is not as one would have it, or is what is waited for.
func worthALook(s rollout.State, away bool) bool {
	return away || s == rollout.Entering || s == rollout.Given || s == rollout.Failed || s == rollout.Lost || s == rollout.Returning || s == rollout.Returned
}

func count(s *yardarmv1.StageStatus, m store.RolloutMember, away bool) {
	s.Clusters++
	switch rollout.State(m.State) {
	case rollout.Waiting, rollout.Entering:
		s.Waiting++
		if away {
			s.Away++
		}
	case rollout.Given:
		s.Given++
	case rollout.Done, rollout.Unmoved:
		s.Done++
	case rollout.Failed:
		s.Failed++
		if m.Prior {
			s.FailedBefore++
		}
	case rollout.Lost:
		s.Lost++
	case rollout.Returning:
		s.Returning++
	case rollout.Returned:
		s.Returned++
	}
}
