package drive

import (
	"fmt"
	"time"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/gate"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// defaultTimeout is what the delivery policy allows one cluster where it says nothing.
const defaultTimeout = 10 * time.Minute

// track is a rollout and what is known of its clusters.
type track struct {
	bundle *yardarmv1.Bundle
	// row is the one that it was read from, or written as; nil before the first of a bundle is written.
	row      *storev1.Rollout
	strategy *yardarmv1.RolloutStrategy
	r        *rollout.Rollout
	// These are by member: what is known of it, how it is on disk (without a uid: not at all), and the chunk that it belongs to.
	seen    []rollout.Seen
	kept    []store.RolloutMember
	chunk   []uint32
	chunks  uint32
	at      map[string]int // place of a cluster among the members
	settled uint32
	// done are the clusters that are members no more, since all is said of them by the revision that has come to its end, by stage.
	done []uint32
	// timeout is what the delivery policy allows one cluster.
	timeout time.Duration
	// turns are what clusters wait for, by uid: until its turn is taken, a cluster is to run what it ran, whatever its member says.
	turns map[string]*storev1.Turn
	// override: the gates do not count.
	override bool
	// begins: the row is of another rollout still. grown: somebody has become a member since it was written.
	begins, grown bool
	breach        *rollout.Breach
	out           rollout.Outlook
}

func (t *track) uid() string { return t.bundle.Metadata.Uid }

// openTrack reads the rollout of a bundle, or begins it; nil where there is nothing to drive. Of the one that was known before, it takes over since when
// things are as they are.
func openTrack(s *step, uid string, old *track) (*track, error) {
	b, row := s.tx.Bundle(uid), s.tx.Rollout(uid)
	if b == nil {
		return nil, nil
	}
	t := &track{bundle: b, row: row, at: map[string]int{}, turns: map[string]*storev1.Turn{}, settled: placement.Settled(s.tx, b)}
	latest := s.tx.Revision(uid, b.GetStatus().GetLatestRevision())
	switch {
	case latest == nil:
		return nil, nil
	case row == nil && latest.Spec.Number <= t.settled: // of a hub without rollouts
		return nil, nil
	case latest.Spec.Number > row.GetRevision() || row.GetRetry():
		return t, t.begin(s, latest, old)
	case rollout.Phase(row.Phase) == rollout.Completed && row.Chunks == 0 && !waited(s.tx.ReadTx, uid):
		return nil, nil
	}
	return t, t.read(s, latest, old)
}

// begin makes the rollout of the latest revision, from how its clusters are.
func (t *track) begin(s *step, latest *yardarmv1.Revision, old *track) error {
	before := &track{bundle: t.bundle, row: t.row, at: map[string]int{}, settled: t.settled}
	again := t.row.GetRevision() == latest.Spec.Number
	t.override = again && t.row.GetOverride()
	if t.row != nil {
		if err := before.readRows(s.tx.ReadTx, latest); err != nil {
			return err
		}
	}
	var err error
	if t.strategy, err = rollout.Effective(t.bundle.GetSpec().GetRollout(), s.tx.Strategy); err != nil {
		return err
	}
	if violations := rollout.Check(t.strategy, nil); len(violations) > 0 {
		return fmt.Errorf("%s: %s", violations[0].Field, violations[0].Message)
	}
	for turn := range s.tx.TurnsOf(t.uid()) {
		t.turns[turn.ClusterUid] = turn
	}
	seen := map[string]rollout.Seen{}
	var candidates []rollout.Candidate
	for c := range s.tx.ClustersOf(t.uid()) {
		uid := c.Metadata.Uid
		known := t.observe(s, uid)
		if !known.Targeted {
			continue
		}
		runs, good := t.settled, t.settled
		if i, ok := before.at[uid]; ok {
			runs, good = before.r.After(&before.r.Members[i])
		}
		if turn := t.turns[uid]; turn != nil && turn.Before == nil {
			runs = 0
		}
		candidate := candidateOf(s.tx, c, known, runs, good)
		candidate.Unmoved = candidate.Ready && !known.Kept && runs != latest.Spec.Number && t.same(s, c, runs, latest.Spec.Number)
		candidates, seen[uid] = append(candidates, candidate), known
	}
	t.begins, t.chunks, t.timeout = true, store.RolloutChunks(len(candidates)), timeoutOf(latest)
	t.r = rollout.Begin(latest.Spec.Number, t.uid(), t.strategy, t.timeout, candidates)
	t.done = make([]uint32, len(t.r.Stages))
	t.r.Settled, t.r.Unconfirmed = t.settled, len(latest.Spec.StorageChanges) > 0 && (!again || t.row.GetUnconfirmed())
	for i := range t.r.Members {
		t.r.Members[i].Since = s.now
		t.add(i, seen[t.r.Members[i].UID], store.RolloutMember{})
	}
	t.resume(old)
	return nil
}

// assigned is what a cluster gets by the revision with the number.
func (t *track) assigned(s *step, c *yardarmv1.Cluster, number uint32) *yardarmv1.AssignmentSpec {
	return s.placer.Assigner(s.tx, t.bundle, number).Assign(s.tx, c)
}

// same tells whether two revisions put the same into a cluster. Most differ in the artifact, which shows before anything is derived.
func (t *track) same(s *step, c *yardarmv1.Cluster, was, is uint32) bool {
	digest := func(number uint32) string {
		return placement.ArtifactFor(s.tx.Revision(t.uid(), number).GetSpec(), s.tx.GroupsOf(c.Metadata.Uid)).GetDigest()
	}
	return digest(was) == digest(is) && placement.Same(t.assigned(s, c, was), t.assigned(s, c, is))
}

func candidateOf(r placement.Reader, c *yardarmv1.Cluster, known rollout.Seen, runs, good uint32) rollout.Candidate {
	current := runs != 0 && known.Of == runs
	return rollout.Candidate{
		UID: c.Metadata.Uid, Labels: c.Metadata.Labels, Groups: r.GroupsOf(c.Metadata.Uid), Present: known.Present, Runs: runs, Good: good, Kept: known.Kept,
		Ready: known.Present && current && known.Health == rollout.Ready, Failing: current && (known.Health == rollout.Broken || known.Health == rollout.Degraded),
	}
}

// read takes the rollout from its rows.
func (t *track) read(s *step, latest *yardarmv1.Revision, old *track) error {
	if err := t.readRows(s.tx.ReadTx, latest); err != nil {
		return err
	}
	for i := range t.r.Members {
		t.r.Members[i].Since = s.now
		t.seen[i] = t.observe(s, t.r.Members[i].UID)
	}
	t.resume(old)
	t.lookForMore(s)
	for turn := range s.tx.TurnsOf(t.uid()) {
		t.look(s, turn.ClusterUid)
	}
	if t.r.Phase == rollout.Completed {
		t.discount(t.sum() - size(s.tx.ReadTx, t.bundle))
	}
	return nil
}

// sum is how many clusters the stages have.
func (t *track) sum() int {
	n := 0
	for _, done := range t.done {
		n += int(done)
	}
	for _, m := range t.r.Members {
		if m.State != rollout.Left {
			n++
		}
	}
	return n
}

// size is how many clusters a bundle is for.
func size(tx *store.ReadTx, b *yardarmv1.Bundle) int {
	uids := map[string]bool{}
	for _, target := range b.GetSpec().GetTargets() {
		for uid := range tx.Members(target.GetGroup()) {
			uids[uid] = true
		}
	}
	return len(uids)
}

// discount takes so many clusters from those that are done: they are members again, or have left since. Which stages they went with nobody knows any more,
// so the largest bears it.
func (t *track) discount(n int) {
	for ; n > 0; n-- {
		largest := 0
		for i, done := range t.done {
			if done > t.done[largest] {
				largest = i
			}
		}
		if t.done[largest] == 0 {
			return
		}
		t.done[largest]--
	}
}

// waited tells whether any cluster waits for its turn with a bundle.
func waited(tx *store.ReadTx, bundleUID string) bool {
	for range tx.TurnsOf(bundleUID) {
		return true
	}
	return false
}

// resume takes over from what was known before since when things are as they are, where they still are so.
func (t *track) resume(old *track) {
	if old == nil {
		return
	}
	for i := range t.r.Members {
		m := &t.r.Members[i]
		j, ok := old.at[m.UID]
		if !ok {
			continue
		}
		if was := old.seen[j]; was.Lasts(t.seen[i]) {
			t.seen[i].Since = was.Since
		}
		if was := &old.r.Members[j]; !t.begins && was.State == m.State {
			m.Since = was.Since
		}
	}
}

// add makes the i-th member known.
func (t *track) add(i int, seen rollout.Seen, kept store.RolloutMember) {
	uid := t.r.Members[i].UID
	t.at[uid] = i
	t.seen, t.kept, t.chunk = append(t.seen, seen), append(t.kept, kept), append(t.chunk, store.RolloutChunk(uid, t.chunks))
}

// admits tells whether a cluster becomes a member that the bundle is for, and that neither is one nor waits for its turn: in the database of a hub that knew
// no turns. Otherwise it runs the settled revision, as it did.
func (t *track) admits() bool { return t.r.Phase == rollout.Progressing || t.r.Phase == rollout.Paused }

// look takes in what is known of a cluster, and tells whether that is news to the rollout.
func (t *track) look(s *step, clusterUID string) bool {
	turn := s.tx.Turn(t.uid(), clusterUID)
	waits := t.wait(turn, clusterUID)
	i, member := t.at[clusterUID]
	if !member && !waits && !t.admits() {
		return false
	}
	known := t.observe(s, clusterUID)
	switch {
	case !member && known.Targeted && (waits || t.admits()):
		t.join(s, clusterUID, known)
		i = t.at[clusterUID]
	case !member:
		return waits // for nothing
	}
	switch {
	case waits && turn.Before == nil:
		t.r.Renew(i, s.now)
		t.grown = true
	case waits:
		t.r.Keep(i)
		if !member {
			t.discount(1)
		}
	case turn == nil:
		t.r.Members[i].Kept = false
	}
	was := t.seen[i]
	if known.Same(was) {
		return waits || !member
	}
	if known.Lasts(was) {
		known.Since = was.Since
	}
	t.seen[i] = known
	return true
}

// lookAtAll looks at all clusters, and tells whether there is any news.
func (t *track) lookAtAll(s *step) (news bool) {
	for _, m := range t.r.Members {
		news = t.look(s, m.UID) || news
	}
	return t.lookForMore(s) || news
}

// lookForMore looks at the clusters that are no members yet, if they may become any.
func (t *track) lookForMore(s *step) (news bool) {
	if !t.admits() {
		return false
	}
	for c := range s.tx.ClustersOf(t.uid()) {
		if _, member := t.at[c.Metadata.Uid]; !member {
			news = t.look(s, c.Metadata.Uid) || news
		}
	}
	return news
}

// wait notes what a cluster waits for, and tells whether that is something new.
func (t *track) wait(turn *storev1.Turn, clusterUID string) bool {
	was := t.turns[clusterUID]
	if turn == nil {
		delete(t.turns, clusterUID)
		return false
	}
	t.turns[clusterUID] = turn
	return turn != was
}

// join makes a cluster a member.
func (t *track) join(s *step, clusterUID string, known rollout.Seen) {
	t.r.Join(t.strategy, t.settled, candidateOf(s.tx, s.tx.Cluster(clusterUID), known, t.settled, t.settled))
	i := len(t.r.Members) - 1
	t.r.Members[i].Since, t.grown = s.now, true
	t.add(i, known, store.RolloutMember{})
}

// taken are the turns of clusters that do not wait for them any more.
func (t *track) taken() (out []*storev1.Turn) {
	for uid, turn := range t.turns {
		if i, member := t.at[uid]; !member || !t.r.Waits(i) {
			out = append(out, turn)
		}
	}
	return out
}

// grow makes shares and rows as large as those who have joined ask for.
func (t *track) grow() {
	t.readStages()
	want := store.RolloutChunks(len(t.r.Members))
	if want <= 2*t.chunks {
		return
	}
	t.chunks = want
	for i := range t.chunk {
		t.chunk[i] = store.RolloutChunk(t.r.Members[i].UID, t.chunks)
	}
}

// judge asks the gates anew, and tells whether that is news to the rollout.
func (t *track) judge(s *step) (news bool) {
	for i := range t.seen {
		g := t.gate(s, t.r.Members[i].UID)
		news = news || g != t.seen[i].Gate
		t.seen[i].Gate = g
	}
	return news
}

// gate is what the gates make of the bundle in a cluster.
func (t *track) gate(s *step, clusterUID string) rollout.Gate {
	if t.override {
		return rollout.Open
	}
	return s.moment.Judge(subject(s.tx, t.bundle, clusterUID)).Gate
}

func subject(r placement.Reader, b *yardarmv1.Bundle, clusterUID string) gate.Subject {
	return gate.Subject{Bundle: b.GetMetadata(), Cluster: r.Cluster(clusterUID).GetMetadata(), Groups: r.GroupsOf(clusterUID)}
}

// observe is what is known of a cluster, as from now on.
func (t *track) observe(s *step, clusterUID string) rollout.Seen {
	known := rollout.Seen{Since: s.now}
	about := s.tx.about(clusterUID)
	cluster := about.cluster
	if cluster == nil || cluster.GetSpec().GetRemoval() != nil {
		return known
	}
	known.Targeted, known.Present = placement.Targets(t.bundle, about.groups), about.present
	known.Gate, known.Kept = t.gate(s, clusterUID), s.tx.Before(t.uid(), clusterUID) != nil
	report := s.tx.ObservedBundle(clusterUID, t.uid()).GetReport()
	if report == nil || !known.Targeted {
		return known
	}
	// A report counts for the assignment whose hash it names: what has changed since then, such as a label that the revision refers to, it knows nothing of.
	a := t.assigned(s, cluster, report.GetRevision())
	if a != nil && string(a.Hash) == string(report.GetAssignmentHash()) {
		known.Of, known.Health = a.Revision, healthOf(report.GetPhase())
	}
	return known
}

func healthOf(phase string) rollout.Health {
	switch phase {
	case yardarmv1.PhaseReady:
		return rollout.Ready
	case yardarmv1.PhaseDegraded:
		return rollout.Degraded
	case yardarmv1.PhaseFailed:
		return rollout.Broken
	}
	return rollout.Unknown
}

func timeoutOf(r *yardarmv1.Revision) time.Duration {
	if timeout := r.GetSpec().GetDelivery().GetTimeout(); timeout != nil {
		return timeout.AsDuration()
	}
	return defaultTimeout
}

// advance takes the steps that are due, and tells whether there is something to write.
func (t *track) advance(now time.Duration) bool {
	if t.grown {
		t.grow()
	}
	t.out = t.r.Advance(t.seen, now)
	if t.out.Breach != nil {
		t.breach = t.out.Breach
	}
	return t.begins || t.grown || t.out.Changed || len(t.taken()) > 0 || rollout.Wait(t.row.GetWait()) != t.out.Wait
}
