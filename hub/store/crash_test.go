package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"go.etcd.io/bbolt"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// diskWrite is one write to the database file.
type diskWrite struct {
	offset int64
	data   []byte
	meta   bool
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

// recordDisk makes a list of all that bbolt writes from now on.
func recordDisk(db *bbolt.DB) func() []diskWrite {
	hook := writeHook(db)
	write := *hook
	var mu sync.Mutex
	var writes []diskWrite
	*hook = func(p []byte, offset int64) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		writes = append(writes, diskWrite{offset, append([]byte(nil), p...), isMeta(db, offset)})
		return write(p, offset)
	}
	return func() []diskWrite {
		mu.Lock()
		defer mu.Unlock()
		return writes[:len(writes):len(writes)]
	}
}

// TestPowerCut cuts the power after each single write to the disk, and lets those writes that were not synced arrive, not arrive, or arrive in part:
// everything that was acknowledged by then is there, and nothing by halves.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	path := filepath.Join(dir, databaseName)
	base, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	recorded := recordDisk(s.log.(*boltLog).db)
	const updates = 11
	acknowledgedAt := map[int]int{0: 1} // the newest update that was acknowledged, by the number of writes before that
	for n := 2; n <= updates; n++ {
		update(t, s, func(tx *Tx) error {
			if n%5 == 0 { // something that needs new pages, and frees some
				if err := errors.Join(tx.PutArtifact(&storev1.Artifact{Digest: "large"}, make([]byte, n*20_000)), tx.AddEvent(&yardarmv1.Event{})); err != nil {
					return err
				}
			}
			return crashRow(tx, 0, n)
		})
		acknowledgedAt[len(recorded())] = n
	}
	writes := recorded()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(acknowledgedAt); n != updates || !writes[len(writes)-1].meta {
		t.Fatalf("%d updates were acknowledged between the writes, want %d; the last write is to a meta page: %v", n, updates, writes[len(writes)-1].meta)
	}

	r := rand.New(rand.NewPCG(1, 2))
	images := 0
	acknowledged := 0
	for cut := 0; cut <= len(writes); cut++ {
		if n, ok := acknowledgedAt[cut]; ok {
			acknowledged = n
		}
		// Not synced yet are the pages since the last meta page, or the meta page itself if it is the last write and not acknowledged.
		unsynced := cut
		for unsynced > 0 && !writes[unsynced-1].meta {
			unsynced--
		}
		if _, ok := acknowledgedAt[cut]; !ok && cut > 0 && writes[cut-1].meta {
			unsynced = cut - 1
		}
		for name, arrives := range map[string]func(p []byte) []byte{
			"all":  func(p []byte) []byte { return p },
			"none": func(p []byte) []byte { return nil },
			"some": func(p []byte) []byte { return p[:len(p)*r.IntN(2)] },
			// A sector is written whole or not at all. bbolt's meta page is less than one.
			"torn": func(p []byte) []byte { return p[:min(len(p), 512*r.IntN(9))] },
		} {
			if unsynced == cut && name != "all" {
				continue
			}
			images++
			image := filepath.Join(t.TempDir(), databaseName)
			f, err := os.Create(image)
			if err != nil {
				t.Fatal(err)
			}
			put := func(p []byte, offset int64) {
				if _, err := f.WriteAt(p, offset); err != nil {
					t.Fatal(err)
				}
			}
			put(base, 0)
			for _, w := range writes[:unsynced] {
				put(w.data, w.offset)
			}
			for _, w := range writes[unsynced:cut] {
				put(arrives(w.data), w.offset)
			}
			if err := errors.Join(f.Truncate(info.Size()), f.Close()); err != nil {
				t.Fatal(err)
			}
			again, err := Open(Config{Dir: filepath.Dir(image)})
			if err != nil {
				t.Fatalf("cut after write %d, unsynced ones arrive: %s: %v", cut, name, err)
			}
			if got := crashedRow(t, again, 0); got < acknowledged || got > acknowledged+1 {
				t.Errorf("cut after write %d, unsynced ones arrive: %s: update %d is there, and %d was acknowledged", cut, name, got, acknowledged)
			}
			update(t, again, func(tx *Tx) error { return crashRow(tx, 0, 1000) }) // it goes on
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if images < 80 {
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

// openedShim opens a store, which holds write 1, and returns the file that bbolt writes to.
func openedShim(t *testing.T, dir string) (s *Store, file *os.File) {
	t.Helper()
	s = opened(t, Config{Dir: dir, OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, perm)
		if flag&os.O_RDWR != 0 && filepath.Base(name) == databaseName {
			file = f
		}
		return f, err
	}})
	for n := 20; n > 0; n-- { // until there are free pages enough that the file, whose size a device does not tell, need not grow
		update(t, s, func(tx *Tx) error { return crashRow(tx, 0, n) })
	}
	return s, file
}

// TestRealDiskFull writes to a device that has no space, by bbolt's own ways.
func TestRealDiskFull(t *testing.T) {
	dir := t.TempDir()
	s, file := openedShim(t, dir)
	good, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	redirect(t, s, file, "/dev/full")
	for range 3 {
		_, err = s.Update(t.Context(), func(tx *Tx) error { return crashRow(tx, 0, 2) })
		var full *DiskFullError
		if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) || full.Dir != dir {
			t.Fatalf("the update gives %v, want a DiskFullError of the directory", err)
		}
		if got := crashedRow(t, s, 0); got != 1 {
			t.Errorf("write %d is there", got)
		}
	}
	if err := syscall.Dup3(good, int(file.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Close(good); err != nil {
		t.Fatal(err)
	}
	for n := 3; n < 20; n++ {
		update(t, s, func(tx *Tx) error { return crashRow(tx, 0, n) })
	}
	if got := crashedRow(t, reopened(t, s), 0); got != 19 {
		t.Errorf("write %d is there", got)
	}
}

// TestRealSyncFailure writes to a device that takes everything and cannot sync.
func TestRealSyncFailure(t *testing.T) {
	dir := t.TempDir()
	s, file := openedShim(t, dir)
	redirect(t, s, file, "/dev/null")
	var failed *FailedError
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return crashRow(tx, 0, 2) }); !errors.As(err, &failed) || !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("the update gives %v, want a FailedError with what the sync has said", err)
	}
	if err := s.Run(t.Context()); err != failed {
		t.Errorf("Run gives %v", err)
	}
	if got := crashedRow(t, s, 0); got != 1 {
		t.Errorf("write %d is visible", got)
	}
	_ = s.Close()
	if got := crashedRow(t, opened(t, Config{Dir: dir}), 0); got != 1 {
		t.Errorf("write %d is there after a restart", got)
	}
}

// TestSyncs: a commit syncs its pages before it writes the meta page that names them, and then the meta page, which is what TestPowerCut takes for granted. It
// writes to the file all the time, and syncs where that fails, after the pages or after the meta page.
func TestSyncs(t *testing.T) {
	for _, meta := range []bool{false, true} {
		s, file := openedShim(t, t.TempDir())
		good, err := syscall.Dup(int(file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		db := s.log.(*boltLog).db
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
		if _, err := s.Update(t.Context(), func(tx *Tx) error { return crashRow(tx, 0, 2) }); !errors.As(err, &failed) || !errors.Is(err, syscall.EINVAL) || metaWritten != meta {
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
	*writeHook(s.log.(*boltLog).db) = func([]byte, int64) (int, error) { panic("test") }
	var failed *FailedError
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return crashRow(tx, 0, 2) }); !errors.As(err, &failed) || !errors.As(err, new(*CorruptError)) {
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
