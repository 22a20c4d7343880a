package rollout

import "time"

// fewNewcomers is how many newcomers of a stage are let in at a time however small its concurrency. That bounds how many clusters do without what they run at a time,
// and a newcomer runs nothing yet: a handful of clusters that somebody enrols wait for nobody.
const fewNewcomers = 5

// A newcomer is a cluster that the bundle is for since its rollout began, or ended: it was enrolled, or its labels, its facts, its groups or the bundle's
// targets were changed. It waits and runs nothing, from the very transaction that made it one (hub/store). So nobody gets a revision by coming, but by its
// turn: a mass of newcomers is whatever is more than fewNewcomers and a stage's concurrency, and waits; a few do not notice.
//
//   - Where its stage has been reached, a newcomer is given the rollout's revision as all others are. Of a rollout that has ended, all stages have been.
//   - Where it has not, and there is a settled revision, it is to run that one meanwhile, rather than wait for days with nothing: as many of a stage at
//     a time as the stage allows, however the rollout stands.
//
// Others of whose clusters labels or groups have changed, so that what they run comes to something else, wait in the same way, with what they ran: for their
// turn with the revision, or else for one with what they run. But they do run something, and so no more of them go at a time than the stage allows. What
// one is that fails already, or is on its way, makes it wait for nobody who fails.
//
// In both ways no more of a stage are let in while more of them fail than the stage bears. They go on once enough of those have healed.
// Shares are of all clusters of the stage, newcomers included.

// Renew makes a member a newcomer, whatever it was.
func (r *Rollout) Renew(i int, now time.Duration) {
	if m := &r.Members[i]; !r.newcomer(m) {
		*m = Member{UID: m.UID, Stage: m.Stage, Good: m.Good, Since: now}
	}
}

// Keep has a member that runs something wait with what has changed of its cluster.
func (r *Rollout) Keep(i int) {
	m := &r.Members[i]
	if m.Kept = true; m.State == Unmoved {
		m.State = Done // what has changed does move something
	}
}

// Waits tells whether a member waits for its turn to be given its first revision, or what has changed of its cluster.
func (r *Rollout) Waits(i int) bool {
	m := &r.Members[i]
	return m.Kept || m.State == Waiting && m.From == 0
}

// newcomer tells whether a member runs nothing, though it could.
func (r *Rollout) newcomer(m *Member) bool {
	return m.State == Waiting && m.From == 0 && r.Settled != 0
}

// due tells whether a member is to be given the revision, once its stage is reached, or given it once more.
func (m *Member) due() bool {
	return m.State == Waiting || m.State == Entering || m.Kept && (m.State == Done || m.State == Failed)
}

// enters tells whether a member is to be given what it is to run meanwhile, or once more.
func (r *Rollout) enters(m *Member) bool {
	return r.newcomer(m) || m.Kept && (m.State == Waiting || m.State == Returned || r.Phase == RolledBack && m.State.Touched())
}

// Unsettled tells whether a rollout has members who are still on their way to what they are to run, whatever has become of itself.
func (r *Rollout) Unsettled() bool {
	for i := range r.Members {
		if m := &r.Members[i]; r.newcomer(m) || m.Kept || m.State == Entering {
			return true
		}
	}
	return false
}

// hasIt tells whether a member that waited with what has changed of its cluster waits for nothing any more, since it is as it was.
func (a *advance) hasIt(m *Member) bool {
	return a.Phase == Completed && m.State == Waiting && m.From == a.Revision && !m.Kept
}

// onItsWay tells whether a member has its turn already, so that what has changed of its cluster takes nobody's.
func (a *advance) onItsWay(m *Member) bool {
	return m.State == Entering || m.State == Given && (a.Phase == Progressing || a.Phase == Completed)
}

// release gives a member what has changed of its cluster.
func (a *advance) release(m *Member) {
	m.Kept, m.Since, a.out.Changed = false, a.now, true
}

// judgeEntering looks how a newcomer gets on with the settled revision. Ready with it, it is as all others who wait.
func (a *advance) judgeEntering(m *Member, s Seen) {
	t, h := &a.tallies[m.Stage], a.health(m, s)
	switch late := a.elapsed(m.Since, a.Stages[m.Stage].Deadline); {
	case h == Ready:
		m.Good = m.From
		a.become(m, Waiting)
	case a.failing(h, s):
		t.stuck++
		if m.Good == m.From { // it was taken for good there until it was tried
			m.Good, a.out.Changed = 0, true
		}
	case late && s.Present:
		t.stuck++
	case !late:
		t.entering++
	}
}

// letIn gives the settled revision to newcomers whose stage has not been reached, and what has changed of their clusters to others who are not being given
// the rollout's.
func (a *advance) letIn() {
	if a.Phase == Completed {
		return
	}
	for i := range a.Members {
		m, s := &a.Members[i], a.seen[i]
		if !a.enters(m) || a.reached(m.Stage) || !s.Present || s.Gate != Open {
			continue
		}
		stage, t := &a.Stages[m.Stage], &a.tallies[m.Stage]
		limit := stage.Concurrency
		if a.newcomer(m) {
			limit = max(limit, fewNewcomers)
		}
		if t.entering < limit && stage.bears(t.stuck) {
			t.entering++
			if m.From = a.Runs(m); m.From == 0 {
				m.From = a.Settled
			}
			a.become(m, Entering)
			a.release(m)
			a.elapsed(m.Since, stage.Deadline)
			a.again = a.again || a.health(m, s) != Unknown
		}
	}
}

// reached tells whether the members of a stage are being given the revision.
func (a *advance) reached(stage int) bool {
	return a.Phase == Progressing && !a.Unconfirmed && (stage < a.At || stage == a.At && a.Stages[stage].approved())
}

// heldBack tells whether some stage of a rollout that has ended has members that could be given the revision, and has too many that fail.
func (a *advance) heldBack() bool {
	for i, t := range a.tallies {
		if t.ready > 0 && !a.Stages[i].bears(t.failed) {
			return true
		}
	}
	return false
}
