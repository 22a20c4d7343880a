package rollout

import (
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// unmoved is a course over so many clusters, of which the last ones are unmoved.
func unmoved(t *testing.T, clusters, last int, stages ...*yardarmv1.Stage) *course {
	c := newCourse(t, clusters)
	all := made(clusters)
	for i := range all {
		all[i].Present, all[i].Ready, all[i].Runs, all[i].Good, all[i].Unmoved = true, true, 1, 1, i >= clusters-last
	}
	c.r = Begin(2, "b", &yardarmv1.RolloutStrategy{Stages: stages}, 10*time.Minute, all)
	return c
}

// Clusters in which nothing moves take nobody's place, and are judged by nobody: the canary is one in which something does.
func TestUnmoved(t *testing.T) {
	canary := []*yardarmv1.Stage{{Clusters: 1, FailureBudget: "0"}, {Concurrency: "50%", FailureBudget: "0"}}
	c := unmoved(t, 8, 5, canary...)
	if got := c.r.Stages[1].Concurrency; got != 1 {
		t.Errorf("the second stage gives it to %d at a time, of two", got)
	}
	c.expect("gwwuuuuu", Progressing, WaitClusters)
	for i := range c.r.Members {
		if m := &c.r.Members[i]; m.State == Unmoved && c.r.Runs(m) != 2 {
			t.Errorf("%s is to run revision %d", m.UID, c.r.Runs(m))
		}
	}
	// One that fails since is not the revision's doing, and holds nobody up.
	c.seen[7] = Seen{Targeted: true, Present: true, Health: Broken, Of: 2}
	c.seen[0] = Seen{Targeted: true, Present: true, Health: Ready, Of: 2}
	c.expect("dgwuuuuu", Progressing, WaitClusters)
	c.all(Broken).expect("bbwBBBBB", RollingBack, WaitClusters)
	c.all(Ready).expect("BBwBBBBB", RolledBack, WaitNothing)
}

// They tell nothing of a revision: a canary that is away is waited for all the same.
func TestUnmovedTellNothing(t *testing.T) {
	c := unmoved(t, 3, 2, &yardarmv1.Stage{Group: "none"}, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{})
	c.seen[0].Present = false
	c.expect("wuu", Progressing, WaitPresence)
}

// Where nothing moves anywhere, the rollout has come to its end.
func TestAllUnmoved(t *testing.T) {
	unmoved(t, 3, 3, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{}).expect("uuu", Completed, WaitNothing)
}

// One of which labels or groups change meanwhile is as any other that has the revision: it has what has changed by its turn.
func TestUnmovedIsKept(t *testing.T) {
	c := unmoved(t, 2, 1, &yardarmv1.Stage{Concurrency: "1"})
	c.expect("gu", Progressing, WaitClusters)
	c.r.Keep(1)
	c.seen[1].Kept = true
	c.expect("gd", Progressing, WaitClusters)
	if !c.r.Waits(1) {
		t.Error("it waits for nothing")
	}
	c.seen[0].Of, c.seen[0].Health = 2, Ready
	c.expect("dg", Progressing, WaitClusters)
}

// One that the bundle is no longer for, leaves.
func TestUnmovedLeaves(t *testing.T) {
	c := unmoved(t, 2, 1, &yardarmv1.Stage{})
	c.seen[1].Targeted = false
	c.expect("g-", Progressing, WaitClusters)
}
