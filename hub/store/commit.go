package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// maxQueue is how many transactions wait to be run before further callers wait to queue.
const maxQueue = 1024

// request is one transaction, from its queueing to its answer.
type request struct {
	fn      func(*Tx) error
	observe bool
	author  Author
	// taken is set by who decides about the request first: the one that runs it, or its caller giving up.
	taken atomic.Bool
	// done is closed after index and err are set.
	done  chan struct{}
	index uint64
	err   error
}

// Update runs fn in a transaction and returns once its writes are on disk and visible, with the index of the update. A function that writes nothing gets
// the index of the newest update, and costs no commit of its own; but its answer waits for the batch whose state it has seen.
//
// Transactions run one after the other, in the goroutine of whichever caller has the turn. fn must not call the store itself, nor block. If it returns an error or panics,
// nothing that it wrote is left, other transactions are not affected, and Update returns the error ([*PanicError]).
//
// Other errors wrap [ErrReadOnly] (among them [*DiskFullError]), [ErrClosed], or are a [*FailedError]; nothing of the update is left then, except that after a
// FailedError, it may turn out after a restart to have been written. If ctx ends before fn has started, fn is not called, and Update returns the error of ctx;
// after that, Update waits for the outcome, whatever becomes of ctx.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) (index uint64, err error) {
	if reason := s.readOnly.Load(); reason != nil {
		return 0, fmt.Errorf("%w: %s", ErrReadOnly, *reason)
	}
	r := &request{fn: fn, author: authorOf(ctx), done: make(chan struct{})}
	if err := s.do(ctx, r); err != nil {
		return 0, err
	}
	return r.index, nil
}

// Observe runs fn in a transaction that may write observed state only: Observed, ObservedBundle, Presence and events. Its writes are visible when Observe
// returns, and on disk some time later: with a later update, or after the flush interval. Otherwise it behaves as Update does, also while the store is
// read-only.
func (s *Store) Observe(ctx context.Context, fn func(*Tx) error) error {
	return s.do(ctx, &request{fn: fn, observe: true, done: make(chan struct{})})
}

// do queues a request and waits for its answer. Whoever waits takes part in the work: the one that gets the turn runs what is queued, its own request among it, and
// brings it to disk.
func (s *Store) do(ctx context.Context, r *request) error {
	if err := s.usable(); err != nil {
		return err
	}
	queue := s.updates
	if r.observe {
		queue = s.observes
	}
	select {
	case queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	giveUp := ctx.Done()
	for {
		select {
		case <-r.done:
			return r.err
		case s.turn <- struct{}{}:
			s.lead(giveUp)
		case <-giveUp:
			if r.taken.CompareAndSwap(false, true) {
				return ctx.Err()
			}
			giveUp = nil // it is running
		}
	}
}

// usable tells whether the store takes requests.
func (s *Store) usable() error {
	select {
	case <-s.closed:
		return ErrClosed
	case <-s.failed:
		return s.failure
	default:
		return nil
	}
}

// run is what a request does in its transaction: what it says, and what follows from that.
func (r *request) run(tx *Tx) error {
	if err := r.fn(tx); err != nil || tx.err != nil {
		return err
	}
	return tx.admit()
}

// answer tells callers how their requests have ended, unless that is already set: err goes before their own errors.
func answer(requests []*request, err error) {
	for _, r := range requests {
		if err != nil {
			r.index, r.err = 0, err
		}
		close(r.done)
	}
}

// commit makes ops durable and then visible; the rows of flushed are not dirty any more then. The caller has the disk.
func (s *Store) commit(at generation, ops []Op, flushed []dirtyRow) error {
	start := time.Now()
	if err := s.append(s.batchOf(&at.state, ops)); err != nil {
		return err
	}
	s.metrics.observeCommit(time.Since(start), len(ops))
	s.dirty.written(flushed)
	s.show(at)
	return nil
}

// show makes rows visible. The caller has the disk.
func (s *Store) show(at generation) {
	s.shown = at
	s.newest.Store(at.tx)
	s.meta.Store(s.metaAt(&at.state))
	s.metrics.setRows(at.tx.rows)
}

// append writes to the log, and keeps the condition of the disk.
func (s *Store) append(batch *Batch) error {
	err := s.log.Append(batch)
	var full *DiskFullError
	switch {
	case err == nil:
		if s.diskFull.Swap(nil) != nil {
			s.config.Logger.Info("data directory has space again")
		}
		return nil
	case errors.As(err, &full):
		if s.diskFull.Swap(full) == nil {
			s.config.Logger.Error("data directory is full", "error", full)
		}
		s.askForFlush()
		return full
	default:
		return s.fail(err)
	}
}

// fail ends all writing, since nobody knows what is on the disk. The caller has the disk.
func (s *Store) fail(err error) error {
	s.failure = &FailedError{Dir: s.config.Dir, Err: err}
	close(s.failed)
	return s.failure
}

// metaAt returns the row about the database itself as it is to be written with a state.
func (s *Store) metaAt(at *state) *storev1.Meta {
	row := proto.CloneOf(s.base)
	row.Index, row.EventSequence = at.index, at.eventSequence
	return row
}

// opsOf returns what an update writes to disk, its entry in the audit log included: one that cannot be audited fails.
func (s *Store) opsOf(tx *Tx, author Author) ([]Op, error) {
	ops, err := tx.ops()
	if err != nil || s.audit == nil {
		return ops, err
	}
	entry, err := s.audit.entry(tx, author, s.config.Clock())
	ops = append(ops, entry...)
	return append(ops, s.audit.cut(&tx.state.audit, tx.auditUntil)...), err
}

// batchOf returns what writes ops to disk, as of a state.
func (s *Store) batchOf(at *state, ops []Op) *Batch {
	b := &Batch{Meta: s.metaAt(at), Ops: ops}
	if s.audit != nil {
		b.Head = s.audit.head(at.audit, at.index)
	}
	return b
}

// ops returns what the transaction writes to disk.
func (tx *Tx) ops() ([]Op, error) {
	ops := make([]Op, 0, len(tx.journal)+len(tx.contents))
	for _, c := range tx.journal {
		if c.table.kept() == memory {
			continue
		}
		op := Op{Table: c.table.table().String(), Key: c.key}
		if c.new != nil {
			value, err := c.table.encodeRow(c.new)
			if err != nil {
				return nil, fmt.Errorf("encode %s %s: %w", c.table.table(), c.key, err)
			}
			op.Value = value
		}
		ops = append(ops, op)
	}
	for _, c := range tx.contents {
		ops = append(ops, Op{Table: contentsTable, Key: c.digest, Value: c.encoded})
	}
	return ops, nil
}
