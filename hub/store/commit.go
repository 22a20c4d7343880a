package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	memdb "github.com/hashicorp/go-memdb"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// maxQueue is how many transactions wait for the next commit before further callers wait to queue. It is also the largest batch, so that one commit
	// stays in the range of milliseconds.
	maxQueue = 1024
	// maxBatchBytes ends a batch early, so that a few large artifacts do not make small changes behind them wait: the size of the largest artifact.
	maxBatchBytes = 64 << 20
)

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
// Transactions run one after the other, in whatever goroutine commits. fn must not call the store itself, nor block. If it returns an error or panics,
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

// do queues a request and waits for its answer. Whoever waits takes part in the work: the one that gets the turn commits everything that is queued, its
// own request among it.
func (s *Store) do(ctx context.Context, r *request) error {
	if err := s.usable(); err != nil {
		return err
	}
	select {
	case s.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	giveUp := ctx.Done()
	for {
		select {
		case <-r.done:
			return r.err
		case s.turn <- struct{}{}:
			s.commitQueued()
			<-s.turn
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

// gather lets those queue that are about to: after a commit that several have shared, they all come back at once, and without it the first of them
// would have a commit for itself and let all others wait for it. It ends as soon as nobody comes.
func (s *Store) gather() {
	for before := -1; s.shared && len(s.queue) > before; {
		before = len(s.queue)
		runtime.Gosched()
	}
}

// commitQueued runs everything that is queued. The caller has the turn.
func (s *Store) commitQueued() {
	s.gather()
	var observes, updates []*request
	for range maxQueue {
		select {
		case r := <-s.queue:
			if !r.taken.CompareAndSwap(false, true) {
				continue
			}
			if r.observe {
				observes = append(observes, r)
			} else {
				updates = append(updates, r)
			}
			continue
		default:
		}
		break
	}
	s.shared = len(observes)+len(updates) > 1
	if err := s.usable(); err != nil {
		answer(observes, err)
		answer(updates, err)
		return
	}
	s.commitObserves(observes)
	for len(updates) > 0 {
		updates = updates[s.commitUpdates(updates):]
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

// commitObserves runs observations and makes them visible.
func (s *Store) commitObserves(requests []*request) {
	if len(requests) == 0 {
		return
	}
	txn, batch := s.rows.Txn(true), newBatch(s.rows)
	var changes changes
	for _, r := range requests {
		tx := &Tx{ReadTx: ReadTx{txn, batch, s.state.index, &s.state.rows}, state: &s.state, observe: true}
		if r.err = tx.run(r.run); r.err == nil {
			changes.add(tx)
		}
	}
	for _, c := range changes.rows {
		if c.table.kept() == soft {
			s.dirty.add(c.table, c.key)
		}
	}
	s.show(txn, s.state.index)
	s.noteHistory(changes)
	s.subscriptions.notify(changes)
	answer(requests, nil)
	s.askForFlush()
}

// commitUpdates runs as many updates as make a batch, commits them, and returns how many it took. A failure to write fails them all: even an update
// that wrote nothing may have seen what the others wrote.
func (s *Store) commitUpdates(requests []*request) int {
	before := s.state
	txn, batch := s.rows.Txn(true), newBatch(s.rows)
	var (
		changes changes
		ops     []Op
		bytes   int
		taken   int
	)
	for _, r := range requests {
		if bytes >= maxBatchBytes {
			break
		}
		taken++
		tx := &Tx{ReadTx: ReadTx{txn, batch, s.state.index + 1, &s.state.rows}, state: &s.state}
		var own []Op
		r.err = tx.run(func(tx *Tx) (err error) {
			if err = r.run(tx); err == nil && tx.err == nil {
				own, err = s.opsOf(tx, r.author)
			}
			return err
		})
		if r.err != nil {
			continue
		}
		changes.add(tx)
		if len(own) > 0 {
			s.state.index++
			ops = append(ops, own...)
			for i := range own {
				bytes += len(own[i].Value)
			}
		}
		r.index = s.state.index
	}
	if len(changes.rows) == 0 && len(ops) == 0 {
		txn.Abort()
		answer(requests[:taken], nil)
		return taken
	}
	var err error
	if len(ops) > 0 {
		soft, taken := s.take(txn, s.fewWaiting())
		err = s.commit(txn, append(soft, ops...), taken)
	} else {
		s.publish(txn, s.metaNow()) // in memory only
	}
	if err != nil {
		txn.Abort()
		s.state = before
		answer(requests[:taken], err)
		return taken
	}
	// Subscriptions first: whoever has its answer finds its change in what follows them. They do not wait for the history of a whole fleet.
	s.subscriptions.notify(changes)
	s.noteHistory(changes)
	answer(requests[:taken], nil)
	s.askForFlush()
	return taken
}

// commit makes ops durable and then txn visible; what they have of what waited does so no more. After an error, txn is still open.
func (s *Store) commit(txn *memdb.Txn, ops []Op, flushed waiting) error {
	row := s.metaNow()
	start := time.Now()
	if err := s.append(&Batch{Meta: row, Head: s.auditHead(), Ops: ops}); err != nil {
		return err
	}
	s.metrics.observeCommit(time.Since(start), len(ops))
	s.written(flushed)
	s.publish(txn, row)
	return nil
}

// publish makes a transaction visible.
func (s *Store) publish(txn *memdb.Txn, row *storev1.Meta) {
	s.show(txn, row.Index)
	s.meta.Store(row)
}

// show makes rows visible, as of an index.
func (s *Store) show(txn *memdb.Txn, index uint64) {
	txn.Commit()
	rows := s.state.rows
	s.newest.Store(&ReadTx{txn: s.rows.Txn(false), index: index, rows: &rows})
	s.metrics.setRows(&s.state)
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
		s.failure = &FailedError{Dir: s.config.Dir, Err: err}
		close(s.failed)
		return s.failure
	}
}

// metaNow returns the row about the database itself as it is to be written.
func (s *Store) metaNow() *storev1.Meta {
	row := proto.CloneOf(s.base)
	row.Index, row.EventSequence = s.state.index, s.state.eventSequence
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

// auditHead returns the head of the audit log as it is to be written; nil if no log is kept.
func (s *Store) auditHead() *storev1.AuditHead {
	if s.audit == nil {
		return nil
	}
	return s.audit.head(s.state.audit, s.state.index)
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
