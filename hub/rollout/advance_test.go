package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// made are so many clusters that are not there, c00 and so on.
func made(n int) []Candidate {
	out := make([]Candidate, n)
	for i := range out {
		out[i] = Candidate{UID: fmt.Sprintf("c%02d", i)}
	}
	return out
}

func index(uid string) int {
	var i int
	if _, err := fmt.Sscanf(uid, "c%d", &i); err != nil {
		panic(err)
	}
	return i
}

// course is a rollout of revision 2 under way, over revision 1, which was good everywhere.
type course struct {
	t    *testing.T
	r    *Rollout
	seen []Seen
	now  time.Duration
}

func newCourse(t *testing.T, clusters int, stages ...*yardarmv1.Stage) *course {
	all := made(clusters)
	for i := range all {
		all[i].Present, all[i].Ready, all[i].Runs, all[i].Good = true, true, 1, 1
	}
	c := &course{t: t, r: Begin(2, "b", &yardarmv1.RolloutStrategy{Stages: stages}, 10*time.Minute, all), now: time.Hour}
	for range all {
		c.seen = append(c.seen, Seen{Targeted: true, Present: true, Health: Ready, Of: 1})
	}
	return c
}

// all reports of all clusters that are to run a revision that they are so with it.
func (c *course) all(h Health) *course {
	for i := range c.r.Members {
		if runs := c.r.Runs(&c.r.Members[i]); c.seen[i].Present && (c.seen[i].Of != runs || c.seen[i].Health != h) {
			c.seen[i].Health, c.seen[i].Of, c.seen[i].Since = h, runs, c.now
		}
	}
	return c
}

func (c *course) after(d time.Duration) Outlook {
	c.now += d
	return c.r.Advance(c.seen, c.now)
}

// expect compares the states in the members' order, a letter each: w(aiting), g(iven), d(one), f(ailed), l(ost), b(ack), B(ack already), -(left), e(ntering), u(nmoved).
func (c *course) expect(states string, phase Phase, wait Wait) {
	c.t.Helper()
	out := c.after(0)
	var got strings.Builder
	for _, m := range c.r.Members {
		got.WriteByte("wgdflbB-eu"[m.State])
	}
	if got.String() != states || c.r.Phase != phase || out.Wait != wait {
		c.t.Fatalf("%s, phase %d, waits for %d; want %s, %d, %d", got.String(), c.r.Phase, out.Wait, states, phase, wait)
	}
}

func TestStagesGoOneAfterTheOther(t *testing.T) {
	c := newCourse(t, 5, &yardarmv1.Stage{Clusters: 1, Concurrency: "1", FailureBudget: "0"}, &yardarmv1.Stage{Concurrency: "2"})
	c.expect("gwwww", Progressing, WaitClusters)
	// That all are ready with the revision before says nothing.
	c.after(time.Minute)
	c.expect("gwwww", Progressing, WaitClusters)
	c.all(Ready).expect("dggww", Progressing, WaitClusters)
	c.all(Ready).expect("dddgg", Progressing, WaitClusters)
	c.all(Ready).expect("ddddd", Completed, WaitNothing)
}

func TestSoak(t *testing.T) {
	c := newCourse(t, 2, &yardarmv1.Stage{Clusters: 1, Soak: durationpb.New(10 * time.Minute)}, &yardarmv1.Stage{})
	c.after(0)
	c.all(Ready)
	if out := c.after(9 * time.Minute); out.Wake != c.now+time.Minute {
		t.Errorf("woken at %v, now is %v", out.Wake, c.now)
	}
	c.expect("gw", Progressing, WaitClusters)
	c.all(Degraded).after(0)
	c.all(Ready)
	c.after(9 * time.Minute) // the break begins the soak anew
	c.expect("gw", Progressing, WaitClusters)
	c.after(time.Minute)
	c.expect("dg", Progressing, WaitClusters)
}

func TestFailure(t *testing.T) {
	stages := []*yardarmv1.Stage{{Clusters: 2, Concurrency: "1", FailureBudget: "1"}, {FailureBudget: "0"}}
	t.Run("within the budget", func(t *testing.T) {
		c := newCourse(t, 3, stages...)
		c.after(0)
		c.all(Broken).expect("fgw", Progressing, WaitClusters)
		c.seen[1].Health, c.seen[1].Of = Ready, 2
		c.expect("fdg", Progressing, WaitClusters)
	})
	t.Run("nothing but failures", func(t *testing.T) {
		c := newCourse(t, 3, stages...)
		c.after(0)
		c.all(Broken).after(0)
		c.all(Broken).expect("bbw", RollingBack, WaitClusters)
		c.all(Ready).expect("BBw", RolledBack, WaitNothing)
	})
	t.Run("one that was done", func(t *testing.T) {
		c := newCourse(t, 3, &yardarmv1.Stage{Clusters: 1, FailureBudget: "0"}, &yardarmv1.Stage{Concurrency: "1"})
		c.after(0)
		c.all(Ready).after(0)
		c.seen[0].Health = Broken
		c.expect("bBw", RollingBack, WaitClusters) // the second one has not moved yet
	})
	t.Run("degraded for a while", func(t *testing.T) {
		c := newCourse(t, 1, &yardarmv1.Stage{})
		c.after(0)
		if out := c.all(Degraded).after(degradedGrace - 1); out.Wake != c.now+1 {
			t.Errorf("woken at %v, now is %v", out.Wake, c.now)
		}
		c.expect("g", Progressing, WaitClusters)
		c.after(1)
		c.expect("b", RollingBack, WaitClusters)
	})
	t.Run("not by its deadline", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{ProgressDeadline: durationpb.New(time.Minute), Concurrency: "2"})
		c.after(0)
		c.seen[0].Present = false
		c.all(Unknown).after(time.Minute)
		// The one that is gone is not waited for, and is no failure.
		c.expect("bb", RollingBack, WaitClusters)
	})
	t.Run("waits for an operator", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{FailureBudget: "0"})
		c.r.Pauses = true
		c.after(0)
		c.all(Broken).expect("fw", Paused, WaitOperator)
	})
	t.Run("it was failing before", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{FailureBudget: "0", Concurrency: "1"})
		c.r.Members[0].Prior = true
		c.after(0)
		c.all(Broken).expect("fg", Progressing, WaitClusters)
		c.seen[1].Health, c.seen[1].Of = Ready, 2
		c.expect("fd", Completed, WaitNothing)
	})
	t.Run("nothing good to return to", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{FailureBudget: "0", Concurrency: "1"})
		c.r.Members[0].Good = 0
		c.after(0)
		c.all(Broken).expect("fw", RolledBack, WaitNothing)
	})
	for _, gate := range []Gate{Aside, Frozen} {
		t.Run("frozen while the others return", func(t *testing.T) {
			c := newCourse(t, 2, &yardarmv1.Stage{FailureBudget: "0", Concurrency: "2"})
			c.after(0)
			c.seen[1].Gate = gate
			c.all(Broken).expect("bf", RollingBack, WaitClusters)
			c.seen[0].Health, c.seen[0].Of = Ready, 1
			c.expect("Bf", RollingBack, WaitGate)
			c.seen[1].Gate = Open
			c.expect("Bb", RollingBack, WaitClusters)
			c.all(Ready).expect("BB", RolledBack, WaitNothing)
		})
	}
	t.Run("outside a window", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{FailureBudget: "0", Concurrency: "2"})
		c.after(0)
		c.seen[0].Gate, c.seen[1].Gate = Shut, Shut
		c.all(Broken).expect("bb", RollingBack, WaitClusters)
	})
}

func TestAbsence(t *testing.T) {
	t.Run("another takes the place of a canary that is away", func(t *testing.T) {
		c := newCourse(t, 3, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{Concurrency: "1"})
		c.seen[0].Present = false
		c.expect("wgw", Progressing, WaitClusters)
		if c.r.Members[1].Stage != 0 || c.r.Members[0].Stage != 1 {
			t.Errorf("%+v", c.r.Members)
		}
	})
	t.Run("nobody is there", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{})
		c.seen[0].Present, c.seen[1].Present = false, false
		c.expect("ww", Progressing, WaitPresence)
	})
	t.Run("one comes back when all is over", func(t *testing.T) {
		c := newCourse(t, 3, &yardarmv1.Stage{Concurrency: "1"})
		c.seen[1].Present, c.seen[2].Present = false, false
		c.after(0)
		c.all(Ready).expect("dww", Completed, WaitNothing)
		c.seen[1].Present, c.seen[2].Present = true, true
		c.expect("dgw", Completed, WaitNothing)
		c.all(Ready).expect("ddg", Completed, WaitNothing)
	})
	t.Run("a canary got lost", func(t *testing.T) {
		c := newCourse(t, 4, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{})
		c.after(0)
		c.seen[0].Present = false
		c.after(9 * time.Minute)
		c.expect("gwww", Progressing, WaitClusters)
		c.after(6 * time.Minute)
		c.expect("lgww", Progressing, WaitClusters)
		if out := c.after(0); out.Changed || c.r.Members[0].Stage != 0 || c.r.Members[1].Stage != 0 {
			t.Errorf("%+v, %+v", out, c.r.Members)
		}
		c.all(Ready).expect("ldgw", Progressing, WaitClusters)
		c.seen[0].Present = true
		c.all(Broken).expect("bbbw", RollingBack, WaitClusters)
	})
	t.Run("two canaries got lost, one after the other", func(t *testing.T) {
		c := newCourse(t, 4, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{})
		for i := range 2 {
			c.after(0)
			c.seen[i].Present = false
			c.after(15 * time.Minute)
		}
		c.expect("llww", Progressing, WaitPresence)
		c.seen[0].Present = true
		c.all(Ready).expect("dlgw", Progressing, WaitClusters)
	})
	t.Run("the only one that was tried got lost, and no stage would do with any", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{Percent: 50}, &yardarmv1.Stage{})
		c.after(0)
		c.seen[0].Present = false
		c.after(15 * time.Minute)
		c.expect("lw", Progressing, WaitPresence)
		c.seen[0].Present = true
		c.all(Ready).expect("dg", Progressing, WaitClusters)
	})
	t.Run("a leaver is skipped, and comes back as one who joins", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{Concurrency: "1"})
		c.after(0)
		c.seen[0].Targeted = false
		c.expect("-g", Progressing, WaitClusters)
		c.seen[0].Targeted = true
		c.expect("wg", Progressing, WaitClusters)
	})
	t.Run("one comes back before its spoke has heard that it had left", func(t *testing.T) {
		c := newCourse(t, 3, &yardarmv1.Stage{Concurrency: "1"})
		for range 3 {
			c.after(0)
			c.all(Ready)
		}
		c.expect("ddd", Completed, WaitNothing)
		c.r.Settled = 2
		for i := range c.seen {
			c.seen[i].Targeted = false
		}
		c.expect("---", Completed, WaitNothing)
		for i := range c.seen {
			c.seen[i].Targeted = true
		}
		c.expect("ddd", Completed, WaitNothing) // of what it has reported already, nothing more is heard
		c.after(0)
		if out := c.after(0); out.Changed {
			t.Error("advancing again changes something")
		}
	})
	t.Run("one that enters runs it already", func(t *testing.T) {
		c := newCourse(t, 1, &yardarmv1.Stage{Approval: "before"})
		c.r.Settled = 1
		c.seen[0].Targeted = false
		c.expect("-", Progressing, WaitApproval)
		c.seen[0].Targeted = true
		c.expect("w", Progressing, WaitApproval)
		if m := c.r.Members[0]; m.From != 1 || m.Good != 1 {
			t.Errorf("member %+v", m)
		}
	})
	t.Run("one that joins gets what its stage has reached", func(t *testing.T) {
		strategy := &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Group: "test"}, {}}}
		c := newCourse(t, 1, strategy.Stages...)
		c.r.Members[0].Stage = 0
		c.r.Join(strategy, 1, Candidate{UID: "c01", Groups: []string{"prod"}})
		c.r.Join(strategy, 1, Candidate{UID: "c02", Groups: []string{"test"}})
		c.seen = append(c.seen, c.seen[0], c.seen[0])
		c.expect("gww", Progressing, WaitClusters)
		if late := &c.r.Members[1]; c.r.Runs(late) != 1 || late.Stage != 1 || c.r.Members[2].Stage != 0 {
			t.Errorf("%+v", c.r.Members)
		}
		c.all(Ready).expect("dwg", Progressing, WaitClusters)
	})
}

// A cluster that came while a revision was under way, and failed with the one before, does not return to that.
func TestReturnsToNothingThatFailedThere(t *testing.T) {
	c := newCourse(t, 3, &yardarmv1.Stage{Clusters: 1, Approval: "after"}, &yardarmv1.Stage{Concurrency: "100%", FailureBudget: "0"})
	c.r.Settled = 1
	c.r.Members[1].From = 0
	c.seen[1].Health, c.seen[1].Of = Unknown, 0
	c.expect("gew", Progressing, WaitClusters)
	c.seen[0].Health, c.seen[0].Of = Ready, 2
	c.seen[1].Health, c.seen[1].Of = Broken, 1
	c.after(time.Minute)
	c.r.Stages[0].ApprovedAfter = true
	c.expect("dgg", Progressing, WaitClusters)
	c.seen[1].Health, c.seen[1].Of = Ready, 2
	c.seen[2].Health, c.seen[2].Of = Broken, 2
	c.expect("bdb", RollingBack, WaitClusters)
	if m := c.r.Members[1]; c.r.Runs(&m) != 2 {
		t.Errorf("it is to run revision %d", c.r.Runs(&m))
	}
}

func TestGates(t *testing.T) {
	t.Run("approval", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{Clusters: 1, Approval: "before"}, &yardarmv1.Stage{Approval: "after"})
		c.expect("ww", Progressing, WaitApproval)
		c.r.Stages[0].ApprovedBefore = true
		c.expect("gw", Progressing, WaitClusters)
		c.all(Ready).after(0)
		c.all(Ready).expect("dd", Progressing, WaitApproval)
		c.r.Stages[1].ApprovedAfter = true
		c.expect("dd", Completed, WaitNothing)
	})
	t.Run("a freeze is waited for", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{})
		c.seen[0].Gate, c.seen[1].Gate = Frozen, Frozen
		c.after(0)
		c.expect("ww", Progressing, WaitGate)
		c.seen[0].Gate, c.seen[1].Gate = Open, Open
		c.expect("gw", Progressing, WaitClusters)
	})
	t.Run("another takes the place of a canary that is aside", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{Clusters: 1}, &yardarmv1.Stage{})
		c.seen[0].Gate = Aside
		c.expect("wg", Progressing, WaitClusters)
	})
	t.Run("all are aside", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{})
		c.seen[0].Gate, c.seen[1].Gate = Aside, Aside
		c.expect("ww", Progressing, WaitGate)
	})
	t.Run("a gate that shuts interrupts no soak", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{Concurrency: "1", Soak: durationpb.New(time.Minute)})
		c.after(0)
		c.all(Ready).expect("gw", Progressing, WaitClusters)
		for i := range c.seen {
			shut := c.seen[i]
			if shut.Gate = Shut; !shut.Lasts(c.seen[i]) || shut.Same(c.seen[i]) {
				t.Error("the cluster itself is as it was, and its gate is not")
			}
			c.seen[i] = shut
		}
		c.after(time.Minute)
		c.expect("dw", Progressing, WaitGate)
	})
	t.Run("a window is waited for, one that is aside is not", func(t *testing.T) {
		c := newCourse(t, 3, &yardarmv1.Stage{Concurrency: "3"})
		c.seen[1].Gate, c.seen[2].Gate = Shut, Aside
		c.after(0)
		c.all(Ready).expect("dww", Progressing, WaitGate)
		c.seen[1].Gate = Open
		c.after(0)
		c.all(Ready).expect("ddw", Completed, WaitNothing)
	})
	t.Run("paused", func(t *testing.T) {
		c := newCourse(t, 2, &yardarmv1.Stage{FailureBudget: "0", Concurrency: "1"})
		c.after(0)
		c.r.Phase = Paused
		c.all(Broken).expect("fw", Paused, WaitOperator)
		c.r.Phase = Progressing
		c.expect("bw", RollingBack, WaitClusters)
	})
}

// One report in a large fleet.
func BenchmarkAdvance(b *testing.B) {
	all := made(10000)
	for i := range all {
		all[i].Runs, all[i].Good = 1, 1
	}
	r := Begin(2, "b", Default(), time.Minute, all)
	seen := make([]Seen, len(all))
	for i := range seen {
		seen[i] = Seen{Targeted: true, Present: true}
	}
	for b.Loop() {
		r.Advance(seen, time.Hour)
	}
}

// A newer revision goes on from where each cluster is, and what was good there stays known though the one before was not.
func TestTakingOver(t *testing.T) {
	c := newCourse(t, 4, &yardarmv1.Stage{FailureBudget: "3", Concurrency: "3"})
	c.after(0)
	c.all(Unknown)
	c.seen[0].Health, c.seen[1].Health = Ready, Broken
	c.expect("dfgg", Progressing, WaitClusters)
	var next []Candidate
	for i := range c.r.Members {
		candidate := Candidate{UID: c.r.Members[i].UID}
		candidate.Runs, candidate.Good = c.r.After(&c.r.Members[i])
		next = append(next, candidate)
	}
	r := Begin(3, "b", Default(), 0, next)
	got := map[string][2]uint32{}
	for i := range r.Members {
		got[r.Members[i].UID] = [2]uint32{r.Runs(&r.Members[i]), r.Members[i].Good}
	}
	for i, want := range [][2]uint32{{2, 2}, {2, 1}, {2, 1}, {2, 1}} {
		if uid := c.r.Members[i].UID; got[uid] != want {
			t.Errorf("%s runs %d, and %d was good; want %v", uid, got[uid][0], got[uid][1], want)
		}
	}
}
