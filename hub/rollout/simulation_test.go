package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// simulationTime is how long fleets are made up and taken through their rollouts. Some thousands fit in, or hundreds on a busy machine.
const simulationTime = 2 * time.Second

// TestSimulation takes fleets that are made up through rollouts that are made up, with everything in between that happens to
// fleets, and checks after each step what must hold whatever happens.
//
// Each check was seen failing, by breaking Advance so: a state that stays is a change; a report of another revision, or by other inputs, counts; the stage after the one
// under way is given; nobody need approve before; gates, or presence, are not asked when a member is given, let in or released; those that are lost are not
// returned; a frozen one is; what was given, or has failed in a newcomer, counts as good for the next rollout; one more at a time, and twice as many newcomers; the stuck hold no newcomers up,
// nor the failed those that are late; one more may fail. That it ends fails once who was lost is never given it again.
func TestSimulation(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	fleets := 0
	for end := time.Now().Add(simulationTime); time.Now().Before(end) && !t.Failed(); fleets++ {
		simulate(t, seed+uint64(fleets))
	}
	t.Logf("%d fleets, the first with seed %d", fleets, seed)
}

// TestSimulationSeeds are fleets that once showed a mistake.
func TestSimulationSeeds(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		simulate(t, seed)
	}
}

func simulate(t *testing.T, seed uint64) {
	t.Helper()
	w := newWorld(seed)
	for step := range 20 + w.rnd.IntN(120) {
		w.happen()
		if !w.check(t, seed, step) {
			return
		}
	}
	w.settle(t, seed)
}

// place is one cluster as it really is.
type place struct {
	uid      string
	labels   map[string]string
	targeted bool
	present  bool
	gate     Gate
	// runs is the revision that it has in fact, since when its health is as it is, and the one before that its report may still be about.
	runs     uint32
	health   Health
	since    time.Duration
	due      time.Duration // when the revision shows what it is worth
	reported bool          // the hub has heard of it
	// inputs stand for its labels and groups, before for those by which it runs what it runs while its member is kept, and ran for those by which it
	// does so in fact.
	inputs, before, ran int
}

// world is a fleet, one bundle, and the hub's view of both.
type world struct {
	rnd      *rand.Rand
	now      time.Duration
	places   []*place
	byUID    map[string]*place
	members  map[string]bool
	strategy *yardarmv1.RolloutStrategy
	r        *Rollout
	base     uint32
	// given are the clusters that were given the revision at some time.
	given map[string]bool
	// worth is how each revision turns out, in percent of clusters where it is broken.
	worth map[uint32]int
	// wasGood are the revisions that each cluster was ready with at some time, or that it was to enter with.
	wasGood map[string]map[uint32]bool
	// before are the members' states before the last step.
	before map[string]State
	kept   map[string]bool
	out    Outlook
}

func newWorld(seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), worth: map[uint32]int{}, now: time.Hour, byUID: map[string]*place{}, wasGood: map[string]map[uint32]bool{}}
	for i := range 1 + w.rnd.IntN(24) {
		w.places = append(w.places, w.newPlace(fmt.Sprintf("c%d", i)))
	}
	w.begin(1)
	return w
}

func (w *world) newPlace(uid string) *place {
	p := &place{uid: uid, targeted: true, present: w.rnd.IntN(10) > 0, labels: map[string]string{"ring": fmt.Sprint(w.rnd.IntN(3))}}
	if w.rnd.IntN(10) == 0 {
		p.labels[yardarmv1.LabelCanary] = "true"
	}
	w.byUID[uid], w.wasGood[uid] = p, map[uint32]bool{}
	return p
}

func (w *world) madeUpStrategy() *yardarmv1.RolloutStrategy {
	if w.rnd.IntN(3) == 0 {
		return Default()
	}
	s := &yardarmv1.RolloutStrategy{}
	for range w.rnd.IntN(4) {
		stage := &yardarmv1.Stage{
			Concurrency: []string{"", "1", "50%", "100%"}[w.rnd.IntN(4)], FailureBudget: []string{"", "0", "3", "50%"}[w.rnd.IntN(4)],
			Soak: durationpb.New(time.Duration(w.rnd.IntN(3)) * time.Minute), Approval: []string{"", "", "before", "after"}[w.rnd.IntN(4)],
			ProgressDeadline: durationpb.New(time.Duration(w.rnd.IntN(2)*20) * time.Minute),
		}
		switch w.rnd.IntN(3) {
		case 0:
			stage.Selector = &yardarmv1.LabelSelector{MatchLabels: map[string]string{"ring": fmt.Sprint(w.rnd.IntN(3))}}
		case 1:
			stage.Clusters = 1 + uint32(w.rnd.IntN(3))
		case 2:
			stage.Percent = 30
		}
		s.Stages = append(s.Stages, stage)
	}
	s.Stages = append(s.Stages, &yardarmv1.Stage{Name: "rest", OrderBy: "ring"})
	if w.rnd.IntN(3) == 0 {
		s.OnFailure = yardarmv1.OnFailurePause
	}
	return s
}

// begin begins the rollout of a revision; one that is under way is superseded.
func (w *world) begin(revision uint32) {
	w.worth[revision] = []int{0, 0, 5, 30, 100}[w.rnd.IntN(5)]
	w.strategy = w.madeUpStrategy()
	before := map[string]*Member{}
	if w.r != nil {
		if w.r.Phase == Completed {
			w.base = w.r.Revision
		}
		for i := range w.r.Members {
			before[w.r.Members[i].UID] = &w.r.Members[i]
		}
	}
	var candidates []Candidate
	for _, p := range w.places {
		if !p.targeted {
			continue
		}
		c := Candidate{UID: p.uid, Labels: p.labels, Present: p.present, Ready: p.health == Ready, Failing: p.health == Broken, Runs: w.base}
		if m := before[p.uid]; m != nil && m.State != Left {
			c.Runs, c.Good = w.r.After(m)
			c.Kept = m.Kept
		}
		candidates = append(candidates, c)
	}
	w.r, w.members = Begin(revision, "bundle", w.strategy, 10*time.Minute, candidates), map[string]bool{}
	w.r.Settled, w.given = w.base, map[string]bool{}
	for _, c := range candidates {
		w.members[c.UID] = true
	}
	w.restart()
}

// restart is what the hub does when it starts: what it knew by its clock is gone.
func (w *world) restart() {
	for i := range w.r.Members {
		w.r.Members[i].Since = w.now
	}
	for _, p := range w.places {
		p.since, p.reported = w.now, false
	}
}

func (w *world) place(uid string) *place { return w.byUID[uid] }

// happen lets time go by and something happen.
func (w *world) happen() {
	w.now += time.Duration(w.rnd.IntN(90)) * time.Second
	p := w.places[w.rnd.IntN(len(w.places))]
	switch w.rnd.IntN(24) {
	case 0:
		p.targeted = !p.targeted
	case 1, 2:
		p.present, p.since = !p.present, w.now
	case 3:
		p.gate = Gate(w.rnd.IntN(4))
	case 4:
		for range []int{1, 1, 1, 12}[w.rnd.IntN(4)] {
			w.places = append(w.places, w.newPlace(fmt.Sprintf("c%d", len(w.places))))
		}
	case 5:
		w.restart()
	case 6:
		if w.rnd.IntN(8) == 0 {
			w.begin(w.r.Revision + 1)
		}
	case 7:
		w.r.Stages[w.r.At].ApprovedBefore = true
	case 8:
		w.r.Stages[w.r.At].ApprovedAfter = true
	case 9:
		if p.present && p.health == Ready && w.rnd.IntN(4) == 0 {
			p.health, p.since = Degraded, w.now
		}
	case 10:
		if p.health == Degraded {
			p.health, p.since = Ready, w.now
		}
	case 11:
		inputs := w.rnd.IntN(3)
		if w.rnd.IntN(2) == 0 {
			w.relabel(p, inputs)
			break
		}
		for _, p := range w.places {
			w.relabel(p, inputs)
		}
	}
	w.observe()
}

// relabel changes what a cluster is. What it runs follows from that once its turn has come.
func (w *world) relabel(p *place, inputs int) {
	i := slices.IndexFunc(w.r.Members, func(m Member) bool { return m.UID == p.uid })
	if i >= 0 && p.targeted && w.r.Members[i].State != Left && w.r.Runs(&w.r.Members[i]) != 0 {
		m := &w.r.Members[i]
		if !m.Kept {
			p.before = p.inputs
		}
		m.Kept = inputs != p.before
	}
	p.inputs = inputs
}

// observe lets the clusters that are there do what they are to do, the hub hear of it, and the rollout advance.
func (w *world) observe() {
	for _, p := range w.places {
		if p.targeted && !w.members[p.uid] {
			w.members[p.uid] = true
			w.r.Join(w.strategy, 0, Candidate{UID: p.uid, Labels: p.labels, Good: w.r.Settled})
			w.wasGood[p.uid][w.r.Settled] = true
			w.r.Members[len(w.r.Members)-1].Since = w.now
		}
	}
	seen := make([]Seen, len(w.r.Members))
	w.before, w.kept = map[string]State{}, map[string]bool{}
	for i := range w.r.Members {
		m := &w.r.Members[i]
		w.before[m.UID] = m.State
		p := w.place(m.UID)
		w.kept[m.UID] = m.Kept
		inputs := p.inputs
		if m.Kept {
			inputs = p.before
		}
		if p.present && p.targeted {
			w.run(p, w.r.Runs(m), inputs)
		}
		seen[i] = Seen{Targeted: p.targeted, Present: p.present, Since: p.since, Gate: p.gate, Kept: m.Kept}
		if p.reported && p.ran == inputs {
			seen[i].Health, seen[i].Of = p.health, p.runs
		}
		if m.State == Entering && p.present && p.targeted && seen[i].Of == m.From && seen[i].Health == Broken {
			w.wasGood[p.uid][m.From] = false // as far as anybody knew when it joined
		}
	}
	w.out = w.r.Advance(seen, w.now)
	if again := w.r.Advance(seen, w.now); again.Changed {
		w.out.Wait = 255 // told by check
	}
}

// run has a cluster run a revision, and after a while be what the revision is worth there.
func (w *world) run(p *place, revision uint32, inputs int) {
	switch {
	case p.runs != revision || p.ran != inputs:
		p.ran = inputs
		p.runs, p.health, p.since, p.reported = revision, Unknown, w.now, false
		p.due = w.now + time.Duration(w.rnd.IntN(180))*time.Second
	case p.health == Unknown && w.now >= p.due:
		p.health, p.since = Ready, w.now
		if w.rnd.IntN(100) < w.worth[revision] {
			p.health = Broken
		}
		fallthrough
	default:
		p.reported = true
	}
	if p.reported && p.health == Ready {
		w.wasGood[p.uid][p.runs] = true
	}
}

// check is what must hold after each step.
func (w *world) check(t *testing.T, seed uint64, step int) bool {
	t.Helper()
	fail := func(format string, args ...any) bool {
		t.Errorf("seed %d, step %d: "+format, append([]any{seed, step}, args...)...)
		return false
	}
	if w.out.Wait == 255 {
		return fail("advancing again with the same knowledge changed something")
	}
	failed, given, let := make([]int, len(w.r.Stages)), make([]turns, len(w.r.Stages)), make([]turns, len(w.r.Stages))
	for i := range w.r.Members {
		m := &w.r.Members[i]
		p := w.place(m.UID)
		stage := w.r.Stages[m.Stage]
		switch m.State {
		case Given:
			again := w.kept[m.UID] && w.before[m.UID] != Given && w.before[m.UID] != Lost
			given[m.Stage].note(m.Since == w.now && (!w.given[m.UID] || again), false, m.From == 0)
			if again && (w.before[m.UID] == Failed || p.health == Broken || p.health == Degraded) {
				given[m.Stage].mended++
			}
			w.given[m.UID] = true
		case Entering:
			if p.present || w.now < m.Since+stage.Deadline { // others are not waited for
				let[m.Stage].note(m.Since == w.now && w.before[m.UID] != Entering, w.stuck(m), w.before[m.UID] == Entering || !w.kept[m.UID])
			}
		case Failed:
			if !m.Prior {
				failed[m.Stage]++
			}
		case Done:
			if p.runs != w.r.Revision {
				return fail("%s counts as done with revision %d, and has %d", m.UID, w.r.Revision, p.runs)
			}
		}
		if m.State.Touched() && w.r.Phase == Progressing {
			if m.Stage > w.r.At {
				return fail("%s was given it in stage %d, while it is at %d", m.UID, m.Stage, w.r.At)
			}
			if stage.ApproveBefore && !stage.ApprovedBefore {
				return fail("%s was given it in stage %d, which nobody approved", m.UID, m.Stage)
			}
		}
		if !w.before[m.UID].Touched() && m.State.Touched() && (p.gate != Open || !p.present) {
			return fail("%s was given it while gate %d, present %v", m.UID, p.gate, p.present)
		}
		if w.r.Phase == RollingBack && m.State.Touched() && m.Good != 0 && !p.gate.Keeps() || w.r.Phase == RolledBack && m.State.Touched() && m.Good != 0 {
			return fail("%s has not returned to revision %d", m.UID, m.Good)
		}
		if was := w.before[m.UID]; was.Touched() && m.State == Returning && p.gate.Keeps() {
			return fail("%s goes back through gate %d", m.UID, p.gate)
		}
		if w.kept[m.UID] && !m.Kept && m.State != Left && (p.gate != Open || !p.present) {
			return fail("%s was given what has changed of it while gate %d, present %v", m.UID, p.gate, p.present)
		}
		if m.State == Done && m.Kept != (p.ran != p.inputs) {
			return fail("%s counts as done by inputs %d, has %d, and is kept: %v", m.UID, p.ran, p.inputs, m.Kept)
		}
		if m.State == Returning && (m.Good == w.r.Revision || !w.wasGood[m.UID][m.Good]) {
			return fail("%s returns to revision %d, which was not good there", m.UID, m.Good)
		}
	}
	for s, stage := range w.r.Stages {
		if n := given[s]; n.now > 0 && (n.many(stage.Concurrency) || w.r.Phase != Progressing && n.now > n.mended && !stage.bears(failed[s])) {
			return fail("stage %d: %d were given it, so that %d of %d are on their way, %d of them new, while %d fail", s, n.now, n.onTheirWay, stage.Concurrency, n.new, failed[s])
		}
		if n := let[s]; n.now > 0 && (n.many(stage.Concurrency) || !stage.bears(n.stuck)) {
			return fail("stage %d: %d were let in, so that %d of %d are on their way, while %d fail", s, n.now, n.onTheirWay, stage.Concurrency, n.stuck)
		}
		if w.r.Phase == Progressing && s <= w.r.At && failed[s] > stage.Budget {
			return fail("stage %d goes on with %d failures of %d", s, failed[s], stage.Budget)
		}
	}
	return true
}

// turns counts the members of a stage that are on their way to a revision, those among them whose turn came just now, and those that cannot run it.
// mended are those whose turn came just now that fail, and of which something has changed.
type turns struct{ now, onTheirWay, new, stuck, mended int }

func (t *turns) note(now, stuck, newcomer bool) {
	if stuck {
		t.stuck++
		return
	}
	if t.onTheirWay++; newcomer {
		t.new++
	}
	if now {
		t.now++
	}
}

// many tells whether more are on their way than may be.
func (t turns) many(concurrency int) bool {
	return t.onTheirWay-t.new > concurrency || t.onTheirWay > concurrency && t.new > fewNewcomers
}

// stuck tells whether a newcomer is known to be unable to run what it was let in with.
func (w *world) stuck(m *Member) bool {
	p, late := w.place(m.UID), w.now >= m.Since+w.r.Stages[m.Stage].Deadline
	known := p.present && p.reported && p.runs == m.From && (m.Kept || p.ran == p.inputs)
	switch {
	case known && (p.health == Broken || p.health == Degraded && w.now >= p.since+degradedGrace):
		return true
	case known && p.health == Ready:
		return false
	}
	return late && p.present
}

// settle lets all be well from now on: then it has to come to an end.
func (w *world) settle(t *testing.T, seed uint64) {
	t.Helper()
	for round := range 500 {
		for _, p := range w.places {
			if !p.present {
				p.present, p.since = true, w.now
			}
			p.gate = Open
		}
		w.r.Stages[w.r.At].ApprovedBefore, w.r.Stages[w.r.At].ApprovedAfter = true, true
		w.now += time.Minute
		w.observe()
		if !w.check(t, seed, 1000+round) {
			return
		}
		if w.ended() {
			return
		}
	}
	targeted := 0
	for _, p := range w.places {
		if p.targeted {
			targeted++
		}
	}
	if targeted > 0 {
		t.Errorf("seed %d: it does not end: phase %d, stage %d of %d, waits for %d, of %d clusters", seed, w.r.Phase, w.r.At, len(w.r.Stages), w.out.Wait, targeted)
	}
}

// ended: nothing is left to happen to a rollout of which all clusters are there.
func (w *world) ended() bool {
	stuck := make([]int, len(w.r.Stages))
	for i := range w.r.Members {
		if m := &w.r.Members[i]; m.State == Entering && w.stuck(m) {
			stuck[m.Stage]++
		}
	}
	for i := range w.r.Members {
		if m := &w.r.Members[i]; w.r.Phase != Completed && w.r.enters(m) && w.r.Stages[m.Stage].bears(stuck[m.Stage]) {
			return false // nobody may wait for ever
		}
		if m := &w.r.Members[i]; w.r.Phase == Completed && m.Kept && m.State != Left && w.out.Wait != WaitFailures {
			return false
		}
		switch w.r.Members[i].State {
		case Waiting, Given:
			if w.r.Phase == Completed && w.out.Wait != WaitFailures {
				return false
			}
		case Returning:
			return false
		}
	}
	return w.r.Phase == Completed || w.r.Phase == RolledBack || w.r.Phase == Paused
}
