package store

import (
	"cmp"
	"runtime"
	"slices"

	memdb "github.com/hashicorp/go-memdb"
)

// Where many write, transactions and the disk work at the same time: while one batch is on its way to disk, the next one runs, on rows that nobody else sees yet.
//
//	turn:  run 1 │ run 2           │ run 3           │ …
//	disk:        │ write 1, show 1 │ write 2, show 2 │ …
//
// Where few do, the next batch waits for the disk before it runs, so that all share it who come meanwhile: a commit costs the disk two syncs, and the hub a round of
// everybody who follows it.

const (
	// maxBatch is how many updates one commit has at most: enough that what a commit costs by itself is little beside them, and few enough that of 256 writers two batches are
	// under way.
	maxBatch = 128
	// maxBatchBytes ends a batch early, so that a few large artifacts do not make small changes behind them wait: the size of the largest artifact.
	maxBatchBytes = 64 << 20
	// worthAhead is how many updates have to be queued for the next batch to run before the disk is free.
	worthAhead = maxBatch / 2
)

// generation is what the store holds as of the end of a batch.
type generation struct {
	tx *ReadTx
	// rows is what the next batch begins with; nobody writes to it.
	rows  *memdb.MemDB
	state state
}

// generation returns what the store holds, with all that has run. The caller has the turn.
func (s *Store) generation() generation {
	rows, counts := s.rows.Snapshot(), s.state.rows
	return generation{&ReadTx{txn: rows.Txn(false), index: s.state.index, rows: &counts}, rows, s.state}
}

// pending is a batch of updates that run, or have run, and are not on disk yet.
type pending struct {
	requests []*request
	txn      *memdb.Txn
	batch    *batch
	changes  changes
	ops      []Op
	bytes    int
}

func (p *pending) full() bool { return len(p.requests) >= maxBatch || p.bytes >= maxBatchBytes }

// idle tells whether the batch has changed nothing.
func (p *pending) idle() bool { return len(p.changes.rows)+len(p.ops) == 0 }

// lead runs what is queued, as much as makes a batch, and brings it to disk. The caller has the turn, which lead gives back as soon as somebody else can run the next batch.
// Before anything has run, giveUp ends it.
func (s *Store) lead(giveUp <-chan struct{}) {
	s.gather()
	ahead := len(s.updates) >= s.ahead && len(s.observes) == 0 && s.refused.Load() == nil
	if !ahead {
		select {
		case s.disk <- struct{}{}:
		case <-giveUp:
			<-s.turn
			return
		}
		s.takeBack()
		s.gather()
	}
	s.shared = len(s.updates)+len(s.observes) > 1
	if !ahead {
		s.commitObserves(drain(s.observes))
	}
	p := s.runUpdates()
	if ahead {
		s.disk <- struct{}{}
	}
	at, err := s.close(p)
	<-s.turn
	s.finish(p, at, err)
	<-s.disk
}

// gather lets those queue that are about to: after a commit that several have shared, they all come back at once, and without it the first of them
// would have a commit for itself and let all others wait for it. It ends as soon as nobody comes.
func (s *Store) gather() {
	queued := func() int { return len(s.updates) + len(s.observes) }
	for before := -1; s.shared && queued() > before; {
		before = queued()
		runtime.Gosched()
	}
}

// next takes a request out of a queue; nil where there is none.
func next(queue chan *request) *request {
	for {
		select {
		case r := <-queue:
			if r.taken.CompareAndSwap(false, true) {
				return r
			}
		default:
			return nil
		}
	}
}

// drain takes what is queued, at most as much as there is room for in a queue.
func drain(queue chan *request) (requests []*request) {
	for r := next(queue); r != nil; r = next(queue) {
		if requests = append(requests, r); len(requests) == maxQueue {
			break
		}
	}
	return requests
}

// commitObserves runs observations and makes them visible. The caller has both tokens.
func (s *Store) commitObserves(requests []*request) {
	if len(requests) == 0 {
		return
	}
	if err := s.usable(); err != nil {
		answer(requests, err)
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
	txn.Commit()
	for _, c := range changes.rows {
		if c.table.kept() == soft {
			s.dirty.add(c.table, c.key)
		}
	}
	s.show(s.generation())
	s.noteHistory(changes)
	s.subscriptions.notify(changes)
	answer(requests, nil)
	s.askForFlush()
}

// runUpdates runs what is queued, as much as makes a batch. The caller has the turn.
func (s *Store) runUpdates() *pending {
	p := &pending{}
	for !p.full() {
		r := next(s.updates)
		if r == nil {
			break
		}
		if p.txn == nil {
			p.txn, p.batch = s.rows.Txn(true), newBatch(s.rows)
		}
		s.run(p, r)
	}
	return p
}

// run runs an update as part of a batch.
func (s *Store) run(p *pending, r *request) {
	p.requests = append(p.requests, r)
	if r.err = s.usable(); r.err != nil {
		return
	}
	tx := &Tx{ReadTx: ReadTx{p.txn, p.batch, s.state.index + 1, &s.state.rows}, state: &s.state}
	var ops []Op
	r.err = tx.run(func(tx *Tx) (err error) {
		if err = r.run(tx); err == nil && tx.err == nil {
			ops, err = s.opsOf(tx, r.author)
		}
		return err
	})
	if r.err != nil {
		return
	}
	p.changes.add(tx)
	if len(ops) > 0 {
		s.state.index++
		p.ops = append(p.ops, ops...)
		for i := range ops {
			p.bytes += len(ops[i].Value)
		}
	}
	r.index = s.state.index
}

// close ends the running of a batch, and returns what the store will hold with it. Where the disk has refused the batch before, this one is not to be either, and the error is
// that of the disk. The caller has both tokens.
func (s *Store) close(p *pending) (generation, error) {
	if p.txn == nil {
		return s.shown, nil
	}
	defer p.txn.Abort() // does nothing after Commit
	if err := cmp.Or(s.usable(), s.takeBack()); err != nil {
		return generation{}, err
	}
	if p.idle() {
		return s.shown, nil
	}
	p.txn.Commit()
	return s.generation(), nil
}

// takeBack undoes what has run after a batch that the disk has refused, and returns why it has; nil where it has not. The caller has both tokens.
func (s *Store) takeBack() error {
	refused := s.refused.Swap(nil)
	if refused == nil {
		return nil
	}
	s.rows, s.state = s.shown.rows.Snapshot(), s.shown.state
	return *refused
}

// finish brings a batch to disk and shows it. A failure fails all of it: even an update that wrote nothing may have seen what the others wrote. The caller
// has the disk.
func (s *Store) finish(p *pending, at generation, err error) {
	if err == nil && len(p.ops) > 0 {
		err = s.write(p, at)
	}
	if err != nil || p.idle() {
		answer(p.requests, err)
		return
	}
	if len(p.ops) == 0 {
		s.show(at) // in memory only
	}
	// Subscriptions first: whoever has its answer finds its change in what follows them. They do not wait for the history of a whole fleet.
	s.subscriptions.notify(p.changes)
	s.noteHistory(p.changes)
	answer(p.requests, nil)
	s.askForFlush()
}

// write commits a batch, and some of what is due for a flush with it.
func (s *Store) write(p *pending, at generation) error {
	flushed, rows := s.takeDirty(at.tx, maxSoftWithUpdate)
	chunks, subjects := s.takeHistory(maxSoftWithUpdate - len(rows))
	if err := s.commit(at, slices.Concat(flushed, chunks, p.ops), rows); err != nil {
		s.refused.Store(&err)
		return err
	}
	s.history.written(subjects)
	return nil
}
