package rollout

import (
	"slices"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Candidate is a cluster that a bundle is for, when a rollout begins.
type Candidate struct {
	UID    string
	Labels map[string]string
	Groups []string
	// Present and Ready: its spoke is there, and what the cluster runs of the bundle, if anything, is well.
	Present, Ready bool
	// Failing: what it runs of the bundle is not.
	Failing bool
	// Runs is the revision that it is to run now, and Good the last one that was good there; 0 where there is none.
	Runs, Good uint32
	// Kept: as a member's.
	Kept bool
	// Unmoved: it is ready, and the revision puts into it what it has.
	Unmoved bool
}

// Begin makes the rollout of a revision by a strategy that Check found nothing wrong with. Each candidate becomes a member, in the
// stage that takes it first; those in which nothing moves are divided into none. Timeout is what the delivery policy allows one cluster.
func Begin(revision uint32, bundleUID string, strategy *yardarmv1.RolloutStrategy, timeout time.Duration, candidates []Candidate) *Rollout {
	var unmoved []Candidate
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool {
		if c.Unmoved {
			unmoved = append(unmoved, c)
		}
		return c.Unmoved
	})
	divided := divide(bundleUID, strategy.Stages, candidates)
	sizes := make([]int, len(divided))
	r := &Rollout{Revision: revision, Pauses: strategy.OnFailure == yardarmv1.OnFailurePause}
	for stage, members := range divided {
		sizes[stage] = len(members)
		for _, c := range members {
			r.Members = append(r.Members, Member{UID: c.UID, Stage: stage, From: c.Runs, Good: c.Good, Prior: c.Failing, Kept: c.Kept})
		}
	}
	for _, c := range unmoved {
		r.Members = append(r.Members, Member{UID: c.UID, Stage: len(strategy.Stages) - 1, State: Unmoved, From: c.Runs, Good: c.Runs})
	}
	r.Stages = Resolve(strategy.Stages, sizes, timeout)
	return r
}

// Join adds a cluster that the bundle is for since the rollout began. It gets the revision once the stage that takes it is
// reached, within the stage's concurrency; until then it runs the one before.
func (r *Rollout) Join(strategy *yardarmv1.RolloutStrategy, before uint32, c Candidate) {
	r.Members = append(r.Members, Member{UID: c.UID, Stage: StageOf(strategy, c.Labels, c.Groups), From: before, Good: c.Good})
}

// StageOf is the index of the stage that a cluster goes with that comes late: by its groups and labels, or else the last.
func StageOf(strategy *yardarmv1.RolloutStrategy, labels map[string]string, groups []string) int {
	for i, s := range strategy.Stages {
		if (s.GetGroup() != "" || s.GetSelector() != nil) && pick(s, nil, 0, 0)(Candidate{Labels: labels, Groups: groups}) {
			return i
		}
	}
	return len(strategy.Stages) - 1
}

// After is what a rollout that takes over from this one finds in a member's cluster: the revision that it is to run, and the last
// that was good there.
func (r *Rollout) After(m *Member) (runs, good uint32) {
	if m.State == Done || m.State == Unmoved {
		return r.Revision, r.Revision
	}
	return r.Runs(m), m.Good
}
