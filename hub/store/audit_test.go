package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var auditKey = []byte("the key of a test's audit log")

func auditedStore(t *testing.T, dir string, keep uint64) *Store {
	t.Helper()
	return opened(t, Config{Dir: dir, Audit: &Audit{Key: auditKey, Keep: keep}})
}

// audited returns the entries of a log that is whole.
func audited(t *testing.T, dir string) (entries []*storev1.AuditEntry) {
	t.Helper()
	_, err := VerifyAudit(dir, auditKey, func(e *storev1.AuditEntry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func closed(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAudit finds one entry for each update that changed something, with who and what, and none for any other.
func TestAudit(t *testing.T) {
	dir := t.TempDir()
	s := auditedStore(t, dir, 0)
	ctx := WithAuthor(t.Context(), Author{Who: "ann", Address: "192.0.2.1:5", RequestID: "r1", Method: "/m"})
	created, err := s.Update(ctx, func(tx *Tx) error { return tx.PutGroup(group("prod", nil)) })
	if err != nil {
		t.Fatal(err)
	}
	errTest := errors.New("test")
	if _, err := s.Update(ctx, func(tx *Tx) error { return errors.Join(tx.PutGroup(group("other", nil)), errTest) }); !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	update(t, s, func(*Tx) error { return nil })
	s = func() *Store { closed(t, s); return auditedStore(t, dir, 0) }()
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c1", "edge-1", nil)) })
	same := func(tx *Tx) error { return tx.PutCredential(&storev1.Credential{Id: "k", Name: "ci"}) }
	update(t, s, same)
	update(t, s, same)
	for day := range int64(2) { // of which the second is a renewal
		update(t, s, func(tx *Tx) error {
			return tx.PutIdentity(&storev1.Identity{ClusterUid: "c1", NotAfter: &timestamppb.Timestamp{Seconds: 1 + day*86400}})
		})
	}
	closed(t, s)

	entries := audited(t, dir)
	if len(entries) != 4 {
		t.Fatalf("%d entries, want 4: %v", len(entries), entries)
	}
	e := entries[0]
	if e.Who != "ann" || e.Address != "192.0.2.1:5" || e.RequestId != "r1" || e.Method != "/m" || e.Index != created || e.Time.AsTime().IsZero() {
		t.Errorf("the author's entry is %v", e)
	}
	if len(e.Changes) != 1 || e.Changes[0].Table != "groups" || e.Changes[0].Name != "prod" || e.Changes[0].Before != nil || len(e.Changes[0].After) != 32 {
		t.Errorf("it names %v", e.Changes)
	}
	if entries[1].Who != "hub" || entries[1].Changes[0].Name != "edge-1" {
		t.Errorf("the hub's own entry is %v", entries[1])
	}
}

// TestAuditFails lets no change pass that cannot be written down.
func TestAuditFails(t *testing.T) {
	dir := t.TempDir()
	s := auditedStore(t, dir, 0)
	ctx := WithAuthor(t.Context(), Author{Who: "\xff"}) // cannot be encoded
	if _, err := s.Update(ctx, func(tx *Tx) error { return tx.PutGroup(group("prod", nil)) }); err == nil || !strings.Contains(err.Error(), "audit") {
		t.Fatalf("the update gives %v", err)
	}
	if s.Read().Group("prod") != nil {
		t.Error("the change was made")
	}
	update(t, s, func(tx *Tx) error { return tx.PutGroup(group("next", nil)) })
	closed(t, s)
	if n := len(audited(t, dir)); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// TestAuditKeep drops the oldest entries, which is no truncation, also with a smaller number than before.
func TestAuditKeep(t *testing.T) {
	dir := t.TempDir()
	for _, keep := range []uint64{10, 4} {
		s := auditedStore(t, dir, keep)
		for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
			update(t, s, func(tx *Tx) error { return tx.PutGroup(group(name, nil)) })
		}
		if _, err := s.TrimAudit(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		closed(t, s)
		if n := len(audited(t, dir)); uint64(n) != keep {
			t.Errorf("%d entries are kept, want %d", n, keep)
		}
	}
}

// TestAuditIsBounded has Run drop what is too much, with nobody else to do it; and keep all of a log that was altered, once it has said so.
func TestAuditIsBounded(t *testing.T) {
	dir := t.TempDir()
	var said atomic.Bool
	logger := slog.New(slog.NewTextHandler(hearing(func(line string) {
		said.CompareAndSwap(false, strings.Contains(line, "nothing of it is dropped"))
	}), nil))
	running := func(act func(*Store)) {
		t.Helper()
		s := opened(t, Config{Dir: dir, Audit: &Audit{Key: auditKey, Keep: 4}, FlushInterval: time.Millisecond, Logger: logger})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		act(s)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		closed(t, s)
	}
	put := func(s *Store) {
		for i := range maxAuditCut + 4 {
			update(t, s, func(tx *Tx) error {
				return tx.PutGroup(group("g", map[string]string{"i": fmt.Sprint(i), "at": fmt.Sprint(tx.index)}))
			})
		}
	}
	length := func(s *Store) uint64 {
		first, last, err := s.AuditRange()
		if err != nil {
			t.Fatal(err)
		}
		return last + 1 - first
	}
	running(func(s *Store) {
		put(s)
		wait(t, func() bool { return length(s) < maxAuditCut+4 })
	})
	before := audited(t, dir)
	rows := map[string][]byte{}
	log := forgedLog(t, dir, rows)
	m, err := log.Meta()
	if err != nil {
		t.Fatal(err)
	}
	altered := eventKey(before[1].Sequence)
	if err := errors.Join(log.Append(&Batch{Meta: m, Ops: []Op{{Table: auditTable, Key: altered, Value: elsewhere(rows[altered])}}}), log.Close()); err != nil {
		t.Fatal(err)
	}
	running(func(s *Store) {
		put(s)
		wait(t, said.Load)
		put(s)
		if n := length(s); n != uint64(len(before)+2*(maxAuditCut+4)) {
			t.Errorf("%d entries are left of an altered log", n)
		}
	})
}

// hearing is called with each line of a log.
type hearing func(line string)

func (h hearing) Write(line []byte) (int, error) {
	h(string(line))
	return len(line), nil
}

// TestAuditForged does to a log what somebody with the file, and all of this package but for the key, could.
func TestAuditForged(t *testing.T) {
	op := func(sequence uint64, value []byte) Op {
		return Op{Table: auditTable, Key: eventKey(sequence), Value: value}
	}
	for name, test := range map[string]struct {
		forge func(row func(uint64) []byte, early *storev1.AuditHead) ([]Op, *storev1.AuditHead)
		want  string
		// opens says that a hub starts on it: it looks at the head only.
		opens bool
	}{
		"altered": {func(row func(uint64) []byte, _ *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			r, e := &storev1.AuditRecord{}, &storev1.AuditEntry{}
			_ = proto.Unmarshal(row(3), r)
			_ = proto.Unmarshal(r.Entry, e)
			e.Who = "bob"
			r.Entry, _ = proto.Marshal(e)
			value, _ := proto.Marshal(r)
			return []Op{op(3, value)}, nil
		}, "breaks at entry 3: it was altered", true},
		"removed": {func(func(uint64) []byte, *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			return []Op{op(2, nil)}, nil
		}, "breaks at entry 2", true},
		"reordered": {func(row func(uint64) []byte, _ *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			return []Op{op(2, row(3)), op(3, row(2))}, nil
		}, "breaks at entry 2: entry 3 was put in its place", true},
		"truncated": {func(func(uint64) []byte, *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			return []Op{op(5, nil), op(4, nil)}, nil
		}, "breaks at entry 4: it and what follows are missing", true},
		"cut at the front": {func(func(uint64) []byte, *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			return []Op{op(1, nil)}, nil
		}, "breaks at entry 1", true},
		"cut by a copy of an older log": {func(_ func(uint64) []byte, early *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			return []Op{op(5, nil), op(4, nil), op(3, nil)}, early
		}, "of another time", false},
		"older head with today's index": {func(_ func(uint64) []byte, early *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			early.Index += 3
			return []Op{op(5, nil), op(4, nil), op(3, nil)}, early
		}, "not sealed with this hub's key", false},
		"of another copy of this hub": {func(row func(uint64) []byte, _ *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			return []Op{op(3, elsewhere(row(3)))}, nil
		}, "breaks at entry 4: it does not follow the entry before it", true},
		"ends as another copy of this hub": {func(row func(uint64) []byte, _ *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			return []Op{op(5, elsewhere(row(5)))}, nil
		}, "breaks at entry 5: it is another than the one that the head names", true},
		"added": {func(row func(uint64) []byte, _ *storev1.AuditHead) ([]Op, *storev1.AuditHead) {
			return []Op{op(6, row(5))}, nil
		}, "beyond the head", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := auditedStore(t, dir, 0)
			var early *storev1.AuditHead
			rows := map[string][]byte{}
			for i, g := range []string{"a", "b", "c", "d", "e"} {
				update(t, s, func(tx *Tx) error { return tx.PutGroup(group(g, nil)) })
				if i == 1 {
					early, _ = s.log.AuditHead()
				}
			}
			closed(t, s)
			if n := len(audited(t, dir)); n != 5 {
				t.Fatalf("%d entries before", n)
			}
			log := forgedLog(t, dir, rows)
			ops, head := test.forge(func(n uint64) []byte { return rows[eventKey(n)] }, early)
			m, err := log.Meta()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(log.Append(&Batch{Meta: m, Head: head, Ops: ops}), log.Close()); err != nil {
				t.Fatal(err)
			}
			var broken *AuditError
			if _, err := VerifyAudit(dir, auditKey, nil); !errors.As(err, &broken) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("verifying gives %v, want %q", err, test.want)
			}
			s, err = Open(Config{Dir: dir, Audit: &Audit{Key: auditKey}})
			if (err == nil) != test.opens {
				t.Errorf("opening gives %v", err)
			}
			if err == nil {
				closed(t, s)
			}
		})
	}
}

// elsewhere is an entry as the hub would have sealed it, had somebody else made the change: it is in no log but that of a copy, restored elsewhere.
func elsewhere(row []byte) []byte {
	r, e := &storev1.AuditRecord{}, &storev1.AuditEntry{}
	_ = proto.Unmarshal(row, r)
	_ = proto.Unmarshal(r.Entry, e)
	e.Who = "bob"
	r.Entry, _ = proto.Marshal(e)
	r.Seal = (&auditor{Audit{Key: auditKey}}).sealEntry(r.Entry)
	value, _ := proto.Marshal(r)
	return value
}

// forgedLog opens a database below the store, and reads its audit log.
func forgedLog(t *testing.T, dir string, rows map[string][]byte) *aheadLog {
	t.Helper()
	config := Config{Dir: dir}
	config.setDefaults()
	log, err := openLog(config)
	if err != nil {
		t.Fatal(err)
	}
	err = log.view(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(auditTable)).ForEach(func(k, v []byte) error {
			value, err := unseal(auditTable, k, v)
			rows[string(k)] = append([]byte(nil), value...)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// TestAuditBackup takes the log through a backup, a restore, and changes after it.
func TestAuditBackup(t *testing.T) {
	dir, restored := t.TempDir(), t.TempDir()
	s := auditedStore(t, dir, 0)
	update(t, s, func(tx *Tx) error { return tx.PutGroup(group("a", nil)) })
	backup := filepath.Join(t.TempDir(), "backup")
	f, err := os.Create(backup)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Backup(t.Context(), f), f.Close()); err != nil {
		t.Fatal(err)
	}
	if sum, err := VerifyAuditFile(backup, auditKey, nil); err != nil || sum.Last != 1 {
		t.Fatalf("the backup's log: %v, %v", sum, err)
	}
	if _, err := VerifyAuditFile(backup, []byte("another key"), nil); !errors.As(err, new(*AuditError)) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := Restore(RestoreConfig{Source: backup, Dir: restored}); err != nil {
		t.Fatal(err)
	}
	audited(t, restored)
	again := t.TempDir()
	if _, err := Restore(RestoreConfig{Source: filepath.Join(restored, databaseName), Dir: again}); err != nil {
		t.Fatal(err)
	}
	audited(t, again) // restored from what no hub has started on
	closed(t, auditedStore(t, again, 0))
	for range 2 { // opened twice: the first start changes nothing
		closed(t, auditedStore(t, restored, 0))
	}
	s = auditedStore(t, restored, 0)
	update(t, s, func(tx *Tx) error { return tx.PutGroup(group("b", nil)) })
	closed(t, s)
	if n := len(audited(t, restored)); n != 2 {
		t.Errorf("%d entries after the restore", n)
	}
}

// TestAuditBegins gives a database of before there were logs one, and none to a database that has lost its own.
func TestAuditBegins(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	update(t, s, func(tx *Tx) error { return tx.PutGroup(group("a", nil)) })
	closed(t, s)
	if _, err := Open(Config{Dir: dir, Audit: &Audit{Key: auditKey}}); !errors.Is(err, errHeadMissing) {
		t.Fatalf("a database without its log gives %v", err)
	}
	log := forgedLog(t, dir, map[string][]byte{})
	m, _ := log.Meta()
	m.Format = auditFormat - 1
	if err := errors.Join(log.Append(&Batch{Meta: m}), log.Close()); err != nil {
		t.Fatal(err)
	}
	s = auditedStore(t, dir, 0)
	update(t, s, func(tx *Tx) error { return tx.PutGroup(group("b", nil)) })
	closed(t, s)
	if n := len(audited(t, dir)); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// TestAuditTrim drops what is too old, and nothing else. What is left is whole, and what others then alter, remove or reorder shows as before; also of a log that has
// been dropped as a whole.
func TestAuditTrim(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const entries = maxAuditCut + 20
	grown := func(dir string) *Store {
		now := start
		s := opened(t, Config{Dir: dir, Audit: &Audit{Key: auditKey}, Clock: func() time.Time { return now }})
		for i := range entries {
			now = start.Add(time.Duration(i) * time.Hour)
			update(t, s, func(tx *Tx) error { return tx.PutGroup(group("g", map[string]string{"i": fmt.Sprint(i)})) })
		}
		return s
	}
	trim := func(t *testing.T, s *Store, until, want int) {
		t.Helper()
		if n, err := s.TrimAudit(t.Context(), start.Add(time.Duration(until)*time.Hour-time.Minute)); n != want || err != nil {
			t.Fatalf("%d entries are dropped, want %d: %v", n, want, err)
		}
	}
	op := func(sequence uint64, value []byte) Op {
		return Op{Table: auditTable, Key: eventKey(sequence), Value: value}
	}
	const first = entries - 5 // sequences begin with 1
	trimmed := t.TempDir()
	s := grown(trimmed)
	trim(t, s, 0, 0)
	trim(t, s, first-1, first-1)
	trim(t, s, first-1, 0)
	closed(t, s)
	for name, test := range map[string]struct {
		forge func(row func(uint64) []byte) []Op
		want  string
	}{
		"whole": {func(func(uint64) []byte) []Op { return nil }, ""},
		"altered": {func(row func(uint64) []byte) []Op {
			r, e := &storev1.AuditRecord{}, &storev1.AuditEntry{}
			_ = errors.Join(proto.Unmarshal(row(first+1), r), proto.Unmarshal(r.Entry, e))
			e.Who = "bob"
			r.Entry, _ = proto.Marshal(e)
			value, _ := proto.Marshal(r)
			return []Op{op(first+1, value)}
		}, fmt.Sprintf("breaks at entry %d: it was altered", first+1)},
		"cut at the front": {func(func(uint64) []byte) []Op { return []Op{op(first, nil)} }, fmt.Sprintf("breaks at entry %d", first)},
		"truncated":        {func(func(uint64) []byte) []Op { return []Op{op(entries, nil)} }, fmt.Sprintf("breaks at entry %d: it and what follows are missing", entries)},
		"reordered": {func(row func(uint64) []byte) []Op { return []Op{op(first, row(first+1)), op(first+1, row(first))} },
			fmt.Sprintf("breaks at entry %d: entry %d was put in its place", first, first+1)},
		"put back": {func(row func(uint64) []byte) []Op { return []Op{op(first-1, row(first))} }, fmt.Sprintf("breaks at entry %d", first)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(trimmed)); err != nil {
				t.Fatal(err)
			}
			sum, err := VerifyAudit(dir, auditKey, nil)
			if err != nil || sum.First != first || sum.Last != entries || !sum.Since.Equal(start.Add((first-1)*time.Hour)) {
				t.Fatalf("what is left: %+v, %v", sum, err)
			}
			rows := map[string][]byte{}
			log := forgedLog(t, dir, rows)
			m, err := log.Meta()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(log.Append(&Batch{Meta: m, Ops: test.forge(func(n uint64) []byte { return rows[eventKey(n)] })}), log.Close()); err != nil {
				t.Fatal(err)
			}
			_, err = VerifyAudit(dir, auditKey, nil)
			if errors.As(err, new(*AuditError)) != (test.want != "") || test.want != "" && !strings.Contains(err.Error(), test.want) {
				t.Errorf("verifying gives %v, want %q", err, test.want)
			}
		})
	}
	t.Run("all", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(trimmed)); err != nil {
			t.Fatal(err)
		}
		s := auditedStore(t, dir, 0)
		trim(t, s, entries+1, entries+1-first)
		closed(t, s)
		if n := len(audited(t, dir)); n > 0 {
			t.Errorf("%d entries are left", n)
		}
		s = auditedStore(t, dir, 0)
		update(t, s, func(tx *Tx) error { return tx.PutGroup(group("after", nil)) })
		closed(t, s)
		if left := audited(t, dir); len(left) != 1 || left[0].Sequence != entries+1 {
			t.Errorf("after it: %v", left)
		}
	})
}

// TestAuditTrimHidesNothing drops nothing where what is old enough was altered.
func TestAuditTrimHidesNothing(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := opened(t, Config{Dir: dir, Audit: &Audit{Key: auditKey}, Clock: func() time.Time { return now }})
	for _, name := range strings.Split("abcdefgh", "") {
		update(t, s, func(tx *Tx) error { return tx.PutGroup(group(name, nil)) })
	}
	closed(t, s)
	rows := map[string][]byte{}
	log := forgedLog(t, dir, rows)
	m, _ := log.Meta()
	// The binary search for the time sees some entries, and this is none of them.
	if err := errors.Join(log.Append(&Batch{Meta: m, Ops: []Op{{Table: auditTable, Key: eventKey(2), Value: elsewhere(rows[eventKey(2)])}}}), log.Close()); err != nil {
		t.Fatal(err)
	}
	s = auditedStore(t, dir, 0)
	if n, err := s.TrimAudit(t.Context(), now.Add(24*time.Hour)); n != 0 || !errors.As(err, new(*AuditError)) {
		t.Errorf("%d entries are dropped: %v", n, err)
	}
	closed(t, s)
	if _, err := VerifyAudit(dir, auditKey, nil); err == nil {
		t.Error("the log is whole again")
	}
}
