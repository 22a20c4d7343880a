package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"go.etcd.io/bbolt"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// diskEvent is one write to a file of the data directory, or a sync of one.
type diskEvent struct {
	file   string
	offset int64
	data   []byte // nil for a sync
}

// writeHook is what bbolt writes with. It has no hook for that, but a field that its own tests set.
func writeHook(db *bbolt.DB) *func(p []byte, offset int64) (int, error) {
	field := reflect.ValueOf(db).Elem().FieldByName("ops").FieldByName("writeAt")
	if !field.IsValid() {
		panic("bbolt has changed: find out where it writes now")
	}
	return (*func([]byte, int64) (int, error))(unsafe.Pointer(field.UnsafeAddr()))
}

// isMeta tells whether a write is of one of bbolt's two meta pages, which ends a commit. bbolt syncs before it and after it (TestSyncs).
func isMeta(db *bbolt.DB, offset int64) bool { return offset < int64(2*db.Info().PageSize) }

// recordDisk makes a list of all that a log writes and syncs from now on. It has appended before.
func recordDisk(l *aheadLog) func() []diskEvent {
	var mu sync.Mutex
	var events []diskEvent
	record := func(e diskEvent) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}
	recorded := func(file string, write func([]byte, int64) (int, error)) func([]byte, int64) (int, error) {
		return func(p []byte, offset int64) (int, error) {
			record(diskEvent{file, offset, append([]byte{}, p...)})
			return write(p, offset)
		}
	}
	hook := writeHook(l.db)
	write := recorded(databaseName, *hook)
	*hook = func(p []byte, offset int64) (int, error) {
		if !isMeta(l.db, offset) {
			return write(p, offset)
		}
		record(diskEvent{file: databaseName})
		defer record(diskEvent{file: databaseName})
		return write(p, offset)
	}
	l.wal.writeAt = recorded(walName, l.wal.writeAt)
	syncWAL := l.wal.sync
	l.wal.sync = func() error {
		defer record(diskEvent{file: walName})
		return syncWAL()
	}
	return func() []diskEvent {
		mu.Lock()
		defer mu.Unlock()
		return events[:len(events):len(events)]
	}
}

// powerCuts are what becomes of a write that was not synced when the power is cut: what of its sectors arrives. A sector is written whole or not at all; bbolt's meta page is
// less than one.
func powerCuts(r *rand.Rand) map[string]func(sectors int) (arrives func(sector int) bool) {
	return map[string]func(int) func(int) bool{
		"all":  func(int) func(int) bool { return func(int) bool { return true } },
		"none": func(int) func(int) bool { return func(int) bool { return false } },
		"some": func(int) func(int) bool {
			whole := r.IntN(2) == 0
			return func(int) bool { return whole }
		},
		"torn": func(sectors int) func(int) bool {
			end := r.IntN(min(sectors, 8) + 1)
			return func(sector int) bool { return sector < end }
		},
		"scattered": func(int) func(int) bool { return func(int) bool { return r.IntN(2) == 0 } },
	}
}

// TestPowerCut cuts the power after each single write and sync, of write-ahead log and database, and lets what was not synced arrive, not arrive, or arrive in part:
// everything that was acknowledged by then is there, and nothing by halves.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	l := aheadOf(s)
	l.wal.size = 384 << 10 // it comes around
	base := map[string][]byte{databaseName: nil, walName: nil}
	for file := range base {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		base[file] = data
	}
	recorded := recordDisk(l)
	const updates = 17
	acknowledgedAt := map[int]int{0: 1} // the newest update that was acknowledged, by the number of events before that
	for n := 2; n <= updates; n++ {
		update(t, s, func(tx *Tx) error {
			size := 0
			switch {
			case n == 11: // something that is too large for a record
				size = 2 * maxRecord
			case n%5 == 0: // something that needs new pages, and frees some
				size = n * 10_000
			}
			if size > 0 {
				if err := errors.Join(tx.PutArtifact(&storev1.Artifact{Digest: "large"}, make([]byte, size)), tx.AddEvent(&yardarmv1.Event{})); err != nil {
					return err
				}
			}
			return crashRow(tx, 0, n)
		})
		acknowledgedAt[len(recorded())] = n
		if n%6 == 0 { // the database follows
			if err := l.settle(); err != nil {
				t.Fatal(err)
			}
		}
	}
	events := recorded()
	size := map[string]int64{}
	for file := range base {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		size[file] = info.Size()
	}
	if n := len(acknowledgedAt); n != updates {
		t.Fatalf("%d updates were acknowledged between the events, want %d", n, updates)
	}
	wrapped := false
	for i, e := range events {
		wrapped = wrapped || i > 0 && e.file == walName && e.data != nil && e.offset == walPage
	}
	if !wrapped {
		t.Error("the write-ahead log has not come around")
	}

	r := rand.New(rand.NewPCG(1, 2))
	images := 0
	acknowledged := 0
	for cut := 0; cut <= len(events); cut++ {
		if n, ok := acknowledgedAt[cut]; ok {
			acknowledged = n
		}
		synced := map[string]int{} // by file, the events before its last sync
		for i, e := range events[:cut] {
			if e.data == nil {
				synced[e.file] = i
			}
		}
		for name, arrives := range powerCuts(r) {
			if cut > 0 && events[cut-1].data == nil && name != "all" {
				continue // it was tried with the event before
			}
			images++
			dir := t.TempDir()
			for file, data := range base {
				image := append(data[:len(data):len(data)], make([]byte, size[file]-int64(len(data)))...)
				for i, e := range events[:cut] {
					if e.file != file {
						continue
					}
					here := arrives(len(e.data) / 512)
					for sector := 0; sector*512 < len(e.data); sector++ {
						if i < synced[file] || here(sector) {
							copy(image[e.offset+int64(sector)*512:], e.data[sector*512:min(len(e.data), sector*512+512)])
						}
					}
				}
				if err := os.WriteFile(filepath.Join(dir, file), image, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			again, err := Open(Config{Dir: dir})
			if err != nil {
				t.Fatalf("cut after event %d, unsynced writes arrive: %s: %v", cut, name, err)
			}
			if got := crashedRow(t, again, 0); got < acknowledged || got > acknowledged+1 {
				t.Errorf("cut after event %d, unsynced writes arrive: %s: update %d is there, and %d was acknowledged", cut, name, got, acknowledged)
			}
			update(t, again, func(tx *Tx) error { return crashRow(tx, 0, 1000) }) // it goes on
			if got := crashedRow(t, reopened(t, again), 0); got != 1000 {
				t.Errorf("cut after event %d, unsynced writes arrive: %s: update %d is there after a further one", cut, name, got)
			}
		}
	}
	t.Logf("%d events, %d images", len(events), images)
	if images < 150 {
		t.Errorf("only %d crashes were tried", images)
	}
}

// redirect makes a store's database file lead elsewhere, for writing and syncing: its pages stay mapped.
func redirect(t *testing.T, s *Store, file *os.File, to string) {
	t.Helper()
	device, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no %s here", to)
	}
	defer device.Close()
	if err := syscall.Dup3(int(device.Fd()), int(file.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}

// openedShim opens a store, which holds write 1, and returns the file of the data directory that has a name.
func openedShim(t *testing.T, dir, name string) (s *Store, file *os.File) {
	t.Helper()
	s = opened(t, Config{Dir: dir, OpenFile: func(path string, flag int, perm os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(path, flag, perm)
		if flag&os.O_RDWR != 0 && strings.TrimSuffix(filepath.Base(path), newSuffix) == name {
			file = f
		}
		return f, err
	}})
	for n := 20; n > 0; n-- { // until there are free pages enough that the file, whose size a device does not tell, need not grow
		update(t, s, func(tx *Tx) error {
			if n > 10 {
				return largeRow(tx, n)
			}
			return errors.Join(crashRow(tx, 0, n), tx.DeleteArtifact("large"))
		})
		databaseOf(s)
	}
	return s, file
}

// largeRow is a write that goes to the database itself.
func largeRow(tx *Tx, n int) error {
	return errors.Join(crashRow(tx, 0, n), tx.PutArtifact(&storev1.Artifact{Digest: "large"}, make([]byte, maxRecord)))
}

// restored makes a file lead where it has led before it was redirected.
func restored(t *testing.T, file *os.File) func() {
	t.Helper()
	good, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(syscall.Dup3(good, int(file.Fd()), syscall.O_CLOEXEC), syscall.Close(good)); err != nil {
			t.Fatal(err)
		}
	}
}

// refusedForSpace makes updates, each of which is refused since the disk is full.
func refusedForSpace(t *testing.T, s *Store, write func(*Tx) error) {
	t.Helper()
	was := crashedRow(t, s, 0)
	for range 3 {
		_, err := s.Update(t.Context(), write)
		var full *DiskFullError
		if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) || full.Dir != s.config.Dir || s.ReadOnly() == "" {
			t.Fatalf("the update gives %v, want a DiskFullError of the directory; the store is read-only: %q", err, s.ReadOnly())
		}
		if got := crashedRow(t, s, 0); got != was {
			t.Errorf("write %d is there", got)
		}
	}
}

// TestRealDiskFull has a device that has no space in the place of the write-ahead log, and of the database.
func TestRealDiskFull(t *testing.T) {
	t.Run("log", func(t *testing.T) {
		s, file := openedShim(t, t.TempDir(), walName)
		back := restored(t, file)
		redirect(t, s, file, "/dev/full")
		refusedForSpace(t, s, func(tx *Tx) error { return crashRow(tx, 0, 2) })
		back()
		for n := 3; n < 20; n++ {
			update(t, s, func(tx *Tx) error { return crashRow(tx, 0, n) })
		}
		if got := crashedRow(t, reopened(t, s), 0); got != 19 || s.ReadOnly() != "" {
			t.Errorf("write %d is there; the store is read-only: %q", got, s.ReadOnly())
		}
	})
	t.Run("database", func(t *testing.T) {
		s, file := openedShim(t, t.TempDir(), databaseName)
		back := restored(t, file)
		redirect(t, s, file, "/dev/full")
		refusedForSpace(t, s, func(tx *Tx) error { return largeRow(tx, 2) })
		update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 3) }) // the log has room
		if err := aheadOf(s).settle(); !errors.As(err, new(*DiskFullError)) {
			t.Fatalf("following gives %v", err)
		}
		refusedForSpace(t, s, func(tx *Tx) error { return crashRow(tx, 0, 4) })
		if err := s.Backup(t.Context(), io.Discard); !errors.As(err, new(*DiskFullError)) {
			t.Errorf("a backup, which would lack write 3, gives %v", err)
		}
		back()
		for n := 5; n < 20; n++ {
			update(t, s, func(tx *Tx) error { return crashRow(tx, 0, n) })
		}
		if got := crashedRow(t, reopened(t, s), 0); got != 19 || s.ReadOnly() != "" {
			t.Errorf("write %d is there; the store is read-only: %q", got, s.ReadOnly())
		}
	})
}

// TestStartOnFullDisk starts a hub that was killed on a disk that has become full, so that the database cannot follow the log: it has everything, and takes changes
// again when there is space.
func TestStartOnFullDisk(t *testing.T) {
	s, _ := openedShim(t, t.TempDir(), databaseName)
	update(t, s, func(tx *Tx) error {
		return errors.Join(crashRow(tx, 0, 1), tx.PutCluster(cluster("gone", "gone", nil)), tx.PutArtifact(&storev1.Artifact{Digest: "gone"}, []byte("x")))
	})
	databaseOf(s)
	update(t, s, func(tx *Tx) error {
		return errors.Join(crashRow(tx, 0, 2), crashRow(tx, 1, 7), tx.DeleteCluster("gone"), tx.DeleteArtifact("gone"))
	})
	config := Config{Dir: killedCopy(t, s)}
	config.setDefaults()
	var file *os.File
	config.OpenFile = func(name string, flag int, perm os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, perm)
		file = f
		return f, err
	}
	database, err := openBolt(config)
	if err != nil {
		t.Fatal(err)
	}
	back := restored(t, file)
	redirect(t, s, file, "/dev/full")
	l := newAheadLog(database)
	if err := l.recover(); err != nil {
		t.Fatal(err)
	}
	again, err := open(config, l)
	if err != nil {
		t.Fatal(err)
	}
	again.unlock = func() {}
	if again.Meta().Index != s.Meta().Index || again.ReadOnly() == "" {
		t.Errorf("it starts at index %d, want %d; it is read-only: %q", again.Meta().Index, s.Meta().Index, again.ReadOnly())
	}
	refusedForSpace(t, again, func(tx *Tx) error { return crashRow(tx, 0, 3) })
	if got := crashedRow(t, again, 0); got != 2 || crashedRow(t, again, 1) != 7 || again.Read().Cluster("gone") != nil {
		t.Errorf("write %d is there, and what was deleted: %v", got, again.Read().Cluster("gone"))
	}
	if _, err := again.Content("gone"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the content that was deleted: %v", err)
	}
	back()
	update(t, again, func(tx *Tx) error { return crashRow(tx, 0, 4) })
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if last := opened(t, Config{Dir: config.Dir}); crashedRow(t, last, 0) != 4 || crashedRow(t, last, 1) != 7 || last.Read().Cluster("gone") != nil {
		t.Error("not what was acknowledged is there after another start")
	}
}

// TestRealSyncFailure has a device that takes everything and cannot sync in the place of the write-ahead log, and of the database.
func TestRealSyncFailure(t *testing.T) {
	for name, test := range map[string]struct {
		file  string
		write func(*Tx, int) error
	}{
		"log":      {walName, func(tx *Tx, n int) error { return crashRow(tx, 0, n) }},
		"database": {databaseName, largeRow},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, file := openedShim(t, dir, test.file)
			redirect(t, s, file, "/dev/null")
			before := readFile(t, filepath.Join(dir, databaseName))
			failsForGood(t, s, syscall.EINVAL, func(tx *Tx) error { return test.write(tx, 2) })
			if !bytes.Equal(readFile(t, filepath.Join(dir, databaseName)), before) {
				t.Error("the database was written to after the failure")
			}
			if got := crashedRow(t, opened(t, Config{Dir: dir}), 0); got != 1 {
				t.Errorf("write %d is there after a restart", got)
			}
		})
	}
	// Where only the database fails, nobody need write anything for it to be noticed. What was acknowledged while only the log had it is there after a restart, and the database
	// is not tried again.
	t.Run("following", func(t *testing.T) {
		dir := t.TempDir()
		s, file := openedShim(t, dir, databaseName)
		ran := make(chan error, 1)
		go func() { ran <- s.Run(t.Context()) }()
		back := restored(t, file)
		redirect(t, s, file, "/dev/null")
		aheadOf(s).settleAfter = 1
		update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 2) })
		var failed *FailedError
		select {
		case err := <-ran:
			if !errors.As(err, &failed) || !errors.Is(err, syscall.EINVAL) {
				t.Fatalf("Run gives %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("Run goes on")
		}
		back()
		if _, err := s.Update(t.Context(), func(tx *Tx) error { return crashRow(tx, 0, 3) }); err != failed {
			t.Fatalf("the next update gives %v", err)
		}
		_ = s.Close()
		if got := crashedRow(t, opened(t, Config{Dir: dir}), 0); got != 2 {
			t.Errorf("write %d is there after a restart", got)
		}
	})
}

// failsForGood makes an update that fails the store, and closes that.
func failsForGood(t *testing.T, s *Store, want error, write func(*Tx) error) {
	t.Helper()
	var failed *FailedError
	if _, err := s.Update(t.Context(), write); !errors.As(err, &failed) || !errors.Is(err, want) {
		t.Fatalf("the update gives %v, want a FailedError with what the sync has said", err)
	}
	if err := s.Run(t.Context()); err != failed {
		t.Errorf("Run gives %v", err)
	}
	if got := crashedRow(t, s, 0); got != 1 {
		t.Errorf("write %d is visible", got)
	}
	_ = s.Close()
}

// TestSyncs: a commit of the database syncs its pages before it writes the meta page that names them, and then the meta page, which is what TestPowerCut takes for granted. It
// writes to the file all the time, and syncs where that fails, after the pages or after the meta page.
func TestSyncs(t *testing.T) {
	for _, meta := range []bool{false, true} {
		s, file := openedShim(t, t.TempDir(), databaseName)
		good, err := syscall.Dup(int(file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		db := databaseOf(s).db
		metaWritten := false
		*writeHook(db) = func(p []byte, offset int64) (int, error) {
			if isMeta(db, offset) {
				metaWritten = true
			}
			if isMeta(db, offset) == meta {
				redirect(t, s, file, "/dev/null")
			} else if err := syscall.Dup3(good, int(file.Fd()), syscall.O_CLOEXEC); err != nil {
				t.Error(err)
			}
			return syscall.Pwrite(good, p, offset)
		}
		var failed *FailedError
		if _, err := s.Update(t.Context(), func(tx *Tx) error { return largeRow(tx, 2) }); !errors.As(err, &failed) || !errors.Is(err, syscall.EINVAL) || metaWritten != meta {
			t.Errorf("with a sync that fails (that of the meta page: %v), the update gives %v; the meta page was written: %v", meta, err, metaWritten)
		}
		if got := s.Read().Token("w0").GetCluster(); got != "1" {
			t.Errorf("write %s is visible", got)
		}
		if err := syscall.Close(good); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskErrors tells apart errors after which the store can go on from those after which it cannot.
func TestDiskErrors(t *testing.T) {
	write := func(err error) error { return &os.PathError{Op: "write", Path: "hub.db", Err: err} }
	for _, test := range []struct {
		err  error
		full bool
	}{
		{write(syscall.ENOSPC), true},
		{write(syscall.EDQUOT), true},
		{fmt.Errorf("wrapped: %w", write(syscall.ENOSPC)), true},
		{fmt.Errorf("file resize error: %s", &os.PathError{Op: "truncate", Path: "hub.db", Err: syscall.EDQUOT}), true},
		{write(syscall.EIO), false},
		{syscall.ENOSPC, false}, // fdatasync's own
		{&os.PathError{Op: "sync", Path: "hub.db", Err: syscall.ENOSPC}, false},
		{fmt.Errorf("file sync error: %s", &os.PathError{Op: "sync", Path: "hub.db", Err: syscall.ENOSPC}), false},
		{&CorruptError{}, false},
		{nil, false},
	} {
		err := diskError("dir", test.err)
		if full := errors.As(err, new(*DiskFullError)); full != test.full || (err == nil) != (test.err == nil) {
			t.Errorf("%v becomes %v", test.err, err)
		}
	}
}

// TestCommitPanic: bbolt panics on pages that make no sense. That fails the store, and nothing hangs.
func TestCommitPanic(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	*writeHook(databaseOf(s).db) = func([]byte, int64) (int, error) { panic("test") }
	var failed *FailedError
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return largeRow(tx, 2) }); !errors.As(err, &failed) || !errors.As(err, new(*CorruptError)) {
		t.Fatalf("the update gives %v, want a FailedError with a CorruptError", err)
	}
	if got := crashedRow(t, s, 0); got != 1 {
		t.Errorf("write %d is visible", got)
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("Close hangs")
	}
}
