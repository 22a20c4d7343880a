package store

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	memdb "github.com/hashicorp/go-memdb"
)

// order is one way in which a table's rows are found, ascending: by their keys, or by values of an index. It is a table of go-memdb's, of leaves, and immutable.
//
// A row of go-memdb's takes some 460 bytes beside the row: two nodes of a tree, each with a channel for who would watch it, and its key. Where there is a row for each
// cluster, or for each bundle in each cluster, that was a fifth of what a connected spoke cost, and half of what an observed bundle did. A leaf of dozens of rows costs
// hardly more than one of a single row; who writes to it copies it, which is less than the nodes of a deeper tree.
type order[R any] struct {
	// index is what finds rows by it, and name that of the table in go-memdb.
	index, name string
	// places calls fn with where a row is: the parts of a key.
	places func(row *R, fn func(parts ...string))
	leaves leaves[R]
}

// leaves says which rows are in one leaf. The zero value has one for each row.
type leaves[R any] struct {
	// cut returns how much of a key names the leaf.
	cut func(key []byte) int
	// ends are the last two parts of a row's key, by which those of a leaf are told apart; the first is empty where there is only one.
	ends func(*R) ends
}

// ends are the last two parts of a key.
type ends struct{ before, last string }

func (e ends) compare(other ends) int {
	if c := strings.Compare(e.before, other.before); c != 0 {
		return c
	}
	return strings.Compare(e.last, other.last)
}

// uidDigits is how much of a uid names a leaf: with two digits of 16, ten thousand clusters are in 256 leaves of some 40.
const uidDigits = 2

// ofTens has a leaf for ten numbers in a row, which are as many digits each.
func ofTens(key []byte) int { return max(len(key)-1, 0) }

// ofFirst has a leaf for all keys with the same first part.
func ofFirst(key []byte) int {
	if i := bytes.Index(key, []byte(separator)); i >= 0 {
		return i + len(separator)
	}
	return len(key)
}

// ofFirstDigits has a leaf for all keys whose first part, a uid, has the same first digits.
func ofFirstDigits(key []byte) int { return min(uidDigits, len(key)) }

// ofLastDigits has a leaf for all keys that are the same up to the first digits of their last part, a uid.
func ofLastDigits(key []byte) int {
	return min(bytes.LastIndex(key, []byte(separator))+len(separator)+uidDigits, len(key))
}

// leaf is rows that are held together, ascending, at least one. It is immutable.
type leaf[R any] struct {
	key  []byte
	rows []*R
}

// search returns where in a leaf the row is whose key ends so, or would be.
func (o *order[R]) search(l *leaf[R], key ends) (int, bool) {
	switch {
	case l == nil:
		return 0, false
	case o.leaves.ends == nil:
		return 0, true
	}
	return slices.BinarySearchFunc(l.rows, key, func(row *R, key ends) int { return o.leaves.ends(row).compare(key) })
}

// get returns the row whose key has the parts, or nil.
func (o *order[R]) get(tx *ReadTx, parts ...string) *R {
	p := probes.Get().(*probe)
	defer probes.Put(p)
	key := p.seek(o.leaves.cut, parts)
	l := o.find(tx, p)
	if i, found := o.search(l, key); found {
		return l.rows[i]
	}
	return nil
}

// find returns the leaf that is sought, or nil.
func (o *order[R]) find(tx *ReadTx, p *probe) *leaf[R] {
	txn := tx.txn
	if tx.batch != nil {
		if written, known := tx.batch.leaves[place{o.name, string(p.leaf)}]; known {
			l, _ := written.(*leaf[R])
			return l
		}
		txn = tx.batch.base
	}
	raw, err := txn.First(o.name, idIndex, p.args[:]...)
	if err != nil {
		panic(fmt.Sprintf("store: read %s: %v", o.name, err)) // the schema is wrong
	}
	l, _ := raw.(*leaf[R])
	return l
}

// set makes row the one whose key has the parts; nil for none.
func (o *order[R]) set(tx *Tx, row *R, parts ...string) error {
	p := probes.Get().(*probe)
	defer probes.Put(p)
	key := p.seek(o.leaves.cut, parts)
	was := o.find(&tx.ReadTx, p)
	i, found := o.search(was, key)
	if row == nil && !found {
		return nil
	}
	at := place{o.name, string(p.leaf)}
	is := &leaf[R]{}
	if was != nil {
		is.key, is.rows = was.key, was.rows
	} else {
		is.key = []byte(at.leaf)
	}
	switch {
	case row == nil:
		is.rows = slices.Delete(slices.Clone(is.rows), i, i+1)
	case found:
		is.rows = slices.Clone(is.rows)
		is.rows[i] = row
	default:
		is.rows = slices.Concat(is.rows[:i], []*R{row}, is.rows[i:])
	}
	if len(is.rows) == 0 {
		tx.batch.leaves[at] = nil
		return tx.txn.Delete(o.name, was)
	}
	tx.batch.leaves[at] = is
	return tx.txn.Insert(o.name, is)
}

// replace has new be where old was; either may be nil.
func (o *order[R]) replace(tx *Tx, old, new *R) (err error) {
	set := func(row *R) func(...string) {
		return func(parts ...string) {
			if err == nil {
				err = o.set(tx, row, parts...)
			}
		}
	}
	if old != nil && (new == nil || !o.together(old, new)) {
		o.places(old, set(nil))
	}
	if new != nil {
		o.places(new, set(new))
	}
	return err
}

// together tells whether two rows are in the same places.
func (o *order[R]) together(a, b *R) bool {
	var of [2][]string
	for i, row := range []*R{a, b} {
		o.places(row, func(parts ...string) { of[i] = append(of[i], parts...) })
	}
	return slices.Equal(of[0], of[1])
}

// seeker is one of go-memdb's ways to find rows.
type seeker func(txn *memdb.Txn, table, index string, args ...any) (memdb.ResultIterator, error)

// seq yields the rows of the leaves that seek finds. Of one that has others as well, it yields those whose keys begin with key, which is a part and a separator then.
func (o *order[R]) seq(tx *ReadTx, key string, seek seeker) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		p := probes.Get().(*probe)
		p.seek(o.leaves.cut, []string{key})
		mixed := len(p.leaf) < len(key)
		it := o.leavesOf(tx, p, seek)
		probes.Put(p)
		part := strings.TrimSuffix(key, separator)
		for raw := it.Next(); raw != nil; raw = it.Next() {
			l, first := raw.(*leaf[R]), 0
			if mixed {
				first, _ = o.search(l, ends{before: part})
			}
			for _, row := range l.rows[first:] {
				if mixed && o.leaves.ends(row).before != part || !yield(row) {
					return
				}
			}
		}
	}
}

// from yields the rows whose key is at least low, ascending.
func (o *order[R]) from(tx *ReadTx, low string) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		p := probes.Get().(*probe)
		key := p.seek(o.leaves.cut, []string{low})
		it, first := o.leavesOf(tx, p, (*memdb.Txn).LowerBound), 0
		raw := it.Next()
		if l, _ := raw.(*leaf[R]); l != nil {
			first, _ = o.search(l, key)
		}
		probes.Put(p)
		for ; raw != nil; raw, first = it.Next(), 0 {
			for _, row := range raw.(*leaf[R]).rows[first:] {
				if !yield(row) {
					return
				}
			}
		}
	}
}

// leavesOf finds leaves as seek does, of which p is sought.
func (o *order[R]) leavesOf(tx *ReadTx, p *probe, seek seeker) memdb.ResultIterator {
	it, err := seek(tx.txn, o.name, idIndex, p.args[:]...)
	if err != nil {
		panic(fmt.Sprintf("store: read %s: %v", o.name, err)) // the schema is wrong
	}
	return it
}

// filler fills an order that is empty. Rows that share a leaf are put into it once all are there: one by one, each would copy it.
type filler[R any] struct {
	*order[R]
	txn    *memdb.Txn
	leaves map[string]*leaf[R]
}

func (f *filler[R]) add(row *R) (err error) {
	p := probes.Get().(*probe)
	defer probes.Put(p)
	f.places(row, func(parts ...string) {
		p.seek(f.order.leaves.cut, parts)
		l := f.leaves[string(p.leaf)]
		if l == nil {
			l = &leaf[R]{key: bytes.Clone(p.leaf)}
			if f.order.leaves.cut != nil {
				f.leaves[string(l.key)] = l
			}
		}
		l.rows = append(l.rows, row)
		if f.order.leaves.cut == nil && err == nil {
			err = f.txn.Insert(f.name, l)
		}
	})
	return err
}

func (f *filler[R]) end() error {
	byEnds := func(a, b *R) int { return f.order.leaves.ends(a).compare(f.order.leaves.ends(b)) }
	for _, l := range f.leaves {
		l.rows = slices.Clone(l.rows) // without what append has kept for more
		slices.SortFunc(l.rows, byEnds)
		if err := f.txn.Insert(f.name, l); err != nil {
			return err
		}
	}
	return nil
}

// schema is that of the order's table in go-memdb.
func (o *order[R]) schema() *memdb.TableSchema {
	return &memdb.TableSchema{Name: o.name, Indexes: map[string]*memdb.IndexSchema{idIndex: {Name: idIndex, Unique: true, Indexer: leafIndexer[R]{}}}}
}

// leafIndexer gives go-memdb the keys of leaves. It keeps them, and changes none.
type leafIndexer[R any] struct{}

func (leafIndexer[R]) FromObject(raw any) (bool, []byte, error) { return true, raw.(*leaf[R]).key, nil }
func (leafIndexer[R]) FromArgs(args ...any) ([]byte, error)     { return args[0].(*probe).leaf, nil }

// probe is a leaf's key that is sought, so that reading makes no garbage of its own.
type probe struct {
	key, leaf []byte
	args      [1]any // itself
}

var probes = sync.Pool{New: func() any {
	p := &probe{key: []byte{}} // go-memdb takes nil for any key
	p.args[0] = p
	return p
}}

// seek has the probe look for the leaf that a key with the parts is in, and returns how it ends. The last part may be several.
func (p *probe) seek(cut func([]byte) int, parts []string) ends {
	p.key = p.key[:0]
	for i, part := range parts {
		if i > 0 {
			p.key = append(p.key, separator...)
		}
		p.key = append(p.key, part...)
	}
	p.leaf = p.key
	if cut != nil {
		p.leaf = p.key[:cut(p.key)]
	}
	key := ends{last: parts[len(parts)-1]}
	if len(parts) > 1 {
		key.before = parts[len(parts)-2]
	} else if i := strings.LastIndex(key.last, separator); i >= 0 {
		key.before, key.last = key.last[:i], key.last[i+len(separator):]
	}
	return key
}
