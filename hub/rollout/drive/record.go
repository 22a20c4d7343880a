package drive

import (
	"slices"
	"time"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// What is kept of a rollout for people alone: nothing is decided by it, so it goes by the hub's clock.

// record notes of the i-th member, as it is to be on disk, since when it is in its state and how long it took to be done, and whether it came later than the
// others.
func (t *track) record(row *storev1.Rollout, i int, m *store.RolloutMember, now time.Time) {
	was := t.kept[i]
	known, before, is := was.UID != "", rollout.State(was.State), rollout.State(m.State)
	m.Since, m.Took, m.Joined = was.Since, was.Took, was.Joined
	if !known || before != is {
		m.Since = uint32(max(0, now.Sub(row.Begun.AsTime())) / time.Second)
	}
	switch {
	case t.begins:
	case !known && (m.From == 0 || is == rollout.Entering), before == rollout.Left && is != before, was.From != 0 && m.From == 0:
		m.Joined = true
		row.Joined = arrived(row.Joined, m.UID)
	case before == rollout.Waiting && is == rollout.Given && !m.Joined && m.From != t.r.Revision && t.passed(m.Stage):
		row.Late = arrived(row.Late, m.UID)
	}
	switch {
	case is == rollout.Given:
		m.Took = 0
	case is == rollout.Done && before == rollout.Given:
		m.Took = max(1, m.Since-min(was.Since, m.Since))
	}
}

// passed tells whether the rollout, as it is on disk, is beyond a stage.
func (t *track) passed(stage uint32) bool {
	return stage < t.row.At || rollout.Phase(t.row.Phase) == rollout.Completed
}

// arrived adds a cluster to those that came later.
func arrived(a *storev1.RolloutArrivals, uid string) *storev1.RolloutArrivals {
	if a == nil {
		a = &storev1.RolloutArrivals{}
	}
	if a.Clusters++; len(a.Uids) < maxShown {
		a.Uids = append(a.Uids, uid)
	}
	return a
}

// paceOf is how long those of the members took that were given the revision and are done, or were once; nil if none is.
func paceOf(members []store.RolloutMember) *storev1.RolloutPace {
	var done []store.RolloutMember
	for _, m := range members {
		if m.Took > 0 {
			done = append(done, m)
		}
	}
	if len(done) == 0 {
		return nil
	}
	slices.SortFunc(done, func(a, b store.RolloutMember) int { return int(a.Took) - int(b.Took) })
	slowest := done[len(done)-1]
	return &storev1.RolloutPace{Clusters: uint32(len(done)), Median: done[(len(done)-1)/2].Took, Slowest: slowest.Took, SlowestUid: slowest.UID}
}
