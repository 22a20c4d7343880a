package rollout

import "time"

// degradedGrace is how long a cluster may be degraded until that counts as failing: a pod that starts before what it needs crashes
// once or twice, and heals.
const degradedGrace = 30 * time.Second

// Wait is why a rollout does not go on by itself right now.
type Wait uint8

// What a rollout may wait for, the first that holds.
const (
	// WaitNothing: it has ended, or something was changed just now.
	WaitNothing Wait = iota
	// WaitOperator: it is paused.
	WaitOperator
	// WaitApproval: of the stage that it is at, before or after it.
	WaitApproval
	// WaitClusters: clusters are on their way, or soak.
	WaitClusters
	// WaitGate: all that could go next, or back, are held by gates.
	WaitGate
	// WaitPresence: no cluster of the stage that it is at is there, or none that was given the revision got ready with it.
	WaitPresence
	// WaitConfirmation: nobody gets it until somebody has confirmed what it does to stored objects.
	WaitConfirmation
	// WaitFailures: it has ended, and those that are late or new are not given the revision, since more of their stage fail than may.
	WaitFailures
)

// Outlook says what an Advance has come to.
type Outlook struct {
	// Changed: something of the rollout is not as it was.
	Changed bool
	Wait    Wait
	// Wake is when time alone may change something; 0 for never.
	Wake time.Duration
	// Breach is why the rollout has failed just now; nil if it has not.
	Breach *Breach
}

// Breach is a failure budget that was exceeded.
type Breach struct {
	// Stage is the index of the stage whose budget it was, and UIDs are those of its clusters that failed.
	Stage int
	UIDs  []string
}

// Advance takes all the steps that are due. What is known of the members is in their order; now is a reading of the same
// monotonic clock as their times. Advancing again with the same knowledge changes nothing.
func (r *Rollout) Advance(seen []Seen, now time.Duration) Outlook {
	a := advance{Rollout: r, seen: seen, now: now, again: true}
	for a.again {
		a.again, a.out.Wait, a.tallies = false, WaitNothing, make([]tally, len(r.Stages))
		for i := range r.Members {
			a.judge(i)
		}
		a.step()
	}
	return a.out
}

// advance is one run of Advance.
type advance struct {
	*Rollout
	seen    []Seen
	now     time.Duration
	tallies []tally // by stage
	// again: somebody was given just now what their newest report is about already, as one who has left and come back before a spoke has heard of it. Nothing
	// more will be heard of them.
	again bool
	out   Outlook
}

// tally counts the members of one stage.
type tally struct {
	members, done int
	// failed are those whose failing counts, prior those that were failing before.
	failed, prior int
	// inFlight are given it and not judged yet; lost ones are not waited for.
	inFlight, lost int
	// arriving are those in flight that are new to the bundle.
	arriving int
	// ready could be given it now; shut are there and may not yet; aside are there, and nobody waits for them.
	ready, shut, aside int
	// entering are given the settled revision and not judged yet, and stuck cannot run it.
	entering, stuck int
}

// untried: nobody of the stage was ever given the revision.
func (t tally) untried() bool { return t.done+t.failed+t.prior+t.inFlight+t.lost == 0 }

// oneLost: one of the stage got lost with the revision, and it tells nothing else.
func (t tally) oneLost() bool { return t.lost == 1 && t.done+t.failed+t.prior+t.inFlight == 0 }

// over: nobody of the stage who is there still has to go, or to be judged.
func (t tally) over() bool { return t.inFlight+t.ready+t.shut == 0 }

// good tells whether a stage that is over tells in favour of the revision. That all are away does not, nor that the only ones that
// were tried got lost; it is enough if some other stage has told, or if there were only clusters of which nobody expected anything.
func (t tally) good(told bool) bool {
	return t.members == 0 || t.done > 0 || t.untried() && told || t.lost == 0 && t.prior > 0
}

// judge brings one member's state up to what is known of it, and counts it.
func (a *advance) judge(i int) {
	m, s := &a.Members[i], a.seen[i]
	switch {
	case !s.Targeted:
		a.become(m, Left)
		m.Kept = false
	case m.State == Left:
		m.From = 0
		a.become(m, Waiting)
	case m.State == Lost && s.Present, a.hasIt(m):
		a.become(m, Given)
	}
	if m.Kept && s.Present && s.Gate == Open && a.onItsWay(m) {
		a.release(m)
	}
	switch m.State {
	case Given, Failed:
		a.judgeGiven(m, s)
	case Done:
		if a.failing(a.health(m, s), s) {
			a.become(m, Failed)
		}
	case Entering:
		a.judgeEntering(m, s)
	case Returning:
		a.judgeReturning(m, s)
	}
	a.count(m, s)
}

func (a *advance) judgeReturning(m *Member, s Seen) {
	h := a.health(m, s)
	if h == Ready || a.failing(h, s) || s.Present && a.elapsed(m.Since, a.Stages[m.Stage].Deadline) {
		a.become(m, Returned)
	}
}

func (a *advance) judgeGiven(m *Member, s Seen) {
	stage, health := &a.Stages[m.Stage], a.health(m, s)
	switch ready := health == Ready; {
	case ready && a.elapsed(s.Since, stage.Soak):
		a.become(m, Done)
	case ready || m.State == Failed:
	case a.failing(health, s):
		a.become(m, Failed)
	case a.elapsed(m.Since, stage.Deadline) && s.Present:
		a.become(m, Failed)
	case a.elapsed(m.Since, stage.Deadline):
		a.become(m, Lost)
	}
}

// health is what is known of a member's cluster with what it is to run.
func (a *advance) health(m *Member, s Seen) Health {
	if !s.Present || s.Of != a.Runs(m) || s.Kept != m.Kept {
		return Unknown
	}
	return s.Health
}

func (a *advance) failing(h Health, s Seen) bool {
	return h == Broken || h == Degraded && a.elapsed(s.Since, degradedGrace)
}

// elapsed tells whether so much time has gone by since, and otherwise has the caller woken once it has.
func (a *advance) elapsed(since, d time.Duration) bool {
	at := since + d
	if a.now >= at {
		return true
	}
	if a.out.Wake == 0 || at < a.out.Wake {
		a.out.Wake = at
	}
	return false
}

func (a *advance) become(m *Member, s State) {
	if m.State == s {
		return
	}
	if m.State == Left {
		m.Prior = false
	}
	m.State, m.Since, a.out.Changed = s, a.now, true
}

func (a *advance) count(m *Member, s Seen) {
	t := &a.tallies[m.Stage]
	if m.State != Left && m.State != Unmoved {
		t.members++
	}
	switch m.State {
	case Done:
		if m.Kept {
			t.countWaiting(s)
			return
		}
		t.done++
	case Failed:
		if m.Prior {
			t.prior++
		} else {
			t.failed++
		}
	case Given:
		t.inFlight++
		if m.From == 0 {
			t.arriving++
		}
	case Lost:
		t.lost++
	case Waiting, Entering:
		t.countWaiting(s)
	}
}

func (t *tally) countWaiting(s Seen) {
	switch {
	case !s.Present:
	case s.Gate == Open:
		t.ready++
	case s.Gate == Aside:
		t.aside++
	default:
		t.shut++
	}
}

// step moves the rollout itself.
func (a *advance) step() {
	switch a.Phase {
	case Paused:
		a.out.Wait = WaitOperator
	case RollingBack:
		a.giveBack()
	case Progressing:
		if a.Unconfirmed {
			a.out.Wait = WaitConfirmation
			break
		}
		if b := a.breached(); b != nil {
			a.out.Breach = b
			a.fail()
			break
		}
		a.standIn()
		for a.Phase == Progressing && a.passed() {
			a.next()
			a.standIn()
		}
		a.give()
	case Completed:
		a.give()
	}
	a.letIn()
}

// breached finds a stage that has been reached and has more failures than it may, or nothing but failures.
func (a *advance) breached() *Breach {
	for i, t := range a.tallies[:a.At+1] {
		s := &a.Stages[i]
		if !s.bears(t.failed) || !s.Tolerant && t.failed > 0 && t.over() && t.done == 0 {
			b := &Breach{Stage: i}
			for j := range a.Members {
				if m := &a.Members[j]; m.Stage == i && m.State == Failed && !m.Prior {
					b.UIDs = append(b.UIDs, m.UID)
				}
			}
			return b
		}
	}
	return nil
}

func (a *advance) fail() {
	a.out.Changed = true
	if a.Pauses {
		a.Phase, a.out.Wait = Paused, WaitOperator
		return
	}
	a.Phase = RollingBack
	a.giveBack()
}

// passed tells whether the stage that is under way is over, and well. One that nobody has approved is not, though all of it be
// away: they would get the revision when they come back.
func (a *advance) passed() bool {
	t, s := a.tallies[a.At], &a.Stages[a.At]
	return t.over() && t.good(a.anyDone()) && s.approved() && (!s.ApproveAfter || s.ApprovedAfter)
}

// standIn has a cluster that is there tried by a stage that any would do for: in the place of one that is away, since a canary that sleeps warns of nothing, and one
// waits for it for ever; and beside one that got lost, which tells as little. The latter happens once: where two got lost, the revision may be why.
func (a *advance) standIn() {
	t := &a.tallies[a.At]
	besides := t.oneLost()
	if !a.Stages[a.At].Any || t.members == 0 || !t.untried() && !besides || t.ready > 0 || t.shut > 0 {
		return
	}
	for i := range a.Members {
		m, s := &a.Members[i], a.seen[i]
		if m.Stage <= a.At || m.State != Waiting || !s.Present || s.Gate != Open {
			continue
		}
		if !besides && !a.makeRoom(m.Stage) {
			return
		}
		from := &a.tallies[m.Stage]
		from.ready, from.members = from.ready-1, from.members-1
		t.ready, t.members = t.ready+1, t.members+1
		m.Stage, a.out.Changed = a.At, true
		return
	}
}

// makeRoom puts a member of the stage that is under way, which is away, into another one, and tells whether there was any.
func (a *advance) makeRoom(stage int) bool {
	for i := range a.Members {
		if m := &a.Members[i]; m.Stage == a.At && m.State == Waiting {
			m.Stage = stage
			a.tallies[a.At].members--
			a.tallies[stage].members++
			return true
		}
	}
	return false
}

func (a *advance) anyDone() bool {
	for _, t := range a.tallies {
		if t.done > 0 {
			return true
		}
	}
	return false
}

func (a *advance) next() {
	a.out.Changed = true
	if a.At == len(a.Stages)-1 {
		a.Phase, a.Settled = Completed, a.Revision
		return
	}
	a.At++
}

// give gives the revision to those whose turn it is, and says what is waited for.
func (a *advance) give() {
	if a.Phase == Progressing && !a.Stages[a.At].approved() {
		a.giveStages(a.At) // late ones of the stages before go on
		a.out.Wait = WaitApproval
		return
	}
	a.giveStages(a.At + 1)
	switch {
	case a.Phase == Progressing:
		a.out.Wait = a.waits()
	case a.heldBack():
		a.out.Wait = WaitFailures
	}
}

// giveStages gives it to those of the first n stages, as many of each at a time as it allows: first to those who fail, as what has changed of their clusters
// may mend them, and they hold nobody back meanwhile.
func (a *advance) giveStages(n int) {
	for _, failed := range []bool{true, false} {
		for i := range a.Members {
			if m := &a.Members[i]; m.due() && m.Stage < n && (m.State == Failed) == failed {
				a.giveTo(m, a.seen[i])
			}
		}
	}
}

// giveTo gives it to a member, if it is its turn.
func (a *advance) giveTo(m *Member, s Seen) {
	t, stage := &a.tallies[m.Stage], &a.Stages[m.Stage]
	switch {
	case !s.Present || s.Gate != Open:
		return
	case t.inFlight >= stage.Concurrency && (!a.newcomer(m) || t.arriving >= fewNewcomers):
		return
	case !stage.bears(t.failed) && m.State != Failed:
		return
	case m.State == Failed && !m.Prior:
		t.failed--
	}
	m.Prior = m.Prior || m.State == Entering && a.failing(a.health(m, s), s)
	if t.inFlight++; m.From == 0 {
		t.arriving++
	}
	a.become(m, Given)
	m.Kept = false
	a.elapsed(m.Since, stage.Deadline)
	a.again = a.again || a.health(m, s) != Unknown
}

func (a *advance) waits() Wait {
	t := a.tallies[a.At]
	switch {
	case t.inFlight > 0 || t.ready > 0:
		return WaitClusters
	case t.shut > 0:
		return WaitGate
	case t.good(a.anyDone()):
		return WaitApproval
	case t.aside > 0:
		return WaitGate
	}
	return WaitPresence
}

// giveBack returns every cluster that was given the revision to its last good one. A cluster that never had a good one keeps
// what it has: to take it away would be a deletion that nobody asked for. One that a freeze holds returns once it is lifted, and the rollout stays until then.
func (a *advance) giveBack() {
	left, held := false, false
	for i := range a.Members {
		m, s := &a.Members[i], a.seen[i]
		switch {
		case m.State == Unmoved:
			a.become(m, Returned) // as little moves as when it was given it
		case !m.State.Touched() || m.Good == 0:
		case s.Gate.Keeps():
			held = true
		default:
			a.become(m, Returning)
			a.judgeReturning(m, s) // it may not have moved yet
		}
		left = left || m.State == Returning && s.Present
	}
	switch {
	case left:
		a.out.Wait = WaitClusters
	case held:
		a.out.Wait = WaitGate
	default:
		a.Phase, a.out.Changed = RolledBack, true
	}
}
