package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// readBack returns the sequences that a reader from a place on gets, and the error that ends it.
func readBack(s *Store, before uint64) (sequences []uint64, err error) {
	for e, err := range s.AuditEntries(before) {
		if err != nil {
			return sequences, err
		}
		sequences = append(sequences, e.Sequence)
	}
	return sequences, nil
}

// TestAuditEntries reads a log of several chunks backwards, from its end and from the middle, while its oldest entries are dropped.
func TestAuditEntries(t *testing.T) {
	const entries, keep = 2*auditChunk + 100, 2*auditChunk + 50
	s := auditedStore(t, t.TempDir(), keep)
	if got, err := readBack(s, 0); err != nil || len(got) > 0 {
		t.Fatalf("an empty log gives %v, %v", got, err)
	}
	put := func(from, to int) {
		for i := from; i < to; i++ {
			update(t, s, func(tx *Tx) error { return tx.PutGroup(group("g", map[string]string{"i": fmt.Sprint(i)})) })
		}
		if n, err := s.TrimAudit(t.Context(), time.Time{}); err != nil || n != to-max(from, keep) {
			t.Fatalf("%d entries are dropped: %v", n, err)
		}
	}
	put(0, entries)
	for _, before := range []uint64{0, entries + 1, entries + 7, entries, auditChunk + 60, entries - keep + 1, 1} {
		newest := before - 1
		if before == 0 || before > entries {
			newest = entries
		}
		got, err := readBack(s, before)
		if err != nil {
			t.Fatalf("before %d: %v", before, err)
		}
		for i, sequence := range got {
			if sequence != newest-uint64(i) {
				t.Fatalf("before %d: entry %d is at %d", before, sequence, i)
			}
		}
		if want := max(0, int(newest)-(entries-keep)); len(got) != want {
			t.Errorf("before %d: %d entries, want %d", before, len(got), want)
		}
	}
	read := 0
	for e, err := range s.AuditEntries(0) {
		if err != nil {
			t.Fatalf("after %d entries: %v", read, err)
		}
		if read++; read == 1 { // the chunk after the one that was read is gone when it is asked for
			put(entries, entries+keep)
		}
		if e.Sequence < entries-auditChunk+1 {
			t.Fatalf("entry %d was dropped, and is read", e.Sequence)
		}
	}
	if read != auditChunk {
		t.Errorf("%d entries were read, of which the first %d were there", read, auditChunk)
	}
}

// TestAuditBefore finds a time in a log, also where the clock was set back.
func TestAuditBefore(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := start
	s := opened(t, Config{Dir: t.TempDir(), Audit: &Audit{Key: auditKey}, Clock: func() time.Time { return now }})
	var times []time.Time
	for i := range 200 {
		now = start.Add(time.Duration(i) * 10 * time.Minute)
		if i >= 100 {
			now = now.Add(-50 * time.Minute) // set back between the hundredth and the next
		}
		times = append(times, now)
		update(t, s, func(tx *Tx) error { return tx.PutGroup(group("g", map[string]string{"i": fmt.Sprint(i)})) })
	}
	for _, at := range []time.Duration{-time.Hour, 0, 5 * time.Minute, 15 * time.Hour, 16 * time.Hour, 20 * time.Hour, 1000 * time.Hour} {
		at := start.Add(at)
		before, err := s.AuditBefore(at)
		if err != nil {
			t.Fatal(err)
		}
		last := 0 // the newest sequence before the time
		for i, made := range times {
			if made.Before(at) {
				last = i + 1
			}
		}
		if before <= uint64(last) || before > uint64(last)+15 {
			t.Errorf("%v: all are before %d, and the last is %d", at, before, last)
		}
		for e, err := range s.AuditEntries(0) {
			if err != nil {
				t.Fatal(err)
			}
			for older := range e.Sequence {
				if AuditOlder(e, at) && older > 0 && !times[older-1].Before(at) {
					t.Errorf("%v: entry %d says that %d is older", at, e.Sequence, older)
				}
			}
		}
	}
}

// TestAuditEntriesForged reads what TestAuditForged does to a log: nothing behind the place where it breaks.
func TestAuditEntriesForged(t *testing.T) {
	for name, test := range map[string]struct {
		forge func(row func(uint64) []byte) []Op
		read  int
		want  string
	}{
		"whole":      {func(func(uint64) []byte) []Op { return nil }, 5, ""},
		"removed":    {func(func(uint64) []byte) []Op { return []Op{{Table: auditTable, Key: eventKey(3)}} }, 2, "breaks at entry 3: it is missing"},
		"truncated":  {func(func(uint64) []byte) []Op { return []Op{{Table: auditTable, Key: eventKey(5)}} }, 0, "breaks at entry 5: it is missing"},
		"first gone": {func(func(uint64) []byte) []Op { return []Op{{Table: auditTable, Key: eventKey(1)}} }, 4, "breaks at entry 1: it is missing"},
		"moved":      {func(row func(uint64) []byte) []Op { return []Op{{Table: auditTable, Key: eventKey(4), Value: row(2)}} }, 1, "entry 2 was put in its place"},
		"of another copy": {func(row func(uint64) []byte) []Op {
			return []Op{{Table: auditTable, Key: eventKey(4), Value: elsewhere(row(4))}}
		}, 1, "breaks at entry 4: it is another than the one that is followed"},
		"unsealed": {func(row func(uint64) []byte) []Op {
			return []Op{{Table: auditTable, Key: eventKey(2), Value: append(row(2)[:len(row(2))-1:len(row(2))-1], row(2)[len(row(2))-1]^1)}}
		}, 3, "breaks at entry 2: it was altered"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := auditedStore(t, dir, 0)
			for _, g := range []string{"a", "b", "c", "d", "e"} {
				update(t, s, func(tx *Tx) error { return tx.PutGroup(group(g, nil)) })
			}
			closed(t, s)
			rows := map[string][]byte{}
			log := forgedLog(t, dir, rows)
			m, err := log.Meta()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(log.Append(&Batch{Meta: m, Ops: test.forge(func(n uint64) []byte { return rows[eventKey(n)] })}), log.Close()); err != nil {
				t.Fatal(err)
			}
			s = auditedStore(t, dir, 0)
			got, err := readBack(s, 0)
			var broken *AuditError
			if errors.As(err, &broken) != (test.want != "") || test.want != "" && !strings.Contains(err.Error(), test.want) {
				t.Errorf("reading gives %v, want %q", err, test.want)
			}
			if len(got) != test.read {
				t.Errorf("%d entries are read before that: %v", len(got), got)
			}
		})
	}
}

// TestAuditNames finds the names of what has none of its own.
func TestAuditNames(t *testing.T) {
	dir := t.TempDir()
	s := auditedStore(t, dir, 0)
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutCluster(cluster("c1", "edge-1", nil)), tx.PutBundle(bundle("b1", "web", "all")))
	})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.AddReconciliation("c1", "b1"),
			tx.PutRollout(&storev1.Rollout{BundleUid: "b1", Revision: 1}), tx.PutCredential(&storev1.Credential{Id: "k", Name: "ci"}),
			tx.PutSecret(&storev1.SealedSecret{Name: "ca"}))
	})
	closed(t, s)
	got := map[string]string{}
	for _, e := range audited(t, dir) {
		for _, c := range e.Changes {
			got[c.Table] = c.Name
		}
	}
	for table, want := range map[string]string{"clusters": "edge-1", "bundles": "web", "reconciliations": "edge-1.web", "rollouts": "web", "credentials": "ci", "secrets": "ca"} {
		if got[table] != want {
			t.Errorf("%s is called %q, want %q", table, got[table], want)
		}
	}
}
