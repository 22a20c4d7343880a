package store

import (
	"fmt"
	"iter"
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

// table is the description of one table: how its rows are keyed, indexed and encoded. It is immutable.
type table[R any] struct {
	id         Table
	durability durability
	key        func(*R) string
	indexes    []index[R]
	changed    func(*R) string // the key in Changed, where it is not that of the row
	encode     func(*R) ([]byte, error)
	// reader makes what decodes rows, for one goroutine. It keeps nothing of the bytes.
	reader func() func([]byte) (*R, error)
}

// index is a secondary index. Rows that share a value are ordered by their keys.
type index[R any] struct {
	name   string
	unique bool // the store's typed functions see to it; go-memdb does not
	values func(*R) []string
}

// anyTable is a table without the type of its rows: what transactions, the log and the loader need of it.
type anyTable interface {
	table() Table
	kept() durability
	schema() *memdb.TableSchema
	encodeRow(row any) ([]byte, error)
	// decoder makes what decodes rows, for one goroutine, and tells their keys. It keeps nothing of the bytes.
	decoder() func(value []byte) (row any, key string, err error)
	keyOf(row any) string
	changedKey(row any) string
	// places calls fn with each index that finds one row, and the value by which it finds this one.
	places(row any, fn func(index, value string))
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
	return &table[R]{
		id: id, durability: d, key: key, indexes: indexes,
		encode: func(row *R) ([]byte, error) { return proto.Marshal(M(row)) },
		reader: func() func([]byte) (*R, error) {
			return func(value []byte) (*R, error) {
				row := new(R)
				return row, proto.Unmarshal(value, M(row))
			}
		},
	}
}

func (t *table[R]) table() Table         { return t.id }
func (t *table[R]) kept() durability     { return t.durability }
func (t *table[R]) keyOf(row any) string { return t.key(row.(*R)) }

func (t *table[R]) changedKey(row any) string {
	if t.changed != nil {
		return t.changed(row.(*R))
	}
	return t.key(row.(*R))
}

func (t *table[R]) places(row any, fn func(index, value string)) {
	fn(idIndex, t.key(row.(*R)))
	for _, i := range t.indexes {
		if !i.unique {
			continue
		}
		for _, value := range i.values(row.(*R)) {
			fn(i.name, value)
		}
	}
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

func (t *table[R]) schema() *memdb.TableSchema {
	s := &memdb.TableSchema{Name: t.id.String(), Indexes: map[string]*memdb.IndexSchema{
		idIndex: {Name: idIndex, Unique: true, Indexer: keyIndexer[R]{t.key}},
	}}
	for _, i := range t.indexes {
		s.Indexes[i.name] = &memdb.IndexSchema{Name: i.name, Unique: i.unique, AllowMissing: true, Indexer: valuesIndexer[R]{i}}
	}
	return s
}

func (t *table[R]) rowOf(tx *ReadTx, key string) any { return anyRow(t.get(tx, key)) }

func (t *table[R]) keys(tx *ReadTx) []string {
	var keys []string
	for row := range t.scan(tx, idIndex, "") {
		keys = append(keys, t.key(row))
	}
	return keys
}

// get returns the row with the key, or nil.
func (t *table[R]) get(tx *ReadTx, key string) *R { return t.first(tx, idIndex, key) }

// first returns the row with the value in a unique index, or nil.
func (t *table[R]) first(tx *ReadTx, index, value string) *R {
	if tx.empty(t.id) {
		return nil
	}
	txn := tx.txn
	if tx.batch != nil {
		if row, known := tx.batch.rows[place{t.id, index, value}]; row != nil {
			return row.(*R)
		} else if known {
			return nil
		}
		txn = tx.batch.base
	}
	raw, err := txn.First(t.id.String(), index, value)
	if err != nil {
		panic(fmt.Sprintf("store: read %s: %v", t.id, err)) // the schema is wrong
	}
	if raw == nil {
		return nil
	}
	return raw.(*R)
}

// scan yields the rows whose value in the index has the prefix, ascending.
func (t *table[R]) scan(tx *ReadTx, index, prefix string) iter.Seq[*R] {
	return t.seq(tx, func() (memdb.ResultIterator, error) { return tx.txn.Get(t.id.String(), index, prefix) })
}

// scanBack yields the rows whose key has the prefix, descending.
func (t *table[R]) scanBack(tx *ReadTx, prefix string) iter.Seq[*R] {
	return t.seq(tx, func() (memdb.ResultIterator, error) { return tx.txn.GetReverse(t.id.String(), idIndex, prefix) })
}

// from yields the rows whose value in the index is at least low, ascending.
func (t *table[R]) from(tx *ReadTx, index, low string) iter.Seq[*R] {
	return t.seq(tx, func() (memdb.ResultIterator, error) { return tx.txn.LowerBound(t.id.String(), index, low) })
}

func (t *table[R]) seq(tx *ReadTx, open func() (memdb.ResultIterator, error)) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		if tx.empty(t.id) {
			return
		}
		it, err := open()
		if err != nil {
			panic(fmt.Sprintf("store: read %s: %v", t.id, err)) // the schema is wrong
		}
		for raw := it.Next(); raw != nil; raw = it.Next() {
			if !yield(raw.(*R)) {
				return
			}
		}
	}
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
	if err := tx.txn.Insert(t.id.String(), row); err != nil {
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
	if err := tx.txn.Delete(t.id.String(), old); err != nil {
		return nil, tx.fail(fmt.Errorf("delete %s %s: %w", t.id, key, err))
	}
	tx.record(change{table: t, key: key, old: old})
	return old, nil
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

// validKey refuses keys with an empty part: a row without its uid or name would overwrite others like it.
func validKey(key string) error {
	if key == "" || strings.HasPrefix(key, separator) || strings.HasSuffix(key, separator) || strings.Contains(key, separator+separator) {
		return fmt.Errorf("key %q has an empty part", key)
	}
	return nil
}

// keyIndexer gives go-memdb a row's key.
type keyIndexer[R any] struct{ key func(*R) string }

func (i keyIndexer[R]) FromObject(raw any) (bool, []byte, error) {
	return true, []byte(i.key(raw.(*R))), nil
}

func (i keyIndexer[R]) FromArgs(args ...any) ([]byte, error) { return fromArgs(args) }

// valuesIndexer gives go-memdb a row's values in a secondary index. go-memdb appends the key to values of indexes that are not unique; a separator
// in between lets one value be sought without finding longer ones.
type valuesIndexer[R any] struct{ index index[R] }

func (i valuesIndexer[R]) FromObject(raw any) (bool, [][]byte, error) {
	values := i.index.values(raw.(*R))
	out := make([][]byte, len(values))
	for n, v := range values {
		out[n] = []byte(v)
		if !i.index.unique {
			out[n] = append(out[n], separator...)
		}
	}
	return len(out) > 0, out, nil
}

func (i valuesIndexer[R]) FromArgs(args ...any) ([]byte, error) { return fromArgs(args) }

func fromArgs(args []any) ([]byte, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("want one argument, not %d", len(args))
	}
	s, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("want a string, not %T", args[0])
	}
	return []byte(s), nil
}
