package drive

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// simulationTime is how long fleets are made up and driven, on a real store: a dozen or some dozens fit in. The rules themselves go through thousands in hub/rollout.
const simulationTime = 3 * time.Second

// TestSimulation drives made-up fleets through made-up rollouts on a real store, with joins, leaves, failures, restarts of the hub, reports that are stale,
// jumps of its clock, gates that open and shut, and revisions that supersede, and checks after each step what must hold whatever happens.
func TestSimulation(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	fleets := 0
	for end := time.Now().Add(simulationTime); time.Now().Before(end) && !t.Failed(); fleets++ {
		at := seed + uint64(fleets)
		t.Run(fmt.Sprint(at), func(t *testing.T) { simulate(t, at) })
	}
	t.Logf("%d fleets, the first with seed %d", fleets, seed)
}

func simulate(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	w := &world{hub: newHub(t, 1+rnd.IntN(8), madeUp(rnd)), rnd: rnd, worth: map[uint32]uint32{}, present: map[string]bool{}, ran: map[string]uint32{}, hash: map[string]string{}}
	for uid := range w.clusters() {
		w.present[uid] = true
	}
	w.publish()
	for range 20 + rnd.IntN(40) {
		w.happen()
		w.live()
		w.step()
		if w.check(); t.Failed() {
			return
		}
	}
	w.settle()
}

func madeUp(rnd *rand.Rand) *yardarmv1.RolloutStrategy {
	pick := func(words ...string) string { return words[rnd.IntN(len(words))] }
	s := &yardarmv1.RolloutStrategy{OnFailure: pick("", "", yardarmv1.OnFailurePause)}
	for i := range rnd.IntN(3) {
		s.Stages = append(s.Stages, &yardarmv1.Stage{Clusters: 1 + uint32(i), Approval: pick("", "", "before", "after"), FailureBudget: pick("", "0"),
			Soak: durationpb.New(time.Duration(rnd.IntN(2)) * time.Minute)})
	}
	s.Stages = append(s.Stages, &yardarmv1.Stage{Concurrency: pick("", "1", "100%"), FailureBudget: pick("", "0", "2", "100%")})
	return s
}

// world is a hub, and how its clusters really are.
type world struct {
	*hub
	rnd *rand.Rand
	// worth is in how many of a hundred clusters a revision fails.
	worth   map[uint32]uint32
	present map[string]bool
	// ran is what each cluster was to run after the step before.
	ran map[string]uint32
	// hash is that of the assignment that it had then.
	hash map[string]string
}

func (w *world) clusters() map[string]bool {
	out := map[string]bool{}
	for c := range w.store.Read().Clusters() {
		out[c.Metadata.Uid] = true
	}
	return out
}

func (w *world) publish() {
	w.hub.publish()
	w.worth[w.latest()] = []uint32{0, 0, 10, 100}[w.rnd.IntN(4)]
}

func (w *world) latest() uint32 { return w.store.Read().Bundle(theBundle).Status.LatestRevision }

// happen lets time go by, and something happen.
func (w *world) happen() {
	w.now += time.Duration(w.rnd.IntN(60)) * time.Second
	uids := make([]string, 0, 8)
	for c := range w.store.Read().Clusters() {
		uids = append(uids, c.Metadata.Uid)
	}
	uid := ""
	if len(uids) > 0 {
		uid = uids[w.rnd.IntN(len(uids))]
	}
	switch op := w.rnd.IntN(20); {
	case op < 2 && uid != "":
		w.be(uid, !w.present[uid])
	case op == 2:
		w.restart()
		for uid := range w.present {
			w.be(uid, w.rnd.IntN(4) > 0)
		}
	case op == 3 && w.rnd.IntN(4) == 0:
		w.publish()
	case op == 4 && len(uids) < 14:
		for _, uid := range w.enrolTogether([]int{1, 1, 12}[w.rnd.IntN(3)]) {
			w.present[uid] = true
		}
	case op == 5 && uid != "" && w.rnd.IntN(3) == 0:
		w.update(func(tx *store.Tx) error { return tx.DeleteCluster(uid) })
		delete(w.present, uid)
		delete(w.ran, uid)
		delete(w.hash, uid)
	case op == 6:
		w.now += 20 * time.Minute
	case op < 12:
		_ = w.steer([]string{"pause", "resume", "approve", "approve", "promote", "retry"}[w.rnd.IntN(6)])
	case op == 12 && w.rnd.IntN(4) == 0:
		_ = w.steer("override")
	case op == 13:
		w.set += time.Duration(w.rnd.IntN(8)-4) * time.Hour
	case op < 16:
		w.gate(fmt.Sprintf("g%d", w.rnd.IntN(3)), w.madeUpGate(uid))
	case op < 18 && len(uids) > 0:
		if w.rnd.IntN(2) == 0 {
			uids = []string{uid}
		}
		w.relabel(uids, fmt.Sprint(w.rnd.IntN(3)))
	}
}

// relabel gives clusters a label in one transaction that revisions refer to: nobody gets something else by that.
func (w *world) relabel(uids []string, value string) {
	before := map[string]string{}
	for _, uid := range uids {
		before[uid] = w.assignment(uid)
	}
	w.update(func(tx *store.Tx) error {
		for _, uid := range uids {
			c := proto.CloneOf(tx.Cluster(uid))
			c.Metadata.Labels = map[string]string{theLabel: value}
			if err := tx.PutCluster(c); err != nil {
				return err
			}
		}
		return nil
	})
	for _, uid := range uids {
		if before[uid] != w.assignment(uid) && w.store.Read().Before(theBundle, uid) != nil {
			w.t.Errorf("%s is to run something else by being labelled", uid)
		}
	}
}

// assignment is the hash of what a cluster is to run; empty for nothing.
func (w *world) assignment(uid string) string {
	tx := w.store.Read()
	return string(placement.DesiredOf(tx, tx.Cluster(uid), tx.Bundle(theBundle)).GetHash())
}

// madeUpGate is a freeze or a window of everything or of one cluster; nil for none.
func (w *world) madeUpGate(uid string) *yardarmv1.GateSpec {
	spec := &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}}
	switch w.rnd.IntN(5) {
	case 0:
		return nil
	case 1:
		spec.Freeze.Until = timestamppb.New(w.time().Add(time.Duration(w.rnd.IntN(60)) * time.Minute))
	case 2:
		spec = windowOf(yardarmv1.WindowAllow, "*/10 * * * *", 5*time.Minute)
	case 3:
		spec = windowOf(yardarmv1.WindowDeny, "0,20,40 * * * *", 15*time.Minute)
	}
	if w.rnd.IntN(2) == 0 {
		spec.Clusters = &yardarmv1.Scope{Names: []string{uid}}
	}
	return spec
}

// enrolTogether has so many clusters join in one transaction.
func (w *world) enrolTogether(n int) (uids []string) {
	w.update(func(tx *store.Tx) error {
		for range n {
			uid := fmt.Sprintf("n%d", w.rnd.IntN(100_000))
			uids = append(uids, uid)
			if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid}}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, uid := range uids {
		w.presence(uid, yardarmv1.PresenceConnected)
		if runs := w.runs(uid); runs != 0 {
			w.t.Errorf("%s is to run revision %d by coming", uid, runs)
		}
	}
	return uids
}

func (w *world) be(uid string, present bool) {
	w.present[uid] = present
	w.presence(uid, map[bool]string{true: yardarmv1.PresenceConnected, false: yardarmv1.PresenceStale}[present])
}

// live has the clusters that are there report of what they are to run, some of them later.
func (w *world) live() {
	for uid := range w.clusters() {
		if runs := w.runs(uid); w.present[uid] && runs != 0 && w.rnd.IntN(3) > 0 {
			w.report(uid, w.phase(uid, runs))
		}
	}
}

// phase is what becomes of a revision in a cluster, always the same.
func (w *world) phase(uid string, revision uint32) string {
	h := fnv.New32a()
	fmt.Fprint(h, uid, revision)
	if h.Sum32()%100 < w.worth[revision] {
		return yardarmv1.PhaseFailed
	}
	return yardarmv1.PhaseReady
}

// check is what must hold after each step.
func (w *world) check() {
	w.t.Helper()
	tx := w.store.Read()
	row := tx.Rollout(theBundle)
	phase := rollout.Phase(row.GetPhase())
	failed := make([]int, len(row.Stages))
	for m := range tx.RolloutMembers(theBundle) {
		if tx.Cluster(m.UID) == nil {
			continue
		}
		state := rollout.State(m.State)
		if state == rollout.Failed && !m.Prior {
			failed[m.Stage]++
		}
		stage, touched := row.Strategy.Stages[m.Stage], state.Touched() && m.From != row.Revision
		switch {
		case phase == rollout.Progressing && touched && m.Stage > row.At:
			w.t.Errorf("%s was given it in stage %d, while it is at %d", m.UID, m.Stage, row.At)
		case phase == rollout.Progressing && touched && stage.GetApproval() == "before" && !row.Stages[m.Stage].Approved:
			w.t.Errorf("%s was given it in stage %d, which nobody approved", m.UID, m.Stage)
		case phase == rollout.RollingBack && !row.Override && w.verdict(m.UID).Gate.Keeps(): // it returns later
		case (phase == rollout.RollingBack || phase == rollout.RolledBack) && m.Good != 0 && m.Good != row.Revision && m.Runs == row.Revision:
			w.t.Errorf("%s has not returned to revision %d", m.UID, m.Good)
		case state == rollout.Done && w.phase(m.UID, row.Revision) != yardarmv1.PhaseReady:
			w.t.Errorf("%s counts as done, and fails", m.UID)
		}
	}
	for i, n := range failed {
		if s := row.Stages[i]; phase == rollout.Progressing && uint32(i) <= row.At && !s.Tolerant && n > int(s.Budget) {
			w.t.Errorf("stage %s goes on with %d failures of %d", s.Name, n, s.Budget)
		}
	}
	first := map[uint32]int{} // in how many clusters each revision is the first
	others := 0               // how many run something else of the same revision
	for uid := range w.clusters() {
		runs, hash := w.runs(uid), w.assignment(uid)
		if w.ran[uid] == runs && w.hash[uid] != hash {
			others++
			if g := w.verdict(uid).Gate; g != rollout.Open && !row.Override {
				w.t.Errorf("%s gets what has changed of it through gate %d", uid, g)
			}
		}
		w.hash[uid] = hash
		if w.ran[uid] == 0 && runs != 0 {
			first[runs]++
		}
		if was := w.ran[uid]; was != 0 && runs != was && !row.Override {
			switch g := w.verdict(uid).Gate; {
			case runs == row.Revision && g != rollout.Open:
				w.t.Errorf("%s goes on from revision %d to %d through gate %d", uid, was, runs, g)
			case runs != row.Revision && g.Keeps():
				w.t.Errorf("%s goes back from revision %d to %d through gate %d", uid, was, runs, g)
			}
		}
		if runs == 0 && w.ran[uid] != 0 {
			w.t.Errorf("%s loses what it had", uid)
		}
		if runs != 0 && tx.Revision(theBundle, runs) == nil {
			w.t.Errorf("%s is to run revision %d, which is not there", uid, runs)
		}
		w.ran[uid] = runs
	}
	most := 0 // one step may take a rollout through several stages, and there are up to three between two checks
	for _, s := range row.Stages {
		most += 3 * max(5, int(s.Concurrency))
	}
	if others > most {
		w.t.Errorf("%d clusters at once get what has changed of them, of %d", others, most)
	}
	for revision, n := range first {
		if n > most {
			w.t.Errorf("%d clusters at once are given revision %d as their first, of %d", n, revision, most)
		}
	}
}

// settle lets everybody be there and agree from now on: then it has to come to an end.
func (w *world) settle() {
	w.t.Helper()
	for g := range w.store.Read().Gates() {
		w.gate(g.Metadata.Name, nil)
	}
	for range 400 {
		for uid := range w.present {
			if !w.present[uid] {
				w.be(uid, true)
			}
			if runs := w.runs(uid); runs != 0 {
				w.report(uid, w.phase(uid, runs))
			}
		}
		_, _ = w.steer(yardarmv1.ActionResume), w.steer(yardarmv1.ActionApprove)
		w.after(time.Minute)
		if w.check(); w.t.Failed() {
			return
		}
		st := w.show().GetStatus()
		tx := w.store.Read()
		ended := st.Phase == yardarmv1.RolloutRolledBack || st.Phase == yardarmv1.RolloutPaused && st.Failure != "" ||
			st.Phase == yardarmv1.RolloutCompleted && !slices.ContainsFunc(slices.Collect(tx.RolloutMembers(theBundle)), func(m store.RolloutMember) bool {
				return rollout.State(m.State) == rollout.Waiting || rollout.State(m.State) == rollout.Given
			}) && !waited(tx, theBundle)
		if st.Phase == yardarmv1.RolloutCompleted && st.WaitsFor == yardarmv1.RolloutWaitFailures {
			clear(w.worth) // no more newcomers are let in, until those that fail have healed
		}
		tolerated := st.WaitsFor == yardarmv1.RolloutWaitPresence // nothing but failures, all of which are tolerated
		if ended || tolerated || len(w.present) == 0 {
			return
		}
	}
	w.t.Errorf("it does not end: %s, %v", w.picture(), w.show().Status)
}
