package store

import (
	"bytes"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// History is what is known of how a cluster, or a bundle's rollout, stood.
type History struct {
	// Since is the time before which nothing is known any more; zero where nothing was dropped.
	Since time.Time
	// At is how things stood at Since: the last transition of each bundle.
	At []*storev1.Transition
	// Transitions are what came after, the oldest first.
	Transitions []*storev1.Transition
	// Lost is how many of those were not kept, since there were too many.
	Lost uint32
}

// History returns the history of a cluster, or of a bundle's rollouts, by its uid. What happened within the last flush interval is in it, too.
func (s *Store) History(subject string) (*History, error) {
	s.turn <- struct{}{}
	pending := proto.CloneOf(s.history[subject])
	keys, chunks, err := s.log.HistoryOf(subject)
	<-s.turn
	if err != nil {
		return nil, err
	}
	h := &History{}
	if pending != nil && len(pending.Transitions) > 0 {
		keys, chunks = append(keys, historyKey(subject, pending.Transitions[0].Time.AsTime())), append(chunks, pending)
	}
	for i, c := range chunks {
		if c.Base {
			h.Since, h.At = historyTime(keys[i]), c.Transitions
			continue
		}
		h.Transitions = append(h.Transitions, c.Transitions...)
		h.Lost += c.Lost
	}
	return h, nil
}

// Standing returns how things stood at a time: the last transition of each bundle up to then, and of what the history is of itself. ok is false where that is not known any more.
func (h *History) Standing(t time.Time) (standing []*storev1.Transition, ok bool) {
	if t.Before(h.Since) {
		return nil, false
	}
	var all []*storev1.Transition
	for _, tr := range slices.Concat(h.At, h.Transitions) {
		if !tr.Time.AsTime().After(t) {
			all = append(all, tr)
		}
	}
	return lastOf(all), true
}

// lastOf returns the last transition of each bundle, in the order of when the bundles were first named.
func lastOf(all []*storev1.Transition) []*storev1.Transition {
	at := map[string]int{}
	var out []*storev1.Transition
	for _, t := range all {
		i, known := at[t.BundleUid]
		if !known {
			at[t.BundleUid] = len(out)
			out = append(out, t)
			continue
		}
		out[i] = t
	}
	return out
}

// HistoryOf implements Log.
func (l *boltLog) HistoryOf(subject string) (keys []string, chunks []*storev1.HistoryChunk, err error) {
	prefix := []byte(subject + separator)
	err = l.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(historyTable)).Cursor()
		for key, sealed := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, sealed = c.Next() {
			value, err := unseal(historyTable, key, sealed)
			chunk := &storev1.HistoryChunk{}
			if err == nil {
				err = proto.Unmarshal(value, chunk)
			}
			if err != nil {
				return corruptRow(l.path, historyTable, key, err)
			}
			keys, chunks = append(keys, string(key)), append(chunks, chunk)
		}
		return nil
	})
	return keys, chunks, err
}

// HistoryKeys implements Log.
func (l *boltLog) HistoryKeys(after string, n int) (keys []string, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(historyTable)).Cursor()
		key, _ := c.Seek([]byte(after))
		if string(key) == after {
			key, _ = c.Next()
		}
		for ; key != nil && len(keys) < n; key, _ = c.Next() {
			keys = append(keys, string(key))
		}
		return nil
	})
	return keys, err
}

// HistoryRows implements Log.
func (l *boltLog) HistoryRows() uint64 { return l.historyRows.Load() }
