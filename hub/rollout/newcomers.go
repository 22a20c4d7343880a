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
// In both ways no more of a stage are let in while more of them fail than the stage bears. They go on once enough of those have healed.
// Shares are of all clusters of the stage, newcomers included.

// Renew makes a member a newcomer, whatever it was.
func (r *Rollout) Renew(i int, now time.Duration) {
	if m := &r.Members[i]; !r.newcomer(m) {
		*m = Member{UID: m.UID, Stage: m.Stage, Good: m.Good, Since: now}
	}
}

// Entered tells whether a member does not wait to be given its first revision any more.
func (r *Rollout) Entered(i int) bool {
	m := &r.Members[i]
	return m.State != Waiting || m.From != 0
}

// newcomer tells whether a member runs nothing, though it could.
func (r *Rollout) newcomer(m *Member) bool {
	return m.State == Waiting && m.From == 0 && r.Settled != 0
}

// Unsettled tells whether a rollout has newcomers who are still on their way, whatever has become of itself.
func (r *Rollout) Unsettled() bool {
	for i := range r.Members {
		if m := &r.Members[i]; r.newcomer(m) || m.State == Entering {
			return true
		}
	}
	return false
}

// judgeEntering looks how a newcomer gets on with the settled revision. Ready with it, it is as all others who wait.
func (a *advance) judgeEntering(m *Member, s Seen) {
	t, h := &a.tallies[m.Stage], a.health(m, s)
	switch late := a.elapsed(m.Since, a.Stages[m.Stage].Deadline); {
	case h == Ready:
		m.Good = m.From
		a.become(m, Waiting)
	case a.failing(h, s) || late && s.Present:
		t.stuck++
	case !late:
		t.entering++
	}
}

// letIn gives the settled revision to newcomers whose stage has not been reached.
func (a *advance) letIn() {
	if a.Settled == 0 || a.Phase == Completed {
		return
	}
	for i := range a.Members {
		m, s := &a.Members[i], a.seen[i]
		if !a.newcomer(m) || a.reached(m.Stage) || !s.Present || s.Gate != Open {
			continue
		}
		stage, t := &a.Stages[m.Stage], &a.tallies[m.Stage]
		if t.entering < max(stage.Concurrency, fewNewcomers) && stage.bears(t.stuck) {
			t.entering++
			m.From = a.Settled
			a.become(m, Entering)
			a.elapsed(m.Since, stage.Deadline)
		}
	}
}

// reached tells whether the members of a stage are being given the revision.
func (a *advance) reached(stage int) bool {
	return a.Phase == Progressing && (stage < a.At || stage == a.At && a.Stages[stage].approved())
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
