package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// lacks is how many batches the database of a store lacks.
func lacks(s *Store) int {
	l := aheadOf(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending)
}

// TestDatabaseFollows: the database follows by itself, beside those who append, and however often the log comes around.
func TestDatabaseFollows(t *testing.T) {
	for _, size := range []int64{walSize, 256 << 10} {
		s := opened(t, Config{})
		update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
		l := aheadOf(s)
		l.settleAfter, l.wal.size = 64<<10, size
		var writing sync.WaitGroup
		for w := range 4 {
			writing.Go(func() {
				for n := 1; n <= 40; n++ {
					if _, err := s.Update(context.Background(), func(tx *Tx) error { return crashRow(tx, w, n) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		l.following.Wait()
		if info, err := l.wal.file.Stat(); err != nil || info.Size() > size || l.bytes > size {
			t.Errorf("the log has %d bytes (%v), %d of them pending", info.Size(), err, l.bytes)
		}
		if ahead, err := l.ahead(); err != nil || ahead.Sequence == 1 {
			t.Errorf("the database has never followed: %v, %v", ahead, err)
		}
		again := opened(t, Config{Dir: killedCopy(t, s)})
		for w := range 4 {
			if got := crashedRow(t, again, w); got != 40 {
				t.Errorf("writer %d: write %d is there after a kill", w, got)
			}
		}
	}
}

// TestPlaces: records follow each other and come around, and none takes the place of one that the database lacks.
func TestPlaces(t *testing.T) {
	const page = walPage
	w := &wal{size: 8 * page, at: page}
	at := func(begin, end int64) logged { return logged{begin: begin * page, end: end * page} }
	for _, test := range []struct {
		at         int64
		length     int
		pending    []logged
		err        error
		begin, end int64
		settle     bool
	}{
		{1, 1, nil, nil, 1, 2, false},
		{1, page, nil, nil, 1, 2, false},
		{1, page + 1, nil, nil, 1, 3, false},
		{3, 5 * page, []logged{at(1, 3)}, nil, 3, 8, false}, // to the very end
		{4, 5 * page, []logged{at(3, 4)}, nil, 1, 6, true},  // comes around, over one that is lacking
		{4, 2*page + 1, nil, nil, 4, 7, false},
		{6, 3 * page, []logged{at(5, 6)}, nil, 1, 4, false},           // comes around, and there is room
		{6, 3 * page, []logged{at(3, 5), at(5, 6)}, nil, 1, 4, true},  // by one page too much
		{6, 2*page + 1, []logged{at(4, 6)}, nil, 1, 4, false},         // just before
		{2, 2 * page, []logged{at(4, 8), at(1, 2)}, nil, 2, 4, false}, // has come around before
		{2, 3 * page, []logged{at(4, 8), at(1, 2)}, nil, 2, 5, true},
		{2, page, []logged{at(1, 2)}, errors.New("test"), 2, 3, true}, // what failed is tried again
	} {
		w.at = test.at * page
		begin, end := w.place(test.length)
		l := &aheadLog{wal: w, pending: test.pending, err: test.err}
		if got := l.mustSettle(begin, end); begin != test.begin*page || end != test.end*page || got != test.settle {
			t.Errorf("%d bytes at page %d go to %d to %d, settling first: %v; want %d to %d, %v",
				test.length, test.at, begin/page, end/page, got, test.begin, test.end, test.settle)
		}
	}
}

// TestReadsDoNotWait: who reads from a database that has all waits for nobody who writes to it, as a compaction does for long.
func TestReadsDoNotWait(t *testing.T) {
	s := opened(t, Config{Audit: &Audit{Key: auditKey}})
	update(t, s, func(tx *Tx) error { return tx.PutGroup(group("g", nil)) })
	databaseOf(s)
	l := aheadOf(s)
	l.settling.Lock()
	defer l.settling.Unlock()
	read := make(chan error, 1)
	go func() {
		_, _, err := s.AuditRange()
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it waits")
	}
}

// TestFlushSettles: once observed state is on disk, the database has all.
func TestFlushSettles(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	if lacks(s) == 0 {
		t.Fatal("the database has followed before")
	}
	observe(t, s, report("Ready"))
	if err := s.flush(); err != nil || lacks(s) > 0 {
		t.Errorf("after a flush (%v), the database lacks %d batches", err, lacks(s))
	}
	if ahead, err := aheadOf(s).ahead(); err != nil || ahead.Sequence != aheadOf(s).wal.sequence {
		t.Errorf("it says that it has the log up to record %d of %d: %v", ahead.GetSequence(), aheadOf(s).wal.sequence, err)
	}
}

// TestReadsOfLog: whoever reads from the disk finds what the database lacks.
func TestReadsOfLog(t *testing.T) {
	s := opened(t, Config{Audit: &Audit{Key: auditKey}})
	lacking := func(n int) {
		t.Helper()
		update(t, s, func(tx *Tx) error {
			return errors.Join(tx.PutGroup(group("g", map[string]string{"n": fmt.Sprint(n)})), tx.PutArtifact(&storev1.Artifact{Digest: "a"}, fmt.Append(nil, n)))
		})
		if lacks(s) == 0 {
			t.Fatal("the database has followed")
		}
	}
	for n := range 2 {
		lacking(n)
		if content, err := s.Content("a"); err != nil || string(content) != fmt.Sprint(n) {
			t.Errorf("content %d is %q: %v", n, content, err)
		}
	}
	lacking(2)
	if _, last, err := s.AuditRange(); err != nil || last != 3 {
		t.Errorf("the newest entry is %d: %v", last, err)
	}
	lacking(3)
	if got := opened(t, Config{Dir: withImage(t, readFile(t, backedUp(t, s))), Audit: &Audit{Key: auditKey}}).Read().Group("g"); got.GetSpec().GetSelector().GetMatchLabels()["n"] != "3" {
		t.Errorf("the backup has %v", got)
	}
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	observe(t, s, report("Ready"))
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("d", "d", nil)) }) // takes the history along
	if h, err := s.History("c"); err != nil || len(h.Transitions) == 0 {
		t.Errorf("the history is %v: %v", h, err)
	}
	update(t, s, func(tx *Tx) error { return tx.DeleteArtifact("a") })
	if _, err := s.Content("a"); !errors.Is(err, ErrNotFound) || lacks(s) == 0 {
		t.Errorf("a content that was deleted: %v", err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestMerged: of each row, what the last batch does with it counts.
func TestMerged(t *testing.T) {
	at := func(index uint64, last uint64, ops ...Op) logged {
		b := &Batch{Meta: &storev1.Meta{Index: index}, Ops: ops}
		if last > 0 {
			b.Head = &storev1.AuditHead{Last: last}
		}
		return logged{Batch: b}
	}
	put := func(table, key, value string) Op { return Op{table, key, []byte(value)} }
	got := merged([]logged{
		at(1, 7, put("t", "a", "1"), put("t", "b", "1"), put("u", "a", "1")),
		at(2, 8, Op{Table: "t", Key: "a"}, put("t", "c", "1"), put("t", "c", "2")),
		at(3, 0, put("t", "a", "3"), Op{Table: "t", Key: "b"}),
	})
	if got.Meta.Index != 3 || got.Head.Last != 8 {
		t.Errorf("index %d, head %d", got.Meta.Index, got.Head.Last)
	}
	rows := map[string]string{}
	for _, op := range got.Ops {
		rows[op.Table+op.Key] = fmt.Sprintf("%s, deleted: %v", op.Value, op.Value == nil)
	}
	if len(got.Ops) != 4 || fmt.Sprint(rows) != "map[ta:3, deleted: false tb:, deleted: true tc:2, deleted: false ua:1, deleted: false]" {
		t.Errorf("%d rows: %v", len(got.Ops), rows)
	}
	if none := merged(nil); none.Meta != nil || none.Head != nil || len(none.Ops) > 0 {
		t.Errorf("of nothing: %v", none)
	}
}

// TestLogIsGoneWhenClosed: a database that was closed needs no log, and one that lies beside it does not count.
func TestLogIsGoneWhenClosed(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	stray := readFile(t, filepath.Join(s.config.Dir, walName))
	closed(t, s)
	wal := filepath.Join(s.config.Dir, walName)
	if _, err := os.Stat(wal); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log after closing: %v", err)
	}
	if err := os.WriteFile(wal, stray, 0o600); err != nil {
		t.Fatal(err)
	}
	again := opened(t, Config{Dir: s.config.Dir})
	if got := crashedRow(t, again, 0); got != 1 {
		t.Errorf("write %d is there", got)
	}
	update(t, again, func(tx *Tx) error { return crashRow(tx, 0, 2) })
	if got := crashedRow(t, opened(t, Config{Dir: killedCopy(t, again)}), 0); got != 2 {
		t.Errorf("write %d is there after a kill", got)
	}
}

// TestDamagedLog: a log without which acknowledged changes would be lost is an error, and nothing is changed; only the newest record may be cut short.
func TestDamagedLog(t *testing.T) {
	s := opened(t, Config{})
	for n := range 5 {
		update(t, s, func(tx *Tx) error { return crashRow(tx, 0, n+1) })
	}
	other := opened(t, Config{})
	update(t, other, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	database := readFile(t, filepath.Join(s.config.Dir, databaseName))
	log := readFile(t, filepath.Join(s.config.Dir, walName))
	records := aheadOf(s).pending
	if len(records) != 5 { // after the one of the start, which is in the database
		t.Fatalf("there are %d records", len(records))
	}
	flipped := func(offset int64) []byte {
		out := bytes.Clone(log)
		out[offset] ^= 1
		return out
	}
	newest := records[4]
	for name, test := range map[string]struct {
		log  []byte
		want string // in the error; empty where there is none, and all but the newest are there
	}{
		"missing":        {nil, "it is missing"},
		"of another":     {readFile(t, filepath.Join(other.config.Dir, walName)), "not the one that the database was written with"},
		"empty":          {[]byte{}, "not the one that the database was written with"},
		"head":           {flipped(20), "not the one that the database was written with"},
		"first":          {flipped(records[0].begin + recordHead + 5), "record 2 is missing or damaged"},
		"in the middle":  {flipped(records[3].begin + 1), "record 5 is missing or damaged"},
		"length":         {flipped(records[3].begin + 4), "record 5 is missing or damaged"},
		"its end":        {flipped(records[3].begin + recordHead + 8000), "record 5 is missing or damaged"},
		"too long":       {append(bytes.Clone(log), make([]byte, walSize)...), "larger than any"},
		"newest":         {flipped(newest.begin + recordHead + 9), ""},
		"newest is torn": {append(bytes.Clone(log[:newest.begin+walPage]), make([]byte, len(log)-int(newest.begin)-walPage)...), ""},
		"file ends":      {log[:newest.begin+walPage+7], ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := withImage(t, database)
			if test.log != nil {
				if err := os.WriteFile(filepath.Join(dir, walName), test.log, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			again, err := Open(Config{Dir: dir})
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if got := crashedRow(t, again, 0); got != 4 {
					t.Errorf("write %d is there", got)
				}
				closed(t, again)
				return
			}
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.File != filepath.Join(dir, walName) || !strings.Contains(corrupt.Detail, test.want) {
				t.Fatalf("opening gives %v, want a CorruptError of the log that says %q", err, test.want)
			}
			if !strings.Contains(err.Error(), "write-ahead log") || !strings.Contains(err.Error(), "restore --force") {
				t.Errorf("it does not say what to do: %v", err)
			}
			if !bytes.Equal(readFile(t, filepath.Join(dir, databaseName)), database) {
				t.Error("the database has been changed")
			}
			if _, err := VerifyAudit(dir, auditKey, nil); !errors.As(err, &corrupt) {
				t.Errorf("verifying its audit log gives %v", err)
			}
			// The advice is good: the database itself is taken, and what was there is kept.
			restored, err := Restore(RestoreConfig{Source: filepath.Join(dir, databaseName), Dir: dir, Force: true})
			if err != nil || !restored.Incomplete {
				t.Fatalf("restoring from the database itself gives %+v, %v", restored, err)
			}
			if kept, err := os.ReadFile(strings.Replace(restored.Replaced, databaseName, walName, 1)); test.log != nil && !bytes.Equal(kept, test.log) {
				t.Errorf("the log is not kept aside: %v", err)
			}
			closed(t, opened(t, Config{Dir: dir}))
		})
	}
}

// TestNewerLog: the log of a newer hub is refused before anything of it gets into the database.
func TestNewerLog(t *testing.T) {
	s := opened(t, Config{})
	m := s.metaNow()
	m.Format++
	if err := s.log.Append(&Batch{Meta: m}); err != nil {
		t.Fatal(err)
	}
	dir := killedCopy(t, s)
	database := readFile(t, filepath.Join(dir, databaseName))
	var format *FormatError
	if _, err := Open(Config{Dir: dir}); !errors.As(err, &format) || format.Format != Format+1 {
		t.Errorf("opening gives %v", err)
	}
	if !bytes.Equal(readFile(t, filepath.Join(dir, databaseName)), database) {
		t.Error("the database has been changed")
	}
}

// TestOlderFormatHasNoLog: as long as an older hub could go on with a database, all is in it.
func TestOlderFormatHasNoLog(t *testing.T) {
	s := opened(t, Config{})
	m := s.metaNow()
	closed(t, s)
	config := s.config
	l, err := openLog(config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, test := range []struct {
		format uint32
		log    bool
	}{{walFormat - 1, false}, {walFormat - 1, false}, {walFormat, true}} {
		m.Format = test.format
		if err := l.Append(&Batch{Meta: m}); err != nil {
			t.Fatal(err)
		}
		ahead, err := l.ahead()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(l.walPath()); (ahead != nil) != test.log || (err == nil) != test.log {
			t.Errorf("format %d: the database names %v, and the log is there: %v", test.format, ahead, err)
		}
		if got, err := l.boltLog.Meta(); err != nil || got.Format != test.format {
			t.Errorf("the database has %v, %v", got, err)
		}
	}
}

// TestKilledAtRest: a database that has all of a killed hub's log names it no more once that has been read: the next log takes its place on the disk before the database names that.
func TestKilledAtRest(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	databaseOf(s)
	config := s.config
	config.Dir = killedCopy(t, s)
	l, err := openLog(config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ahead, err := l.ahead(); err != nil || ahead != nil {
		t.Errorf("it names %v, %v", ahead, err)
	}
}

// TestRestoreOfKilled: a killed hub's database and its log are kept together, and a restore says whether its source lacks anything.
func TestRestoreOfKilled(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	backup := backedUp(t, s)
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 2) })
	dir := killedCopy(t, s)
	restored, err := Restore(RestoreConfig{Source: backup, Dir: dir, Force: true})
	if err != nil || restored.Incomplete {
		t.Fatalf("of a backup: %+v, %v", restored, err)
	}
	if _, err := os.Stat(filepath.Join(dir, walName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log of before is beside what was restored: %v", err)
	}
	if got := opened(t, Config{Dir: dir}).Read().Cluster("w0").GetMetadata().GetLabels()["n"]; got != "1" {
		t.Errorf("write %s is there, want the backup's", got)
	}
	kept := t.TempDir()
	for _, name := range []string{databaseName, walName} {
		if err := os.Rename(strings.Replace(restored.Replaced, databaseName, name, 1), filepath.Join(kept, name)); err != nil {
			t.Fatal(err)
		}
	}
	again := opened(t, Config{Dir: kept})
	if got := crashedRow(t, again, 0); got != 2 {
		t.Errorf("write %d is in what is kept aside", got)
	}
	closed(t, again)
	if restored, err = Restore(RestoreConfig{Source: filepath.Join(kept, databaseName), Dir: t.TempDir()}); err != nil || restored.Incomplete {
		t.Errorf("of a database that was closed: %+v, %v", restored, err)
	}
}

// TestVerifyAuditOfKilled: entries that only the write-ahead log has are of the audit log.
func TestVerifyAuditOfKilled(t *testing.T) {
	s := auditedStore(t, t.TempDir(), 0)
	for n := range 3 {
		update(t, s, func(tx *Tx) error { return tx.PutGroup(group(fmt.Sprint("g", n), nil)) })
	}
	if n := len(audited(t, killedCopy(t, s))); n != 3 {
		t.Errorf("there are %d entries, want 3", n)
	}
}

// TestCompactKeepsLog: what is written after a compaction lasts.
func TestCompactKeepsLog(t *testing.T) {
	s, _ := churned(t)
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 2) })
	if freed, err := s.Compact(t.Context()); err != nil || freed == 0 {
		t.Fatalf("%d bytes were freed: %v", freed, err)
	}
	if got := crashedRow(t, opened(t, Config{Dir: killedCopy(t, s)}), 0); got != 2 {
		t.Errorf("write %d is there after a kill", got)
	}
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 3) })
	if got := crashedRow(t, opened(t, Config{Dir: killedCopy(t, s)}), 0); got != 3 {
		t.Errorf("write %d, which came later, is there after a kill", got)
	}
}
