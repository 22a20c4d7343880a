package store

import (
	"errors"

	memdb "github.com/hashicorp/go-memdb"
)

const (
	// maxSoftWithUpdate is how many rows of observed state go along with an update. Few, since the update waits for them, and enough that in a quiet fleet
	// observed state needs no commits of its own.
	maxSoftWithUpdate = 256
	// maxFlush is how many rows one commit of a flush writes. An update that comes meanwhile waits for one of them: some 10 ms.
	maxFlush = 4096
)

// dirtyRows are the rows of observed state that differ from those on disk.
type dirtyRows map[dirtyRow]struct{}

type dirtyRow struct {
	table anyTable
	key   string
}

func (d dirtyRows) add(t anyTable, key string) { d[dirtyRow{t, key}] = struct{}{} }

// take returns what writes up to n dirty rows as txn has them. They stay dirty until written is called. A row that cannot be encoded is dropped, and
// reported to failed: it would fail every time.
func (d dirtyRows) take(txn *memdb.Txn, n int, failed func(dirtyRow, error)) (ops []Op, taken []dirtyRow) {
	tx := &ReadTx{txn: txn}
	for row := range d {
		if len(taken) >= n {
			break
		}
		taken = append(taken, row)
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
	return ops, taken
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

// flush writes all dirty rows, in several commits if they are many. If the disk has been full, it writes even without any. A change of all touches most of the file, so
// that memory of it is given back at the end.
func (s *Store) flush() error {
	for {
		s.turn <- struct{}{}
		more, err := s.flushSome()
		if !more && s.usable() == nil {
			s.log.Release()
		}
		<-s.turn
		if err != nil || !more {
			return err
		}
	}
}

func (s *Store) flushSome() (more bool, err error) {
	if err := s.usable(); err != nil {
		if errors.Is(err, ErrClosed) {
			err = nil // Close has flushed
		}
		return false, err
	}
	if len(s.dirty)+len(s.history) == 0 && s.diskFull.Load() == nil {
		return false, nil
	}
	txn := s.rows.Txn(true)
	ops, taken := s.takeDirty(txn, maxFlush)
	chunks, subjects := s.takeHistory(maxFlush - len(taken))
	if ops = append(ops, chunks...); len(ops) == 0 && s.diskFull.Load() == nil {
		txn.Abort() // there is no room for more history
		return false, nil
	}
	if err := s.commit(txn, ops, taken); err != nil {
		txn.Abort()
		return false, err
	}
	s.history.written(subjects)
	if len(s.dirty) == 0 {
		s.dirty = dirtyRows{} // a map keeps the room for as much as it has ever held: 1 KB for each cluster, after a change of all
	}
	return len(s.dirty) > 0 || len(subjects) > 0, nil
}

func (s *Store) takeDirty(txn *memdb.Txn, n int) ([]Op, []dirtyRow) {
	return s.dirty.take(txn, n, func(row dirtyRow, err error) {
		s.config.Logger.Error("observed row cannot be written", "table", row.table.table().String(), "key", row.key, "error", err)
	})
}

func (s *Store) takeHistory(n int) ([]Op, []string) {
	return s.history.take(n, s.log.HistoryRows(), func(subject string, err error) {
		s.config.Logger.Error("history cannot be written", "subject", subject, "error", err)
	})
}
