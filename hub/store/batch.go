package store

import memdb "github.com/hashicorp/go-memdb"

// batch is what the transactions of one commit have written so far, for them to read. go-memdb answers the same, but forgets with each answer about a table that has
// been written to which of its nodes are the commit's own, and the next write copies them all again: most of what an update cost.
type batch struct {
	// base is a snapshot of before.
	base *memdb.Txn
	// leaves are those that differ from it; nil where there is none any more.
	leaves map[place]any
}

// place is where a leaf is.
type place struct{ order, leaf string }

func newBatch(rows *memdb.MemDB) *batch {
	return &batch{base: rows.Txn(false), leaves: map[place]any{}}
}
