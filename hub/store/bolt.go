package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// databaseName is the database's file in the data directory.
	databaseName = "hub.db"
	// lockTimeout is how long to wait for bbolt's own lock of the file: as good as not at all, since the directory's lock is taken before. Zero would
	// wait forever.
	lockTimeout = time.Millisecond
	// mapSize is how much of the file is mapped from the start, in bytes. Mapping costs address space only. When a database outgrows its map, the
	// commit that does so waits for all readers of the file, so it had better not happen: not to a slow backup.
	mapSize = 8 << 30
	// checksumSize is the length of the checksum that begins each value.
	checksumSize = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// boltLog is the database of a hub with a data directory: one bbolt file. It is a Log but for appending, which is up to [aheadLog].
type boltLog struct {
	dir, path string
	openFile  openFileFunc
	// swapping guards db, which a compaction replaces, while a reader begins.
	swapping sync.RWMutex
	db       *bbolt.DB
	// least is how many bytes have to be free for a compaction.
	least int64
	sums  tableSums
	// historyRows is how many rows the history has, for who asks while somebody writes.
	historyRows atomic.Uint64
	broken      bool // a commit panicked and could not be rolled back: the database would wait for it forever
}

// openBolt opens the database in config.Dir, or makes one. The caller has the directory's lock.
func openBolt(config Config) (*boltLog, error) {
	path := filepath.Join(config.Dir, databaseName)
	if err := removeLeftovers(config.Dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := createDatabase(path, newMeta(config.Clock()), config.OpenFile); err != nil {
			return nil, diskError(config.Dir, err)
		}
	} else if err != nil {
		return nil, err
	}
	verified, err := verify(path, false)
	if err != nil {
		return nil, err
	}
	if verified.halved {
		config.Logger.Warn("one of the database's two meta pages is damaged: its last commit may be lost; check the disk", "file", path)
	}
	db, err := openDatabase(path, config.OpenFile, false)
	if err != nil {
		return nil, err
	}
	l := &boltLog{dir: config.Dir, path: path, openFile: config.OpenFile, db: db, least: compactLeast, sums: verified.sums}
	l.historyRows.Store(l.sums[historyTable].rows)
	return l, nil
}

// openDatabase opens a bbolt file that exists.
func openDatabase(path string, openFile openFileFunc, readOnly bool) (db *bbolt.DB, err error) {
	var file *os.File
	options := &bbolt.Options{
		Timeout:  lockTimeout,
		ReadOnly: readOnly,
		// The list of free pages is found by looking at the pages in use when the file is opened, which reads all rows anyway. It is one thing less to
		// write in each commit, and one less that can be damaged unseen.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
			file, err = openFile(name, flag, perm)
			return file, err
		},
	}
	if bits.UintSize == 64 && !readOnly {
		options.InitialMmapSize = mapSize
	}
	err = guard(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, options)
		return err
	})
	var pathErr *fs.PathError
	var errno syscall.Errno
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, &InUseError{Dir: filepath.Dir(path)}
	case errors.As(err, new(*CorruptError)):
		if file != nil {
			file.Close() // bbolt had no chance to
		}
		return nil, err
	case errors.As(err, &pathErr), errors.As(err, &errno):
		return nil, err
	default:
		return nil, &CorruptError{File: path, Detail: err.Error()}
	}
}

type openFileFunc = func(name string, flag int, perm os.FileMode) (*os.File, error)

// createDatabase makes a database that holds nothing but its meta row. It appears under its name when it is complete and on disk.
func createDatabase(path string, m *storev1.Meta, openFile openFileFunc) error {
	temporary := path + newSuffix
	if err := fillDatabase(temporary, openFile, func(tx *bbolt.Tx) error {
		for _, name := range bucketNames() {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return errors.Join(putMeta(tx, m), tableSums{}.write(tx))
	}); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temporary)))
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// fillDatabase makes a bbolt file in one transaction.
func fillDatabase(path string, openFile openFileFunc, fill func(*bbolt.Tx) error) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, OpenFile: openFile})
	if err != nil {
		return err
	}
	if err := db.Update(fill); err != nil {
		return errors.Join(err, db.Close())
	}
	return db.Close()
}

const (
	// newSuffix ends the names of files that are being written, and that mean nothing before they have their final name.
	newSuffix = ".new"
	// backupPattern names the file that a backup is made in.
	backupPattern = "backup-*" + newSuffix
)

// removeLeftovers removes what a crash has left of files that were being written. Other programs' files are not touched. The caller has the directory's
// lock.
func removeLeftovers(dir string) error {
	for _, pattern := range []string{databaseName + newSuffix, backupPattern} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// bucketNames lists the buckets of a database: one a durable table, the contents, the audit log, the history, and meta.
func bucketNames() []string {
	names := []string{meta.String(), contentsTable, auditTable, historyTable}
	for _, t := range tables() {
		if t.kept() != memory {
			names = append(names, t.table().String())
		}
	}
	return names
}

// Meta implements Log.
func (l *boltLog) Meta() (m *storev1.Meta, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		m, err = getMeta(tx, l.path)
		return err
	})
	return m, err
}

// Load implements Log.
func (l *boltLog) Load(row func(table, key string, value []byte) error) error {
	return l.view(func(tx *bbolt.Tx) error {
		defer l.Release()
		read := 0 // since the last release
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			table := string(name)
			if !loads(table) {
				return nil
			}
			return b.ForEach(func(k, v []byte) error {
				value, err := unseal(table, k, v)
				if err == nil {
					err = row(table, string(k), value)
				}
				if err != nil {
					return corruptRow(l.path, table, k, err)
				}
				if read += len(k) + len(v); read >= releaseEvery {
					l.Release()
					read = 0
				}
				return nil
			})
		})
	})
}

// loads tells whether Load yields the rows of a table.
func loads(table string) bool {
	return table != meta.String() && table != contentsTable && table != auditTable && table != historyTable
}

// releaseEvery is how many bytes of rows are read between two releases of the file's pages: few beside a large fleet's rows, and enough that the pages of the
// tree above them, which are read again after each, are none beside them.
const releaseEvery = 8 << 20

// Release implements Log. It has the kernel take back the pages of the mapped file that reading and writing it have brought into memory: they would count as the hub's,
// though each row is in memory anyway. They stay in the kernel's cache while there is room, and are mapped again where they are needed. That they stay after all is no failure.
func (l *boltLog) Release() {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, l.db.Info().Data, uintptr(l.Size()), syscall.MADV_DONTNEED)
}

// append makes a batch durable, which may be without a Meta, and has the database name where a write-ahead log goes on; nil for none.
func (l *boltLog) append(batch *Batch, ahead *storev1.WriteAhead) error {
	var tx *bbolt.Tx
	sums := maps.Clone(l.sums)
	err := guard(l.path, func() (err error) {
		if tx, err = l.db.Begin(true); err != nil {
			return err
		}
		for _, op := range batch.Ops {
			b := tx.Bucket([]byte(op.Table))
			if b == nil { // a table that a migration adds
				if b, err = tx.CreateBucket([]byte(op.Table)); err != nil {
					return err
				}
			}
			key := []byte(op.Key)
			if old := b.Get(key); old != nil {
				sums.remove(op.Table, old)
			}
			if op.Value == nil {
				err = b.Delete(key)
			} else {
				value := seal(op.Table, op.Key, op.Value)
				sums.add(op.Table, value)
				err = b.Put(key, value)
			}
			if err != nil {
				return fmt.Errorf("write %s %s: %w", op.Table, op.Key, err)
			}
		}
		if batch.Meta != nil {
			err = putMeta(tx, batch.Meta)
		}
		if err := errors.Join(err, putAuditHead(tx, batch.Head), putAhead(tx, ahead), sums.write(tx)); err != nil {
			return err
		}
		return tx.Commit()
	})
	if err == nil {
		l.sums = sums
		l.historyRows.Store(sums[historyTable].rows)
	}
	if err != nil && tx != nil {
		// Nothing to do after a Commit that has returned.
		rollback := guard(l.path, func() error {
			if err := tx.Rollback(); !errors.Is(err, bolterrors.ErrTxClosed) {
				return err
			}
			return nil
		})
		l.broken = rollback != nil
	}
	return diskError(l.dir, err)
}

// Content implements Log.
func (l *boltLog) Content(digest string) (content []byte, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		v := tx.Bucket([]byte(contentsTable)).Get([]byte(digest))
		if v == nil {
			return ErrNotFound
		}
		value, err := unseal(contentsTable, []byte(digest), v)
		if err != nil {
			return corruptRow(l.path, contentsTable, []byte(digest), err)
		}
		content = append(make([]byte, 0, len(value)), value...)
		return nil
	})
	return content, err
}

// Size implements Log.
func (l *boltLog) Size() int64 {
	info, err := os.Stat(l.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Close implements Log.
func (l *boltLog) Close() error {
	if l.broken {
		return nil // it would wait for the broken commit; the process is about to end
	}
	return l.db.Close()
}

// view reads the database in a transaction of its own.
func (l *boltLog) view(fn func(*bbolt.Tx) error) error {
	err := guard(l.path, func() error {
		l.swapping.RLock()
		tx, err := l.db.Begin(false)
		l.swapping.RUnlock()
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // never fails for a reader
		return fn(tx)
	})
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// guard calls fn, which works on a bbolt file. bbolt panics on pages that make no sense, and a page that is missing at the end of a file is a memory fault;
// both come back as a [*CorruptError].
func guard(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &CorruptError{File: path, Detail: fmt.Sprint(r)}
		}
	}()
	return fn()
}

// diskError turns an error of a write for want of space into a [*DiskFullError]. One of a sync stays what it is, whatever it says: what has been written
// before is uncertain then, and the kernel reports that only once.
func diskError(dir string, err error) error {
	if err == nil {
		return nil
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) && pathErr.Op != "sync" && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
		return &DiskFullError{Dir: dir, Err: err}
	}
	// bbolt does not wrap the error of enlarging the file, before which nothing has been written.
	if text := err.Error(); strings.HasPrefix(text, "file resize error") &&
		(strings.Contains(text, syscall.ENOSPC.Error()) || strings.Contains(text, syscall.EDQUOT.Error())) {
		return &DiskFullError{Dir: dir, Err: err}
	}
	return err
}

func getMeta(tx *bbolt.Tx, path string) (*storev1.Meta, error) {
	return decodeMeta(path, tx.Bucket([]byte(meta.String())).Get([]byte(metaKey)))
}

// decodeMeta reads the row about the database itself. The errors are [*CorruptError] and [*FormatError].
func decodeMeta(path string, sealed []byte) (*storev1.Meta, error) {
	corrupt := func(detail string) error {
		return &CorruptError{File: path, Table: meta.String(), Key: metaKey, Detail: detail}
	}
	if sealed == nil {
		return nil, corrupt("the row is missing: this is no database of a hub")
	}
	value, err := unseal(meta.String(), []byte(metaKey), sealed)
	if err != nil {
		return nil, corrupt(err.Error())
	}
	m := &storev1.Meta{}
	if err := proto.Unmarshal(value, m); err != nil {
		return nil, corrupt(err.Error())
	}
	if m.Format > Format {
		return nil, &FormatError{File: path, Format: m.Format, Supported: Format}
	}
	if m.Format == 0 || m.Fleet == "" || len(m.Epoch) != epochSize {
		return nil, corrupt("format, fleet or epoch is missing")
	}
	return m, nil
}

func putMeta(tx *bbolt.Tx, m *storev1.Meta) error {
	value, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(meta.String())).Put([]byte(metaKey), seal(meta.String(), metaKey, value))
}

// seal puts a checksum before a value. It covers table and key, too, so that a row that turns up in another's place is found out.
func seal(table, key string, value []byte) []byte {
	out := make([]byte, checksumSize, checksumSize+len(value))
	binary.BigEndian.PutUint32(out, checksum(table, key, value))
	return append(out, value...)
}

var errTooShort = errors.New("the value is too short")

// unseal returns the value without its checksum; it is part of sealed.
func unseal(table string, key, sealed []byte) ([]byte, error) {
	if len(sealed) < checksumSize {
		return nil, errTooShort
	}
	value := sealed[checksumSize:]
	if checksum(table, string(key), value) != binary.BigEndian.Uint32(sealed) {
		return nil, errors.New("the checksum does not match")
	}
	return value, nil
}

func checksum(table, key string, value []byte) uint32 {
	sum := crc32.Checksum([]byte(table+"\x00"+key+"\x00"), castagnoli)
	return crc32.Update(sum, castagnoli, value)
}
