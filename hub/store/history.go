package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/placement"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// historyTable is the table of the history, keyed by subject (the uid of a cluster or a bundle) and time. It is on disk only.
	historyTable = "history"
	// maxPendingTransitions is how many of one subject wait for the next flush: a spoke that reports more often tells nothing by it.
	maxPendingTransitions = 256
	// maxHistoryRows is how many chunks there are at most, some 250 MB. No more are written then, until [Store.TrimHistory] has made room.
	maxHistoryRows = 1_000_000
)

// history is what has changed since the last flush, by subject. It belongs to whoever has the store's turn.
type history map[string]*storev1.HistoryChunk

// noteHistory takes what a batch has changed, once it is visible: what a cluster is to run, what its spoke says, whether it is there, and how rollouts stand. It is
// written with the next flush, as observed state is, so that a report costs no commit.
func (s *Store) noteHistory(c changes) {
	n := s.historian()
	var targeted []string // the bundles whose targets have changed
	for _, row := range c.rows {
		n.row(row)
		if row.table.table() == Bundles && !sameTargets(row) {
			targeted = append(targeted, row.key)
		}
	}
	// In the order of the rows that are looked at: those of a rollout come chunk by chunk.
	for _, t := range slices.SortedFunc(slices.Values(c.touched), func(a, b touch) int { return strings.Compare(a.key, b.key) }) {
		switch t.table {
		case Assigned:
			cluster, bundle, _ := strings.Cut(t.key, separator)
			n.assignment(cluster, bundle)
		case Members:
			for _, bundle := range targeted {
				n.assignment(t.key, bundle)
			}
		}
	}
}

// beginHistory notes how everything stands where there is no history yet: in a database of before format 8.
func (s *Store) beginHistory() {
	n := s.historian()
	if s.log.HistoryRows() > 0 {
		return
	}
	for c := range n.tx.Clusters() {
		uid := c.Metadata.Uid
		n.cluster(uid)
		for b := range n.tx.BundlesOf(uid) {
			n.assignment(uid, b.Metadata.Uid)
		}
		for o := range n.tx.ObservedBundles(uid) {
			n.assignment(uid, o.Report.BundleUid)
		}
	}
	for b := range n.tx.Bundles() {
		if r := n.tx.Rollout(b.Metadata.Uid); r != nil {
			n.rollout(nil, r)
		}
	}
	for _, c := range s.history {
		c.Base = true
	}
	s.askForFlush()
}

func sameTargets(c change) bool {
	was, _ := c.old.(*yardarmv1.Bundle)
	is, _ := c.new.(*yardarmv1.Bundle)
	return was != nil && is != nil && slices.Equal(targetsOf(was), targetsOf(is))
}

// historian makes transitions of what has changed.
type historian struct {
	history
	tx   *ReadTx
	now  *timestamppb.Timestamp
	seen map[string]bool // keys of assignments and clusters that were noted
}

// historian makes one for now. Two batches never have the same time, however coarse the clock: keys of chunks are made of it.
func (s *Store) historian() *historian {
	now := s.config.Clock()
	if ahead := s.noted.Sub(now); ahead >= 0 && ahead < time.Millisecond {
		now = s.noted.Add(1)
	}
	s.noted = now
	return &historian{tx: s.Read(), history: s.history, now: timestamppb.New(now), seen: map[string]bool{}}
}

func (n *historian) row(c change) {
	switch c.table.table() {
	case Clusters:
		was, _ := c.old.(*yardarmv1.Cluster)
		is, _ := c.new.(*yardarmv1.Cluster)
		if is == nil {
			n.add(c.key, &storev1.Transition{Phase: yardarmv1.ClusterDeleted})
		} else if was == nil || was.GetStatus().GetPhase() != is.GetStatus().GetPhase() {
			n.cluster(c.key)
		}
	case Presences:
		was, _ := c.old.(*Presence)
		is, _ := c.new.(*Presence)
		if is != nil && is.State != yardarmv1.PresenceUnknown && (was == nil || was.State != is.State) {
			n.cluster(c.key)
		}
	case Members:
		was, _ := c.old.(*membership)
		is, _ := c.new.(*membership)
		if row := is; (was != nil && was.member) != (is != nil && is.member) {
			if row == nil {
				row = was
			}
			for b := range n.tx.BundlesTargeting(row.group) {
				n.assignment(row.clusterUID, b.Metadata.Uid)
			}
		}
	case ObservedBundles:
		was, _ := c.old.(*storev1.ObservedBundle)
		is, _ := c.new.(*storev1.ObservedBundle)
		before, after := was.GetReport(), is.GetReport()
		if before.GetPhase() != after.GetPhase() || before.GetReason() != after.GetReason() || before.GetRevision() != after.GetRevision() {
			cluster, bundle, _ := strings.Cut(c.key, separator)
			n.assignment(cluster, bundle)
		}
	case Rollouts:
		if is, _ := c.new.(*storev1.Rollout); is != nil {
			n.rollout(c.old, is)
		}
	}
}

func (n *historian) cluster(uid string) {
	if n.seen[uid] {
		return
	}
	n.seen[uid] = true
	t := &storev1.Transition{Phase: n.tx.Cluster(uid).GetStatus().GetPhase()}
	if p := n.tx.Presence(uid); p != nil {
		t.Presence = p.State
	}
	n.add(uid, t)
}

// assignment notes what a cluster is to run of a bundle, and what its spoke has said of it.
func (n *historian) assignment(clusterUID, bundleUID string) {
	key := join(clusterUID, bundleUID)
	if n.seen[key] || n.tx.Cluster(clusterUID) == nil {
		return
	}
	n.seen[key] = true
	b, r := n.tx.Bundle(bundleUID), n.tx.ObservedBundle(clusterUID, bundleUID).GetReport()
	t := &storev1.Transition{BundleUid: bundleUID, Bundle: b.GetMetadata().GetName(), Revision: r.GetRevision(), Phase: r.GetPhase(), Reason: r.GetReason()}
	if b == nil {
		t.Bundle = r.GetBundle()
	}
	for _, group := range targetsOf(b) {
		if m := members.get(n.tx, group, clusterUID); m != nil && m.member {
			t.Desired = placement.RevisionFor(n.tx, clusterUID, b)
			break
		}
	}
	n.add(clusterUID, t)
}

func (n *historian) rollout(old any, is *storev1.Rollout) {
	t := func(r *storev1.Rollout) *storev1.Transition {
		out := &storev1.Transition{Desired: r.GetRevision(), RolloutPhase: r.GetPhase(), Reason: r.GetFailure()}
		if at := int(r.GetAt()); at < len(r.GetStages()) {
			out.Stage = r.GetStages()[at].GetName()
		}
		return out
	}
	if was, _ := old.(*storev1.Rollout); was == nil || !proto.Equal(t(was), t(is)) {
		n.add(is.GetBundleUid(), t(is))
	}
}

func (n *historian) add(subject string, t *storev1.Transition) {
	t.Time = n.now
	n.note(subject, t)
}

func (h history) note(subject string, t *storev1.Transition) {
	c := h[subject]
	if c == nil {
		c = &storev1.HistoryChunk{}
		h[subject] = c
	}
	if len(c.Transitions) == maxPendingTransitions {
		c.Transitions = c.Transitions[1:]
		c.Lost++
	}
	c.Transitions = append(c.Transitions, t)
}

// historyKey is in the order of times. Nanoseconds have 19 digits until 2286.
func historyKey(subject string, t time.Time) string {
	return fmt.Sprintf("%s%s%019d", subject, separator, max(0, t.UnixNano()))
}

// historyTime is the time in a key.
func historyTime(key string) time.Time {
	_, nanos, _ := strings.Cut(key, separator)
	n, err := strconv.ParseInt(nanos, 10, 64)
	if err != nil {
		return time.Time{} // no hub has written it
	}
	return time.Unix(0, n)
}

// take returns what writes the chunks of subjects, those that wait yet and have room, and whose they are. rows is how many there are on disk.
func (h history) take(subjects []string, rows uint64, failed func(subject string, err error)) (ops []Op, taken []string) {
	for _, subject := range subjects {
		c := h[subject]
		if c == nil {
			continue
		}
		if rows+uint64(len(ops)) >= maxHistoryRows {
			c.Lost += uint32(len(c.Transitions))
			c.Transitions = nil
		}
		if len(c.Transitions) == 0 {
			continue
		}
		taken = append(taken, subject)
		value, err := proto.Marshal(c)
		if err != nil {
			failed(subject, err)
			continue
		}
		ops = append(ops, Op{Table: historyTable, Key: historyKey(subject, c.Transitions[0].Time.AsTime()), Value: value})
	}
	return ops, taken
}

func (h history) written(subjects []string) {
	for _, subject := range subjects {
		delete(h, subject)
	}
}
