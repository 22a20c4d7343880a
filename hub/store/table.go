package store

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	memdb "github.com/hashicorp/go-memdb"
	"google.golang.org/protobuf/proto"
)

// Table names a table, in subscriptions and metrics.
type Table uint8

// The tables, and the form of their keys in [Changed]. The same keys are used on disk.
const (
	Clusters          Table = iota // uid
	Groups                         // name
	Bundles                        // uid
	Revisions                      // bundle uid/number, of 10 digits
	Artifacts                      // digest
	Identities                     // cluster uid
	Tokens                         // id
	Credentials                    // id
	Secrets                        // name
	Answers                        // digest of an identity/digest of a key
	Roles                          // name
	RoleBindings                   // name
	Gates                          // name
	DeletedBundles                 // bundle uid
	DeletedClusters                // cluster uid
	Acceptances                    // in Changed: cluster uid/bundle uid
	Reconciliations                // bundle uid, or bundle uid/cluster uid
	Rollouts                       // bundle uid
	RolloutMembers                 // bundle uid/chunk, of 10 digits
	Turns                          // bundle uid/cluster uid
	Notifications                  // name
	Strategies                     // name
	SourceCredentials              // name
	CredentialUses                 // id
	Tolds                          // notification uid/subject
	Observed                       // cluster uid
	ObservedBundles                // cluster uid/bundle uid
	Events                         // sequence, of 20 digits
	Presences                      // cluster uid
	Sources                        // bundle uid
	Members                        // in Changed: the uid of each cluster whose groups have changed, or the bundles that target one of them
	meta                           // the row about the database itself; not to be subscribed to
	Assigned                       // only in Changed, without rows: cluster uid/bundle uid, where a rollout has the cluster run another revision
	tableCount
)

var tableNames = [tableCount]string{"clusters", "groups", "bundles", "revisions", "artifacts", "identities", "tokens", "credentials", "secrets", "answers",
	"roles", "role_bindings", "gates", "deleted_bundles", "deleted_clusters", "acceptances", "reconciliations", "rollouts", "rollout_members", "turns", "notifications", "strategies", "source_credentials", "credential_uses", "told", "observed", "observed_bundles", "events", "presences", "sources", "members", "meta", "assigned"}

// String returns the table's name in metrics, on disk and in errors.
func (t Table) String() string { return tableNames[t] }

// durability says when a table's rows are on disk.
type durability uint8

const (
	hard   durability = iota // before they are visible
	soft                     // some time after
	memory                   // never
)

// separator joins the parts of a key. Uids, names, ids and digests do not contain it.
const separator = "/"

// idIndex is the primary index in go-memdb, which prescribes its name.
const idIndex = "id"

// table is the description of one table: how its rows are keyed, found and encoded. It is immutable.
type table[R any] struct {
	id         Table
	durability durability
	key        func(*R) string
	orders     []*order[R]     // by key, and by each index
	changed    func(*R) string // the key in Changed, where it is not that of the row
	encode     func(*R) ([]byte, error)
	// reader makes what decodes rows, for one goroutine. It keeps nothing of the bytes.
	reader func() func([]byte) (*R, error)
}

// index finds rows by values of theirs.
type index[R any] struct {
	name   string
	unique bool // the store's typed functions see to it
	values func(*R) []string
	leaves leaves[R]
}

// by makes an index by values that rows may share. Those that do are ordered by their keys.
func by[R any](name string, values func(*R) []string) index[R] {
	return index[R]{name: name, values: values}
}

// uniqueBy makes an index by values of which each is one row's.
func uniqueBy[R any](name string, value func(*R) string) index[R] {
	return index[R]{name: name, unique: true, values: func(row *R) []string { return []string{value(row)} }}
}

// in has several rows be in one leaf: keys are a row's value, of which there is one, and what orders rows that share it.
func (i index[R]) in(cut func([]byte) int, keys func(*R) ends) index[R] {
	i.leaves = leaves[R]{cut, keys}
	return i
}

// anyTable is a table without the type of its rows: what transactions, the log and the loader need of it.
type anyTable interface {
	table() Table
	kept() durability
	schemas() []*memdb.TableSchema
	encodeRow(row any) ([]byte, error)
	// decoder makes what decodes rows, for one goroutine, and tells their keys. It keeps nothing of the bytes.
	decoder() func(value []byte) (row any, key string, err error)
	// filler makes what adds rows to the table while it is empty, and what has them be there.
	filler(txn *memdb.Txn) (add func(row any) error, end func() error)
	// replaceRow undoes and redoes; either row may be nil.
	replaceRow(tx *Tx, old, new any) error
	changedKey(row any) string
	// rowOf returns the row with the key, or nil.
	rowOf(tx *ReadTx, key string) any
	// keys returns the keys of all rows, ascending.
	keys(tx *ReadTx) []string
}

// message is a pointer to a protobuf message R.
type message[R any] interface {
	*R
	proto.Message
}

// durable describes a table whose rows are protobuf messages.
func durable[R any, M message[R]](id Table, d durability, key func(*R) string, indexes ...index[R]) *table[R] {
	t := inMemory(id, key, indexes...)
	t.durability = d
	t.encode = func(row *R) ([]byte, error) { return proto.Marshal(M(row)) }
	t.reader = func() func([]byte) (*R, error) {
		return func(value []byte) (*R, error) {
			row := new(R)
			return row, proto.Unmarshal(value, M(row))
		}
	}
	return t
}

// inMemory describes a table whose rows are never on disk.
func inMemory[R any](id Table, key func(*R) string, indexes ...index[R]) *table[R] {
	t := &table[R]{id: id, durability: memory, key: key}
	t.orders = []*order[R]{{index: idIndex, name: id.String(), places: func(row *R, fn func(...string)) { fn(key(row)) }}}
	for _, i := range indexes {
		last := key // orders rows that share a value, and tells them apart
		if i.leaves.ends != nil {
			last = func(row *R) string { return i.leaves.ends(row).last }
		}
		t.orders = append(t.orders, &order[R]{index: i.name, name: id.String() + " by " + i.name, leaves: i.leaves, places: func(row *R, fn func(...string)) {
			for _, value := range i.values(row) {
				if i.unique {
					fn(value)
				} else {
					fn(value, last(row))
				}
			}
		}})
	}
	return t
}

// in has several rows be in one leaf.
func (t *table[R]) in(cut func([]byte) int, keys func(*R) ends) *table[R] {
	t.orders[0].leaves = leaves[R]{cut, keys}
	return t
}

// order returns the one by an index, which there has to be.
func (t *table[R]) order(index string) *order[R] {
	return t.orders[slices.IndexFunc(t.orders, func(o *order[R]) bool { return o.index == index })]
}

func (t *table[R]) table() Table     { return t.id }
func (t *table[R]) kept() durability { return t.durability }

func (t *table[R]) changedKey(row any) string {
	if t.changed != nil {
		return t.changed(row.(*R))
	}
	return t.key(row.(*R))
}

func (t *table[R]) encodeRow(row any) ([]byte, error) { return t.encode(row.(*R)) }

func (t *table[R]) decoder() func([]byte) (any, string, error) {
	read := t.reader()
	return func(value []byte) (any, string, error) {
		row, err := read(value)
		if err != nil {
			return nil, "", err
		}
		return row, t.key(row), nil
	}
}

func (t *table[R]) schemas() []*memdb.TableSchema {
	var all []*memdb.TableSchema
	for _, o := range t.orders {
		all = append(all, o.schema())
	}
	return all
}

func (t *table[R]) filler(txn *memdb.Txn) (add func(any) error, end func() error) {
	var fillers []*filler[R]
	for _, o := range t.orders {
		fillers = append(fillers, &filler[R]{o, txn, map[string]*leaf[R]{}})
	}
	return func(row any) error {
			for _, f := range fillers {
				if err := f.add(row.(*R)); err != nil {
					return err
				}
			}
			return nil
		}, func() error {
			for _, f := range fillers {
				if err := f.end(); err != nil {
					return err
				}
			}
			return nil
		}
}

func (t *table[R]) rowOf(tx *ReadTx, key string) any { return anyRow(t.get(tx, key)) }

func (t *table[R]) keys(tx *ReadTx) []string {
	var keys []string
	for row := range t.scan(tx, idIndex, "") {
		keys = append(keys, t.key(row))
	}
	return keys
}

// get returns the row whose key has the parts, or nil.
func (t *table[R]) get(tx *ReadTx, parts ...string) *R {
	if tx.empty(t.id) {
		return nil
	}
	return t.orders[0].get(tx, parts...)
}

// first returns the row with the value in a unique index, or nil.
func (t *table[R]) first(tx *ReadTx, index, value string) *R {
	if tx.empty(t.id) {
		return nil
	}
	return t.order(index).get(tx, value)
}

// scan yields the rows whose value in the index has the prefix, ascending. Where leaves have several rows, the prefix ends with a part.
func (t *table[R]) scan(tx *ReadTx, index, prefix string) iter.Seq[*R] {
	return t.seq(tx, index, prefix, (*memdb.Txn).Get)
}

// scanBack yields the rows whose key has the prefix, descending, in a table with a leaf for each row: those of one leaf would ascend.
func (t *table[R]) scanBack(tx *ReadTx, prefix string) iter.Seq[*R] {
	if t.orders[0].leaves.cut != nil {
		panic(fmt.Sprintf("store: %s has leaves of several rows", t.id))
	}
	return t.seq(tx, idIndex, prefix, (*memdb.Txn).GetReverse)
}

// from yields the rows whose value in the index is at least low, ascending. Where leaves have several rows, low is a whole key: all its
// parts, and all its digits.
func (t *table[R]) from(tx *ReadTx, index, low string) iter.Seq[*R] {
	if tx.empty(t.id) {
		return func(func(*R) bool) {}
	}
	return t.order(index).from(tx, low)
}

func (t *table[R]) seq(tx *ReadTx, index, key string, seek seeker) iter.Seq[*R] {
	if tx.empty(t.id) {
		return func(func(*R) bool) {}
	}
	return t.order(index).seq(tx, key, seek)
}

// put inserts or replaces a row, and returns the one that it replaces.
func (t *table[R]) put(tx *Tx, row *R) (old *R, err error) {
	if err := tx.allow(t); err != nil {
		return nil, err
	}
	key := t.key(row)
	if err := validKey(key); err != nil {
		return nil, tx.fail(fmt.Errorf("put %s: %w", t.id, err))
	}
	old = t.get(&tx.ReadTx, key)
	if err := t.replace(tx, old, row); err != nil {
		return nil, tx.fail(fmt.Errorf("put %s %s: %w", t.id, key, err))
	}
	tx.record(change{table: t, key: key, old: anyRow(old), new: row})
	return old, nil
}

// remove deletes a row, if there is one, and returns it.
func (t *table[R]) remove(tx *Tx, key string) (old *R, err error) {
	if err := tx.allow(t); err != nil {
		return nil, err
	}
	if old = t.get(&tx.ReadTx, key); old == nil {
		return nil, nil
	}
	if err := t.replace(tx, old, nil); err != nil {
		return nil, tx.fail(fmt.Errorf("delete %s %s: %w", t.id, key, err))
	}
	tx.record(change{table: t, key: key, old: old})
	return old, nil
}

// replace has new be where old was, in all orders; either may be nil.
func (t *table[R]) replace(tx *Tx, old, new *R) error {
	for _, o := range t.orders {
		if err := o.replace(tx, old, new); err != nil {
			return err
		}
	}
	return nil
}

func (t *table[R]) replaceRow(tx *Tx, old, new any) error {
	was, _ := old.(*R)
	is, _ := new.(*R)
	return t.replace(tx, was, is)
}

// removeAll deletes the rows whose key has the prefix.
func (t *table[R]) removeAll(tx *Tx, prefix string) error {
	for row := range t.scan(&tx.ReadTx, idIndex, prefix) {
		if _, err := t.remove(tx, t.key(row)); err != nil {
			return err
		}
	}
	return nil
}

// anyRow keeps a nil pointer from becoming an interface that is not nil.
func anyRow[R any](row *R) any {
	if row == nil {
		return nil
	}
	return row
}

// join makes a key of parts.
func join(parts ...string) string { return strings.Join(parts, separator) }

// digits is a number in a key: with as many digits as the largest, so that keys are in the order of numbers.
func digits(n uint32) string { return inDigits(uint64(n), 10) }

func inDigits(n uint64, width int) string {
	var d [20]byte
	for i := width - 1; i >= 0; i-- {
		d[i], n = '0'+byte(n%10), n/10
	}
	return string(d[:width])
}

// validKey refuses keys with an empty part: a row without its uid or name would overwrite others like it.
func validKey(key string) error {
	if key == "" || strings.HasPrefix(key, separator) || strings.HasSuffix(key, separator) || strings.Contains(key, separator+separator) {
		return fmt.Errorf("key %q has an empty part", key)
	}
	return nil
}
