package drive

import (
	"fmt"
	"slices"
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
	// override: the gates do not count.
	override bool
	// begins: the row is of another rollout still. grown: somebody has joined since it was written.
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
	t := &track{bundle: b, row: row, at: map[string]int{}, settled: placement.Settled(s.tx, b)}
	latest := s.tx.Revision(uid, b.GetStatus().GetLatestRevision())
	switch {
	case latest == nil:
		return nil, nil
	case row == nil && latest.Spec.Number <= t.settled: // of a hub without rollouts
		return nil, nil
	case latest.Spec.Number > row.GetRevision() || row.GetRetry():
		return t, t.begin(s, latest, old)
	case rollout.Phase(row.Phase) == rollout.RolledBack, rollout.Phase(row.Phase) == rollout.Completed && row.Chunks == 0:
		return nil, nil
	}
	return t, t.read(s, latest, old)
}

// begin makes the rollout of the latest revision, from how its clusters are.
func (t *track) begin(s *step, latest *yardarmv1.Revision, old *track) error {
	before := &track{bundle: t.bundle, row: t.row, at: map[string]int{}}
	again := t.row.GetRevision() == latest.Spec.Number
	t.override = again && t.row.GetOverride()
	if t.row != nil {
		if err := before.readRows(s.tx, latest); err != nil {
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
	seen := map[string]rollout.Seen{}
	var candidates []rollout.Candidate
	for c := range s.tx.ClustersOf(t.uid()) {
		uid := c.Metadata.Uid
		known := t.observe(s, uid)
		if !known.Targeted {
			continue
		}
		candidate := candidateOf(s.tx, c, known, t.settled, t.settled)
		if i, ok := before.at[uid]; ok {
			runs, good := before.r.After(&before.r.Members[i])
			candidate = candidateOf(s.tx, c, known, runs, good)
		}
		candidates, seen[uid] = append(candidates, candidate), known
	}
	t.begins, t.chunks = true, store.RolloutChunks(len(candidates))
	t.r = rollout.Begin(latest.Spec.Number, t.uid(), t.strategy, timeoutOf(latest), candidates)
	t.r.Unconfirmed = len(latest.Spec.StorageChanges) > 0 && (!again || t.row.GetUnconfirmed())
	for i := range t.r.Members {
		t.r.Members[i].Since = s.now
		t.add(i, seen[t.r.Members[i].UID], store.RolloutMember{})
	}
	t.resume(old)
	return nil
}

func candidateOf(tx *store.ReadTx, c *yardarmv1.Cluster, known rollout.Seen, runs, good uint32) rollout.Candidate {
	current := runs != 0 && known.Of == runs
	return rollout.Candidate{
		UID: c.Metadata.Uid, Labels: c.Metadata.Labels, Groups: tx.GroupsOf(c.Metadata.Uid), Present: known.Present, Runs: runs, Good: good,
		Ready: known.Present && current && known.Health == rollout.Ready, Failing: current && (known.Health == rollout.Broken || known.Health == rollout.Degraded),
	}
}

// read takes the rollout from its rows.
func (t *track) read(s *step, latest *yardarmv1.Revision, old *track) error {
	if err := t.readRows(s.tx, latest); err != nil {
		return err
	}
	for i := range t.r.Members {
		t.r.Members[i].Since = s.now
		t.seen[i] = t.observe(s, t.r.Members[i].UID)
	}
	t.resume(old)
	if t.admits() {
		for c := range s.tx.ClustersOf(t.uid()) {
			t.look(s, c.Metadata.Uid)
		}
	}
	return nil
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

// admits tells whether a cluster that the bundle is for from now on becomes a member. Otherwise it runs the settled revision.
func (t *track) admits() bool { return t.r.Phase == rollout.Progressing || t.r.Phase == rollout.Paused }

// look takes in what is known of a cluster, and tells whether that is news to the rollout.
func (t *track) look(s *step, clusterUID string) bool {
	known := t.observe(s, clusterUID)
	i, member := t.at[clusterUID]
	if !member {
		if !known.Targeted || !t.admits() {
			return false
		}
		t.r.Join(t.strategy, t.settled, candidateOf(s.tx, s.tx.Cluster(clusterUID), known, t.settled, t.settled))
		i = len(t.r.Members) - 1
		t.r.Members[i].Since, t.grown = s.now, true
		t.add(i, known, store.RolloutMember{})
		return true
	}
	was := t.seen[i]
	if known.Same(was) {
		return false
	}
	if known.Lasts(was) {
		known.Since = was.Since
	}
	t.seen[i] = known
	return true
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

func subject(tx *store.ReadTx, b *yardarmv1.Bundle, clusterUID string) gate.Subject {
	return gate.Subject{Bundle: b.GetMetadata(), Cluster: tx.Cluster(clusterUID).GetMetadata(), Groups: tx.GroupsOf(clusterUID)}
}

// observe is what is known of a cluster, as from now on.
func (t *track) observe(s *step, clusterUID string) rollout.Seen {
	known := rollout.Seen{Since: s.now}
	cluster := s.tx.Cluster(clusterUID)
	if cluster == nil || cluster.GetSpec().GetRemoval() != nil {
		return known
	}
	groups := s.tx.GroupsOf(clusterUID)
	known.Targeted = slices.ContainsFunc(t.bundle.GetSpec().GetTargets(), func(target *yardarmv1.Target) bool { return slices.Contains(groups, target.GetGroup()) })
	known.Gate = t.gate(s, clusterUID)
	if p := s.tx.Presence(clusterUID); p != nil {
		known.Present = p.State == yardarmv1.PresenceConnected && p.Confirmed
	}
	report := s.tx.ObservedBundle(clusterUID, t.uid()).GetReport()
	if report == nil || !known.Targeted {
		return known
	}
	// A report counts for the assignment whose hash it names: what has changed since then, such as a label that the revision refers to, it knows nothing of.
	a := s.placer.Assigner(s.tx, t.bundle, report.GetRevision()).Assign(s.tx, cluster)
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
	t.out = t.r.Advance(t.seen, now)
	if t.out.Breach != nil {
		t.breach = t.out.Breach
	}
	return t.begins || t.grown || t.out.Changed || rollout.Wait(t.row.GetWait()) != t.out.Wait
}
