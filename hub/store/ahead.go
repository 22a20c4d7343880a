package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// walFormat is the first format with a write-ahead log. An older hub would overlook what is in it, so a database of before has none.
	walFormat = 16
	// settleAfter is how much of the write-ahead log the database may lack before it follows, in bytes: enough that its commits, which are two syncs and a page for each few
	// rows, are few beside the log's, and little to wait for.
	settleAfter = 2 << 20
)

// aheadLog is the Log of a hub with a data directory: batches are durable in a write-ahead log, with one sync each, and the database follows, many of them in one commit.
// Whoever reads more than a content has the database follow first.
//
// Batches that are too large for a record go to the database itself, and so does the first one of each start, which names a new log.
type aheadLog struct {
	*boltLog
	// wal is nil before the first batch. It belongs to whoever appends, who holds settling where it is replaced.
	wal *wal

	// settleAfter is how much of it the database may lack before it follows, in bytes.
	settleAfter int64
	// settling is held by whoever writes to the database.
	settling sync.Mutex
	// following is done when nobody has it follow beside the appends.
	following sync.WaitGroup

	mu      sync.Mutex    // guards what follows
	pending []logged      // what the database lacks, the oldest first
	bytes   int64         // of its records
	earlier bool          // the database names the log of an earlier start
	asked   bool          // somebody is about to have the database follow
	err     error         // why it could not, the last time: a DiskFullError is tried again, and nothing else
	final   chan struct{} // closed when err is final
}

// openLog opens the log in config.Dir, or makes one. The caller has the directory's lock.
func openLog(config Config) (*aheadLog, error) {
	database, err := openBolt(config)
	if err != nil {
		return nil, err
	}
	l := newAheadLog(database)
	if err := l.recover(); err != nil {
		return nil, errors.Join(err, database.Close())
	}
	return l, nil
}

func newAheadLog(database *boltLog) *aheadLog {
	return &aheadLog{boltLog: database, settleAfter: settleAfter, final: make(chan struct{})}
}

// recover has the database follow the log of a hub that was killed. On a full disk, that has to wait.
func (l *aheadLog) recover() error {
	from, err := l.boltLog.ahead()
	if err != nil || from == nil {
		return err
	}
	if l.pending, err = readWAL(l.walPath(), from); err != nil {
		return err
	}
	for _, r := range l.pending {
		if r.Meta.GetFormat() > Format {
			return &FormatError{File: l.walPath(), Format: r.Meta.Format, Supported: Format}
		}
	}
	l.bytes, l.earlier = roomOf(l.pending), true
	if err := l.settle(); !errors.As(err, new(*DiskFullError)) {
		return err
	}
	return nil
}

func (l *aheadLog) walPath() string { return filepath.Join(l.dir, walName) }

func roomOf(records []logged) (bytes int64) {
	for _, r := range records {
		bytes += r.end - r.begin
	}
	return bytes
}

// Append implements Log.
func (l *aheadLog) Append(batch *Batch) error {
	if l.wal == nil {
		return l.appendToDatabase(batch)
	}
	record, err := l.wal.record(batch)
	if err != nil {
		return err
	}
	if record == nil {
		return l.appendToDatabase(batch)
	}
	begin, end := l.wal.place(len(record))
	if l.mustSettle(begin, end) {
		if err := l.settle(); err != nil {
			return err
		}
	}
	if err := l.wal.append(record); err != nil {
		return l.failed(diskError(l.dir, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, logged{batch, l.wal.sequence, begin, end})
	l.bytes += end - begin
	if l.bytes >= l.settleAfter && !l.asked {
		l.asked = true
		l.following.Go(l.follow)
	}
	return nil
}

// mustSettle tells whether the database has to follow before a record is written to a place: because the place is taken, or because it could not follow the last time.
func (l *aheadLog) mustSettle(begin, end int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err != nil || len(l.pending) > 0 && begin < l.pending[0].end && l.pending[0].begin < end
}

// failed returns an error of the disk, and has nothing be written any more after one that is final.
func (l *aheadLog) failed(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !errors.As(err, new(*DiskFullError)) {
		l.setErr(err)
	}
	return err
}

// setErr notes how writing to the disk has ended. The first error that is final stays. The caller holds mu.
func (l *aheadLog) setErr(err error) {
	select {
	case <-l.final:
		return
	default:
	}
	if l.err = err; err != nil && !errors.As(err, new(*DiskFullError)) {
		close(l.final)
	}
}

// Failed implements Log.
func (l *aheadLog) Failed() <-chan struct{} { return l.final }

// appendToDatabase makes a batch durable in the database itself.
func (l *aheadLog) appendToDatabase(batch *Batch) error {
	if err := l.settle(); err != nil {
		return err
	}
	l.settling.Lock()
	defer l.settling.Unlock()
	w := l.wal
	if w == nil && batch.Meta.Format >= walFormat {
		var err error
		if w, err = createWAL(l.walPath(), l.openFile); err != nil {
			return l.failed(diskError(l.dir, err))
		}
	}
	var ahead *storev1.WriteAhead
	if w != nil {
		ahead = &storev1.WriteAhead{Log: w.id, Sequence: w.sequence + 1}
	}
	if err := l.boltLog.append(batch, ahead); err != nil {
		if w != l.wal {
			err = errors.Join(err, w.file.Close())
		}
		return l.failed(err)
	}
	if l.wal = w; w != nil {
		w.sequence++
	}
	return nil
}

// follow has the database follow beside whoever appends. That it cannot is told to the next of them, and, where it is final, to who waits for Failed.
func (l *aheadLog) follow() {
	_ = l.settle()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = false
}

// owed returns what the database lacks, and whether it is to be written to: not where it lacks nothing, and not after an error that is final.
func (l *aheadLog) owed() (records []logged, write bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.final:
	default:
		write = len(l.pending) > 0 || l.earlier
	}
	return l.pending, write, l.err
}

// settle has the database follow. Where it lacks nothing, that waits for nobody: not for a compaction, either.
func (l *aheadLog) settle() error {
	if _, write, err := l.owed(); !write {
		return err
	}
	l.settling.Lock()
	defer l.settling.Unlock()
	records, write, err := l.owed()
	if !write {
		return err
	}
	var ahead *storev1.WriteAhead // nil for the log of an earlier start, which is not needed any more then
	if l.wal != nil {
		ahead = &storev1.WriteAhead{Log: l.wal.id, Sequence: records[len(records)-1].sequence}
	}
	err = l.boltLog.append(merged(records), ahead)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.setErr(err); err == nil {
		l.pending = slices.Clone(l.pending[len(records):])
		l.bytes -= roomOf(records)
		l.earlier = false
	}
	return err
}

// rowKey names a row.
type rowKey struct{ table, key string }

// merged returns what batches write together: of each row, what the last of them does.
func merged(records []logged) *Batch {
	out := &Batch{}
	seen := map[rowKey]bool{}
	for i := len(records) - 1; i >= 0; i-- {
		r := records[i]
		if out.Meta == nil {
			out.Meta = r.Meta
		}
		if out.Head == nil {
			out.Head = r.Head
		}
		for n := len(r.Ops) - 1; n >= 0; n-- {
			if key := (rowKey{r.Ops[n].Table, r.Ops[n].Key}); !seen[key] {
				seen[key] = true
				out.Ops = append(out.Ops, r.Ops[n])
			}
		}
	}
	return out
}

// lacking returns what the database lacks, as one batch.
func (l *aheadLog) lacking() *Batch {
	records, _, _ := l.owed()
	return merged(records)
}

// Meta implements Log.
func (l *aheadLog) Meta() (*storev1.Meta, error) {
	if m := l.lacking().Meta; m != nil {
		return proto.CloneOf(m), nil
	}
	return l.boltLog.Meta()
}

// AuditHead implements Log.
func (l *aheadLog) AuditHead() (*storev1.AuditHead, error) {
	if head := l.lacking().Head; head != nil {
		return proto.CloneOf(head), nil
	}
	return l.boltLog.AuditHead()
}

// Load implements Log. It does not have the database follow: a hub has to start on a full disk.
func (l *aheadLog) Load(row func(table, key string, value []byte) error) error {
	newer := map[rowKey][]byte{}
	for _, op := range l.lacking().Ops {
		newer[rowKey{op.Table, op.Key}] = op.Value
	}
	if len(newer) == 0 {
		return l.boltLog.Load(row)
	}
	if err := l.boltLog.Load(func(table, key string, value []byte) error {
		if _, ok := newer[rowKey{table, key}]; ok {
			return nil
		}
		return row(table, key, value)
	}); err != nil {
		return err
	}
	for at, value := range newer {
		if value == nil || !loads(at.table) {
			continue
		}
		if err := row(at.table, at.key, value); err != nil {
			return corruptRow(l.walPath(), at.table, []byte(at.key), err)
		}
	}
	return nil
}

// Content implements Log.
func (l *aheadLog) Content(digest string) ([]byte, error) {
	records, _, _ := l.owed()
	for i := len(records) - 1; i >= 0; i-- {
		for n := len(records[i].Ops) - 1; n >= 0; n-- {
			if op := records[i].Ops[n]; op.Table == contentsTable && op.Key == digest {
				if op.Value == nil {
					return nil, ErrNotFound
				}
				return bytes.Clone(op.Value), nil
			}
		}
	}
	return l.boltLog.Content(digest)
}

// AuditBack implements Log.
func (l *aheadLog) AuditBack(before uint64, n int) (*storev1.AuditHead, []AuditRow, error) {
	if err := l.settle(); err != nil {
		return nil, nil, err
	}
	return l.boltLog.AuditBack(before, n)
}

// HistoryOf implements Log.
func (l *aheadLog) HistoryOf(subject string) (keys []string, chunks []*storev1.HistoryChunk, err error) {
	if err := l.settle(); err != nil {
		return nil, nil, err
	}
	return l.boltLog.HistoryOf(subject)
}

// HistoryKeys implements Log.
func (l *aheadLog) HistoryKeys(after string, n int) ([]string, error) {
	if err := l.settle(); err != nil {
		return nil, err
	}
	return l.boltLog.HistoryKeys(after, n)
}

// Backup implements Log.
func (l *aheadLog) Backup(ctx context.Context, w io.Writer, change func(*storev1.Meta), keep func(table, key string) bool) error {
	if err := l.settle(); err != nil {
		return err
	}
	return l.boltLog.Backup(ctx, w, change, keep)
}

// Compact implements Log.
func (l *aheadLog) Compact(ctx context.Context) (freed int64, err error) {
	if err := l.settle(); err != nil {
		return 0, err
	}
	l.settling.Lock()
	defer l.settling.Unlock()
	return l.boltLog.Compact(ctx)
}

// Release implements Log. What the database is about to write would bring pages of it back into memory, so it follows first; that it cannot is told to the next to append.
func (l *aheadLog) Release() {
	_ = l.settle()
	l.settling.Lock()
	defer l.settling.Unlock()
	l.boltLog.Release()
}

// Size implements Log.
func (l *aheadLog) Size() int64 {
	size := l.boltLog.Size()
	if info, err := os.Stat(l.walPath()); err == nil {
		size += info.Size()
	}
	return size
}

// Close implements Log. The database has all then, and needs no log; on a full disk, the next start finds both.
func (l *aheadLog) Close() error {
	l.following.Wait()
	err := l.settle()
	l.settling.Lock()
	defer l.settling.Unlock()
	full := errors.As(err, new(*DiskFullError))
	if l.wal != nil {
		if err == nil {
			err = l.boltLog.append(&Batch{}, nil)
			full = errors.As(err, new(*DiskFullError))
		}
		if err == nil {
			err = os.Remove(l.walPath())
		}
		err = errors.Join(err, l.wal.file.Close())
	}
	if full {
		err = nil
	}
	return errors.Join(err, l.boltLog.Close())
}

// aheadKey is the key of the row that says which write-ahead log goes on where the database ends, in the table of the meta row.
const aheadKey = "write_ahead"

// ahead returns that row; nil where the database has all.
func (l *boltLog) ahead() (ahead *storev1.WriteAhead, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		sealed := tx.Bucket([]byte(meta.String())).Get([]byte(aheadKey))
		if sealed == nil {
			return nil
		}
		value, err := unseal(meta.String(), []byte(aheadKey), sealed)
		if err == nil {
			ahead = &storev1.WriteAhead{}
			err = proto.Unmarshal(value, ahead)
		}
		if err != nil {
			return corruptRow(l.path, meta.String(), []byte(aheadKey), err)
		}
		return nil
	})
	return ahead, err
}

func putAhead(tx *bbolt.Tx, ahead *storev1.WriteAhead) error {
	b := tx.Bucket([]byte(meta.String()))
	if ahead == nil {
		return b.Delete([]byte(aheadKey))
	}
	value, err := proto.Marshal(ahead)
	if err != nil {
		return err
	}
	return b.Put([]byte(aheadKey), seal(meta.String(), aheadKey, value))
}
