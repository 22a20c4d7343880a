package store

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	memdb "github.com/hashicorp/go-memdb"
)

const (
	// maxSoftWithUpdate is how many rows of observed state go along with an update. Few, since the update waits for them, and enough that in a quiet fleet
	// observed state needs no commits of its own. Where more wait, none goes along: any of them would be written out of order, to pages that the flush is to write again.
	maxSoftWithUpdate = 256
	// maxFlush is how many rows one commit of a flush writes. An update that comes meanwhile waits for one of them: some 10 ms.
	maxFlush = 4096
)

// waiting is what waits for being written: rows of observed state and subjects of history.
type waiting struct {
	rows     []dirtyRow
	subjects []string
}

// waiting answers all that waits now.
func (s *Store) waiting() waiting {
	return waiting{slices.Collect(maps.Keys(s.dirty)), slices.Collect(maps.Keys(s.history))}
}

// sort puts it in the order of the database's keys: a flush of a whole fleet so goes through the file once, however many commits it takes, and writes each page with all that is
// new of it.
func (w *waiting) sort() {
	slices.SortFunc(w.rows, func(a, b dirtyRow) int {
		return cmp.Or(cmp.Compare(a.table.table(), b.table.table()), strings.Compare(a.key, b.key))
	})
	slices.Sort(w.subjects)
}

// fewWaiting answers all that waits now, or nothing if it is more than an update may take along.
func (s *Store) fewWaiting() waiting {
	if len(s.dirty)+len(s.history) > maxSoftWithUpdate {
		return waiting{}
	}
	return s.waiting()
}

func (w *waiting) any() bool { return len(w.rows)+len(w.subjects) > 0 }

// next takes up to n off.
func (w *waiting) next(n int) (next waiting) {
	rows := min(n, len(w.rows))
	next.rows, w.rows = w.rows[:rows], w.rows[rows:]
	subjects := min(n-rows, len(w.subjects))
	next.subjects, w.subjects = w.subjects[:subjects], w.subjects[subjects:]
	return next
}

// take answers what writes w, as txn has it, and what of it that is: it waits until written is called.
func (s *Store) take(txn *memdb.Txn, w waiting) (ops []Op, taken waiting) {
	ops = s.dirty.take(txn, w.rows, func(row dirtyRow, err error) {
		s.config.Logger.Error("observed row cannot be written", "table", row.table.table().String(), "key", row.key, "error", err)
	})
	chunks, subjects := s.history.take(w.subjects, s.log.HistoryRows(), func(subject string, err error) {
		s.config.Logger.Error("history cannot be written", "subject", subject, "error", err)
	})
	return append(ops, chunks...), waiting{w.rows, subjects}
}

func (s *Store) written(w waiting) {
	s.dirty.written(w.rows)
	s.history.written(w.subjects)
}

// dirtyRows are the rows of observed state that differ from those on disk.
type dirtyRows map[dirtyRow]struct{}

type dirtyRow struct {
	table anyTable
	key   string
}

func (d dirtyRows) add(t anyTable, key string) { d[dirtyRow{t, key}] = struct{}{} }

// take answers what writes rows as txn has them, those that are dirty yet. One that cannot be encoded is dropped, and reported to failed: it would fail every time.
func (d dirtyRows) take(txn *memdb.Txn, rows []dirtyRow, failed func(dirtyRow, error)) (ops []Op) {
	tx := &ReadTx{txn: txn}
	for _, row := range rows {
		if _, dirty := d[row]; !dirty {
			continue
		}
		op := Op{Table: row.table.table().String(), Key: row.key}
		if current := row.table.rowOf(tx, row.key); current != nil {
			value, err := row.table.encodeRow(current)
			if err != nil {
				failed(row, err)
				continue
			}
			op.Value = value
		}
		ops = append(ops, op)
	}
	return ops
}

func (d dirtyRows) written(rows []dirtyRow) {
	for _, row := range rows {
		delete(d, row)
	}
}

// askForFlush tells Run that something waits for being written, that the audit log is too long, or that the disk is to be tried again. The caller has the turn.
func (s *Store) askForFlush() {
	if len(s.dirty)+len(s.history) == 0 && s.diskFull.Load() == nil && !s.auditTooLong() {
		return
	}
	select {
	case s.flushDue <- struct{}{}:
	default:
	}
}

// flush writes all that waits when it begins, in several commits if it is much. If the disk has been full, it writes even without any. A change of all touches most of the file,
// so that memory of it is given back at the end.
func (s *Store) flush() error {
	s.turn <- struct{}{}
	due := s.waiting()
	<-s.turn
	due.sort() // some 10 ms, for 10,000 clusters
	for {
		s.turn <- struct{}{}
		more, err := s.flushSome(&due)
		if !more && s.usable() == nil {
			s.log.Release()
		}
		<-s.turn
		if err != nil || !more {
			return err
		}
	}
}

// flushHeld writes all that waits, for a caller that has the turn and keeps it.
func (s *Store) flushHeld() error {
	due := s.waiting()
	due.sort()
	for {
		if more, err := s.flushSome(&due); err != nil || !more {
			return err
		}
	}
}

// flushSome writes the next of what is due. The caller has the turn.
func (s *Store) flushSome(due *waiting) (more bool, err error) {
	if err := s.usable(); err != nil {
		if errors.Is(err, ErrClosed) {
			err = nil // Close has flushed
		}
		return false, err
	}
	next := due.next(maxFlush)
	if !next.any() && s.diskFull.Load() == nil {
		return false, nil
	}
	txn := s.rows.Txn(true)
	ops, taken := s.take(txn, next)
	if len(ops) == 0 && s.diskFull.Load() == nil {
		txn.Abort() // updates have taken all of it along, or there is no room for more history
		s.written(taken)
		return due.any(), nil
	}
	if err := s.commit(txn, ops, taken); err != nil {
		txn.Abort()
		return false, err
	}
	if len(s.dirty) == 0 {
		s.dirty = dirtyRows{} // a map keeps the room for as much as it has ever held: 1 KB for each cluster, after a change of all
	}
	return due.any(), nil
}
