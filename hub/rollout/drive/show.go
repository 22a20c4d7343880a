package drive

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
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
	out.Status.GatesOverridden, out.Status.Supersedes = row.Override, row.Supersedes
	out.Spec.Strategy, out.Status.Begun, out.Status.Since, out.Status.Actions = row.Strategy, row.Begun, row.Since, row.Actions
	for i, s := range row.Stages {
		out.Status.Stages = append(out.Status.Stages, &yardarmv1.StageStatus{Name: s.Name, Clusters: s.Done, Done: s.Done, Concurrency: s.Concurrency,
			FailureBudget: s.Budget, Approval: stageOf(row, uint32(i)).GetApproval(), Approved: s.Approved})
	}
	if row.Unconfirmed {
		out.Status.Confirmation = rollout.Confirmation(tx.Revision(uid, row.Revision).GetSpec().GetStorageChanges())
	}
	sh := shower{tx: tx, bundle: b, row: row, sees: sees, out: out.Status, holds: newHolds(tx, b, row, now)}
	sh.members()
	out.Status.Gates = sh.holds.show()
	return proto.CloneOf(out)
}

// stageOf is what the strategy says of a stage; nil where it says nothing, as in the row of a newer hub.
func stageOf(row *storev1.Rollout, i uint32) *yardarmv1.Stage {
	if stages := row.Strategy.GetStages(); int(i) < len(stages) {
		return stages[i]
	}
	return nil
}

// shower shows what has become of a rollout's clusters.
type shower struct {
	tx     *store.ReadTx
	bundle *yardarmv1.Bundle
	row    *storev1.Rollout
	sees   func(*yardarmv1.Cluster) bool
	out    *yardarmv1.RolloutStatus
	holds  *holds
}

// shown is a cluster that somebody may want to look at.
type shown struct {
	store.RolloutMember
	name string
	away bool
	rank int
}

func (s *shower) members() {
	var members []store.RolloutMember
	var worth []shown
	away := &yardarmv1.RolloutNames{}
	for m := range s.tx.RolloutMembers(s.row.BundleUid) {
		c, state := s.tx.Cluster(m.UID), rollout.State(m.State)
		if c == nil || state == rollout.Left || int(m.Stage) >= len(s.out.Stages) {
			continue
		}
		members = append(members, m)
		p := s.tx.Presence(m.UID)
		is := shown{RolloutMember: m, name: c.Metadata.Name, away: p == nil || p.State != yardarmv1.PresenceConnected}
		count(s.out.Stages[m.Stage], m, is.away)
		if !is.away {
			s.holds.add(m)
		} else if state != rollout.Done && state != rollout.Unmoved {
			s.name(away, c)
		}
		if is.rank = rank(state, is.away); is.rank != noRank && s.sees(c) {
			worth = append(worth, is)
		}
	}
	s.clusters(worth)
	s.origins(members)
	s.out.Away, s.out.Late, s.out.Joined = sorted(away), s.arrivals(s.row.Late), s.arrivals(s.row.Joined)
	pace := s.row.Pace
	if rollout.Phase(s.row.Phase) != rollout.Completed {
		pace = paceOf(members)
	}
	s.out.Pace = s.pace(pace)
}

// troubled are the states of clusters that hold a rollout up, those first that do so the most.
var troubled = []rollout.State{rollout.Failed, rollout.Lost, rollout.Given, rollout.Returning, rollout.Entering}

// noRank is that of clusters that are as one would have them.
const noRank = -1

// rank is the order in which clusters are shown.
func rank(s rollout.State, away bool) int {
	i := slices.Index(troubled, s)
	switch {
	case i >= 0:
		return i
	case s == rollout.Done, s == rollout.Unmoved:
		return noRank
	case away:
		return len(troubled)
	case s == rollout.Returned:
		return len(troubled) + 1
	}
	return noRank
}

// clusters lists those that somebody may want to look at.
func (s *shower) clusters(worth []shown) {
	slices.SortFunc(worth, func(a, b shown) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Since, b.Since), strings.Compare(a.name, b.name))
	})
	for _, c := range worth[:min(len(worth), maxShown)] {
		s.out.Clusters = append(s.out.Clusters, &yardarmv1.RolloutCluster{
			Cluster: c.name, Stage: s.row.Stages[c.Stage].Name, State: rollout.State(c.State).String(), Revision: c.Runs, FromRevision: c.From,
			GoodRevision: c.Good, FailedBefore: c.Prior, Away: c.away, Since: s.since(c.RolloutMember), Due: s.due(c.RolloutMember)})
	}
}

// origins counts which revisions the members ran before.
func (s *shower) origins(members []store.RolloutMember) {
	ran := map[uint32]uint32{}
	for _, m := range members {
		ran[m.From]++
	}
	for _, revision := range slices.Backward(slices.Sorted(maps.Keys(ran))) {
		s.out.Origins = append(s.out.Origins, &yardarmv1.RolloutOrigin{Revision: revision, Clusters: ran[revision]})
	}
}

// since is when a member came into its state.
func (s *shower) since(m store.RolloutMember) *timestamppb.Timestamp {
	return timestamppb.New(s.row.Begun.AsTime().Add(seconds(m.Since)))
}

// due is when time alone decides about a member that is to run the revision.
func (s *shower) due(m store.RolloutMember) *timestamppb.Timestamp {
	if rollout.State(m.State) != rollout.Given {
		return nil
	}
	stage := stageOf(s.row, m.Stage)
	observed := s.tx.ObservedBundle(m.UID, s.row.BundleUid)
	desired := placement.DesiredOf(s.tx, s.tx.Cluster(m.UID), s.bundle)
	if r := observed.GetReport(); r.GetPhase() == yardarmv1.PhaseReady && bytes.Equal(r.GetAssignmentHash(), desired.GetHash()) {
		return timestamppb.New(observed.GetReceived().AsTime().Add(stage.GetSoak().AsDuration()))
	}
	deadline := rollout.Deadline(stage, timeoutOf(s.tx.Revision(s.row.BundleUid, s.row.Revision)))
	return timestamppb.New(s.since(m).AsTime().Add(deadline))
}

// name adds a cluster to some of which the names are told.
func (s *shower) name(to *yardarmv1.RolloutNames, c *yardarmv1.Cluster) {
	to.Clusters++
	if s.sees(c) {
		to.Names = append(to.Names, c.GetMetadata().GetName())
	}
}

// sorted is nil for none.
func sorted(names *yardarmv1.RolloutNames) *yardarmv1.RolloutNames {
	if names.Clusters == 0 {
		return nil
	}
	slices.Sort(names.Names)
	names.Names = names.Names[:min(len(names.Names), maxShown)]
	return names
}

// arrivals shows those of whom the row has kept that they came later than the others. Who is gone is counted, as it came.
func (s *shower) arrivals(kept *storev1.RolloutArrivals) *yardarmv1.RolloutNames {
	out := &yardarmv1.RolloutNames{Clusters: kept.GetClusters()}
	for _, uid := range kept.GetUids() {
		if c := s.tx.Cluster(uid); c != nil && s.sees(c) {
			out.Names = append(out.Names, c.GetMetadata().GetName())
		}
	}
	return sorted(out)
}

func (s *shower) pace(p *storev1.RolloutPace) *yardarmv1.RolloutPace {
	if p == nil {
		return nil
	}
	out := &yardarmv1.RolloutPace{Clusters: p.Clusters, Median: durationpb.New(seconds(p.Median)), Slowest: durationpb.New(seconds(p.Slowest))}
	if c := s.tx.Cluster(p.SlowestUid); c != nil && s.sees(c) {
		out.SlowestCluster = c.GetMetadata().GetName()
	}
	return out
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

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
