package store

import (
	"iter"

	"google.golang.org/protobuf/proto"
)

// Write is what a transaction makes of one row of desired state.
type Write struct {
	Table Table
	Key   string
	// Old is the row before, New the one after; nil where there is none. They must not be changed.
	Old, New proto.Message
}

// Writes returns what the transaction has written to desired state so far, each row once, in the order in which they were first written. Rows
// that are as they were before are left out.
func (tx *Tx) Writes() []Write {
	type place struct {
		table Table
		key   string
	}
	var writes []Write
	at := map[place]int{}
	for _, c := range tx.journal {
		if c.table.kept() != hard {
			continue
		}
		p := place{c.table.table(), c.key}
		i, again := at[p]
		if !again {
			i = len(writes)
			at[p] = i
			writes = append(writes, Write{Table: p.table, Key: p.key, Old: asMessage(c.old)})
		}
		writes[i].New = asMessage(c.new)
	}
	out := writes[:0]
	for _, w := range writes {
		if w.Old != w.New {
			out = append(out, w)
		}
	}
	return out
}

// asMessage keeps a row that is not there from becoming a message that is not nil. All rows of desired state are messages.
func asMessage(row any) proto.Message {
	if row == nil {
		return nil
	}
	return row.(proto.Message)
}

// Moves yields the clusters that have entered or left a group in the transaction so far, by uid, and the group's name. One that did
// both, and is where it was, is not.
func (tx *Tx) Moves() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		before := map[membership]bool{}
		for _, c := range tx.journal {
			if c.table.table() != Members {
				continue
			}
			was, _ := c.old.(*membership)
			row, _ := c.new.(*membership)
			if row == nil {
				row = was
			}
			place := membership{group: row.group, clusterUID: row.clusterUID}
			if _, known := before[place]; !known {
				before[place] = was != nil && was.member
			}
		}
		for place, was := range before {
			now := members.get(&tx.ReadTx, place.group, place.clusterUID)
			if is := now != nil && now.member; is != was && !yield(place.clusterUID, place.group) {
				return
			}
		}
	}
}
