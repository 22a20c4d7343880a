package store

import memdb "github.com/hashicorp/go-memdb"

// batch is what the transactions of one commit have written so far, for them to read. go-memdb answers the same, but forgets with each answer about a table that has
// been written to which of its nodes are the commit's own, and the next write copies them all again: most of what an update cost.
type batch struct {
	// base is a snapshot of before.
	base *memdb.Txn
	// rows are those that differ from it, in all of their unique indexes; nil where there is none any more.
	rows map[place]any
}

// place is where a row is found in a unique index.
type place struct {
	table        Table
	index, value string
}

func newBatch(rows *memdb.MemDB) *batch {
	return &batch{base: rows.Txn(false), rows: map[place]any{}}
}

// note takes the change of a row; either may be nil.
func (b *batch) note(t anyTable, old, new any) {
	if old != nil {
		t.places(old, func(index, value string) { b.rows[place{t.table(), index, value}] = nil })
	}
	if new != nil {
		t.places(new, func(index, value string) { b.rows[place{t.table(), index, value}] = new })
	}
}
