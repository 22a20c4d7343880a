package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// historyKeys is how many keys of the history are read at once, in a transaction of the log's own: some milliseconds, and 1 MB.
	historyKeys = 10_000
	// maxHistoryOf is how many chunks of one subject are kept: a cluster whose bundles change every hour has some three weeks of them.
	maxHistoryOf = 500
	// historyShare is what is left of maxHistoryRows where that many there are: a tenth is room for the next hour.
	historyShare = maxHistoryRows / 10 * 9
)

// TrimHistory drops what the history has from before a time, all but the newest of each subject, and more where there is too much. How things stood at the end of what
// is dropped is kept, so that what comes after can be told. It returns how many chunks have gone.
func (s *Store) TrimHistory(ctx context.Context, before time.Time) (dropped int, err error) {
	if cut, err := s.historyCut(ctx); err != nil {
		return 0, err
	} else if cut.After(before) {
		before = cut
	}
	var keys []string // of the subject that is looked at
	trim := func() error {
		n, err := s.trimSubject(ctx, keys, before)
		dropped, keys = dropped+n, keys[:0]
		return err
	}
	err = s.eachHistoryKey(ctx, func(key string) error {
		if len(keys) > 0 && subjectOf(keys[0]) != subjectOf(key) {
			if err := trim(); err != nil {
				return err
			}
		}
		keys = append(keys, key)
		return nil
	})
	if err == nil && len(keys) > 0 {
		err = trim()
	}
	return dropped, err
}

func subjectOf(key string) string {
	subject, _, _ := strings.Cut(key, separator)
	return subject
}

func (s *Store) eachHistoryKey(ctx context.Context, each func(key string) error) error {
	for after := ""; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		keys, err := s.log.HistoryKeys(after, historyKeys)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, key := range keys {
			if err := each(key); err != nil {
				return err
			}
		}
		after = keys[len(keys)-1]
	}
}

// historyCut is the time before which too many chunks are; zero if there are not too many.
func (s *Store) historyCut(ctx context.Context) (cut time.Time, err error) {
	days, total := map[int64]int{}, 0
	day := func(key string) int64 { return historyTime(key).Unix() / 86400 }
	if err := s.eachHistoryKey(ctx, func(key string) error { days[day(key)]++; total++; return nil }); err != nil || total < historyShare {
		return cut, err
	}
	for _, d := range slices.Sorted(maps.Keys(days)) {
		if total < historyShare {
			break
		}
		total -= days[d]
		cut = time.Unix((d+1)*86400, 0)
	}
	return cut, nil
}

// trimSubject makes one chunk of those of a subject from before a time, and of the oldest where there are more than may be.
func (s *Store) trimSubject(ctx context.Context, keys []string, before time.Time) (dropped int, err error) {
	old := 0
	for old < len(keys) && historyTime(keys[old]).Before(before) {
		old++
	}
	old = max(old, len(keys)-maxHistoryOf)
	gone := old == len(keys) && !s.hasSubject(subjectOf(keys[0]))
	if old < 2 && !gone {
		return 0, nil // one alone says how things stand
	}
	_, chunks, err := s.log.HistoryOf(subjectOf(keys[0]))
	if err != nil {
		return 0, err
	}
	var ops []Op
	for _, key := range keys[:old] {
		ops = append(ops, Op{Table: historyTable, Key: key})
	}
	if !gone {
		base := &storev1.HistoryChunk{Base: true}
		for _, c := range chunks[:min(old, len(chunks))] {
			base.Transitions = append(base.Transitions, c.Transitions...)
		}
		base.Transitions = standing(lastOf(base.Transitions))
		value, err := proto.Marshal(base)
		if err != nil {
			return 0, fmt.Errorf("trim history: %w", err)
		}
		last := base.Transitions[len(base.Transitions)-1].Time.AsTime()
		key := keys[old-1]
		if historyTime(key).Before(last) {
			key = historyKey(subjectOf(key), last)
		}
		ops = append(ops, Op{Table: historyTable, Key: key, Value: value})
		old--
	}
	return old, s.writeHistory(ctx, ops)
}

// standing leaves out bundles that the cluster was neither to run nor had said anything of, and sorts the rest by time.
func standing(last []*storev1.Transition) []*storev1.Transition {
	out := slices.DeleteFunc(slices.Clone(last), func(t *storev1.Transition) bool {
		return t.BundleUid != "" && t.Desired == 0 && t.Phase == ""
	})
	if len(out) == 0 {
		out = last[len(last)-1:]
	}
	slices.SortStableFunc(out, func(a, b *storev1.Transition) int { return a.Time.AsTime().Compare(b.Time.AsTime()) })
	return out
}

// hasSubject tells whether there is a cluster or a bundle with the uid.
func (s *Store) hasSubject(uid string) bool {
	tx := s.Read()
	return tx.Cluster(uid) != nil || tx.Bundle(uid) != nil
}

// writeHistory commits ops, and nothing with them.
func (s *Store) writeHistory(ctx context.Context, ops []Op) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	if err := s.usable(); err != nil {
		return err
	}
	txn := s.rows.Txn(true)
	if err := s.commit(txn, ops, waiting{}); err != nil {
		txn.Abort()
		return err
	}
	return nil
}
