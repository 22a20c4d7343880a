package store

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"

	memdb "github.com/hashicorp/go-memdb"

	"github.com/yardarm-dev/yardarm/hub/placement"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ReadTx is a consistent snapshot of all rows. It is safe for concurrent use, never blocks, and may be kept as long as its memory is affordable: it keeps
// alive the rows of its time. Its rows must not be changed.
type ReadTx struct {
	txn   *memdb.Txn
	batch *batch // nil but in a transaction that writes
	index uint64
	// rows says how many each table has; nil where nobody has counted, in no snapshot that leaves the package.
	rows *tableRows
}

// tableRows is how many rows each table has.
type tableRows [tableCount]int

// empty tells whether a table has no rows, so that it need not be looked into: many have none in most fleets, and what is to run where is asked of them for each
// cluster and bundle.
func (tx *ReadTx) empty(t Table) bool { return tx.rows != nil && tx.rows[t] == 0 }

// Rows returns how many rows a table has; within [Store.Update], as the transaction leaves it so far.
func (tx *ReadTx) Rows(t Table) int { return tx.rows[t] }

// Index returns the index of the newest update that the snapshot contains; within [Store.Update], that of the update itself.
func (tx *ReadTx) Index() uint64 { return tx.index }

// Tx is a transaction that writes. It reads its own writes. It is valid only within the function that it is given to, and not safe for concurrent use.
//
// After a method has returned an error, the transaction fails with that error even if the function returns none.
type Tx struct {
	ReadTx
	state    *state
	observe  bool // of Observe: hard rows are refused
	journal  []change
	contents []content
	touched  []touch // what subscribers hear of though no row of the table has changed
	// denials are calls that the audit log is to tell of, and moreDenied those that are in none of them.
	denials    []*storev1.AuditDenial
	moreDenied uint64
	// auditUntil is the sequence before which the audit log's entries are to be dropped; 0 for none.
	auditUntil uint64
	err        error // the first error of a method
}

// Snapshot is of all rows as the transaction has written them so far. It outlives the transaction, whatever becomes of that: so what somebody wants to know of a
// change that is not to be made is found out while others write.
func (tx *Tx) Snapshot() *ReadTx {
	rows := tx.state.rows
	return &ReadTx{txn: tx.txn.Snapshot(), index: tx.index, rows: &rows}
}

// change is one entry of the journal: what undoes it, and what it means on disk and to subscribers.
type change struct {
	table    anyTable
	key      string
	old, new any // nil where there was or is no row
}

// touch is a key in Changed without a change of the table's rows: of Members, a cluster whose groups' bundles have changed; of Assigned, any.
type touch struct {
	table Table
	key   string
}

// content is the write of an artifact's bytes, which go to disk only. Nil encoded deletes.
type content struct {
	digest  string
	encoded []byte
}

// state is what transactions change apart from rows. It belongs to whoever has the store's turn. Undoing a transaction restores the plain
// fields from a copy.
type state struct {
	index         uint64
	eventSequence uint64
	audit         auditState
	rows          tableRows
	// matchers are compiled groups. An entry counts only for the very row that it was compiled from, so nothing has to be undone.
	matchers map[string]matcherOf
	// labelled is of the clusters as they are; nil once one has changed.
	labelled labelled
}

type matcherOf struct {
	group   *yardarmv1.ClusterGroup
	matcher *placement.Matcher // nil where the group does not compile
}

// PanicError is what became of a panic within a transaction.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("transaction panicked: %v", e.Value) }

// run calls fn. After an error, nothing of what fn did is left.
func (tx *Tx) run(fn func(*Tx) error) error {
	before := *tx.state
	err := tx.call(fn)
	if err == nil {
		err = tx.err
	}
	if err != nil {
		tx.undo()
		*tx.state = before
	}
	return err
}

func (tx *Tx) call(fn func(*Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: debug.Stack()}
		}
	}()
	return fn(tx)
}

// undo takes back the journal, the newest entry first.
func (tx *Tx) undo() {
	for i := len(tx.journal) - 1; i >= 0; i-- {
		c := tx.journal[i]
		if err := c.table.replaceRow(tx, c.new, c.old); err != nil {
			panic(fmt.Sprintf("store: undo %s %s: %v", c.table.table(), c.key, err)) // the schema is wrong
		}
	}
}

func (tx *Tx) record(c change) {
	tx.journal = append(tx.journal, c)
	switch {
	case c.old == nil:
		tx.state.rows[c.table.table()]++
	case c.new == nil:
		tx.state.rows[c.table.table()]--
	}
}

// fail makes the transaction fail with err, unless it has failed already.
func (tx *Tx) fail(err error) error {
	if tx.err == nil {
		tx.err = err
	}
	return err
}

// allow tells whether the transaction may write to the table.
func (tx *Tx) allow(t anyTable) error {
	if tx.err != nil {
		return tx.err
	}
	if tx.observe && t.kept() == hard {
		return tx.fail(fmt.Errorf("observe: table %s: %w", t.table(), ErrHard))
	}
	return nil
}

// stamp sets a resource's version.
func (tx *Tx) stamp(m *yardarmv1.ObjectMeta) error {
	if m == nil {
		return tx.fail(errors.New("put: resource without metadata"))
	}
	m.ResourceVersion = strconv.FormatUint(tx.index, 10)
	return nil
}
