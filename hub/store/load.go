package store

import (
	"errors"
	"fmt"

	memdb "github.com/hashicorp/go-memdb"
	"golang.org/x/sync/errgroup"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// load fills the tables from the log.
func (s *Store) load() error {
	found, err := s.log.Meta()
	if err != nil {
		return err
	}
	if err := s.beginAudit(found); err != nil {
		return err
	}
	meta, err := migrate(s.log, Format, migrations())
	if err != nil {
		return err
	}
	if s.rows, s.state.rows, err = readRows(s.log.Load); err != nil {
		return err
	}
	txn := s.rows.Txn(true)
	defer txn.Abort() // does nothing after Commit
	s.state.index, s.state.eventSequence = meta.Index, meta.EventSequence+eventGap
	if err := s.loadAudit(meta); err != nil {
		return err
	}
	tx := &Tx{ReadTx: ReadTx{txn, newBatch(s.rows), meta.Index, &s.state.rows}, state: &s.state}
	for group := range tx.Groups() {
		if err := tx.placeGroup(group); err != nil {
			return err
		}
	}
	s.base = meta
	row := s.metaNow()
	// A hub must be able to start on a full disk: it is needed all the more then.
	if err := s.append(&Batch{Meta: row, Head: s.auditHead()}); err != nil && !errors.Is(err, ErrReadOnly) {
		return err
	}
	s.publish(txn, row)
	s.beginHistory()
	return nil
}

// beginAudit writes the first head of the audit log, for a new database, and for one of before there were logs just before it is migrated. There is no other time: what
// has lost its log is refused, since to begin another would hide it.
func (s *Store) beginAudit(m *storev1.Meta) error {
	if s.audit == nil || m.Format >= auditFormat && m.Index > 0 {
		return nil
	}
	head, err := s.log.AuditHead()
	if err != nil || head != nil {
		return err
	}
	return s.append(&Batch{Meta: m, Head: s.audit.head(auditState{first: 1}, m.Index)})
}

// loadAudit finds the end of the audit log.
func (s *Store) loadAudit(m *storev1.Meta) error {
	head, err := s.log.AuditHead()
	if err != nil || s.audit == nil {
		return err
	}
	if err := s.audit.checkHead(head, m); err != nil {
		return fmt.Errorf("%w; `yardarm-hub audit verify` tells more, and a backup can be restored", err)
	}
	s.state.audit = auditState{first: head.First, last: head.Last, seal: head.Seal}
	return nil
}

// loadBatch is how many rows are handed on at once while they are loaded: enough that a batch takes longer than handing it on, and few beside all.
const loadBatch = 512

// loaded is a row that has been decoded.
type loaded struct {
	add func(row any) error
	row any
}

// readRows reads all rows that load yields into memory, and counts them by table.
func readRows(load func(row func(table, key string, value []byte) error) error) (*memdb.MemDB, [tableCount]int, error) {
	var counts [tableCount]int
	rows, err := memdb.NewMemDB(schema())
	if err != nil {
		return nil, counts, err
	}
	txn := rows.Txn(true)
	defer txn.Abort() // does nothing after Commit
	type reader struct {
		table  Table
		decode func([]byte) (any, string, error)
		add    func(row any) error
	}
	byName := map[string]reader{}
	var ends []func() error
	for _, t := range tables() {
		if t.kept() != memory {
			add, end := t.filler(txn)
			byName[t.table().String()] = reader{t.table(), t.decoder(), add}
			ends = append(ends, end)
		}
	}
	// Rows are decoded beside what those before them go through until they are in the tables: a hub starts a quarter faster, on two cores.
	decoded := make(chan []loaded, 1)
	var inserting errgroup.Group
	inserting.Go(func() (err error) {
		for batch := range decoded {
			for i := 0; i < len(batch) && err == nil; i++ {
				err = batch[i].add(batch[i].row)
			}
		}
		for i := 0; i < len(ends) && err == nil; i++ {
			err = ends[i]()
		}
		return err
	})
	var batch []loaded
	err = load(func(name, key string, value []byte) error {
		r, known := byName[name]
		if !known {
			return errors.New("unknown table")
		}
		row, rowKey, err := r.decode(value)
		if err != nil {
			return err
		}
		if rowKey != key {
			return fmt.Errorf("the row belongs under key %q", rowKey)
		}
		counts[r.table]++
		if batch = append(batch, loaded{r.add, row}); len(batch) == loadBatch {
			decoded <- batch
			batch = make([]loaded, 0, loadBatch)
		}
		return nil
	})
	decoded <- batch
	close(decoded)
	if err := errors.Join(err, inserting.Wait()); err != nil {
		return nil, counts, err
	}
	txn.Commit()
	// A snapshot can be written to like the original, but has no watches, which cost a channel for each node that changes; subscriptions do not need them.
	return rows.Snapshot(), counts, nil
}

// Format is the format that this package writes. It is raised with each change that an older hub would misread, and each raise comes with a migration.
const Format = 16

// migration turns the rows of one format into those of the next: it returns what is to be written.
type migration func(log Log) ([]Op, error)

// migrations lists the steps: the first one leads from format 1 to 2.
func migrations() []migration {
	return []migration{
		// Format 2 has reconciliations. An older hub would also overlook customizations, and hand out what they are to change as it is.
		addTable(Reconciliations),
		// Format 3 has roles and their bindings. An older hub would let every credential do everything.
		addTable(Roles, RoleBindings, CredentialUses),
		// Format 4 has rollouts. A bundle without one is as it was: all of its clusters are to run the revision in its status. An older hub would
		// have every cluster run that, whatever its rollout says.
		addTable(Rollouts, RolloutMembers),
		// Format 5 has an audit log. An older hub would change what it does not write down.
		func(Log) ([]Op, error) { return []Op{{Table: auditTable, Key: "none"}}, nil },
		// Format 6 has answers. An older hub would do again what was done.
		addTable(Answers),
		// Format 7 has gates. An older hub would have rollouts pass them.
		addTable(Gates),
		// Format 8 has a history. An older hub would take it for damage.
		func(Log) ([]Op, error) { return []Op{{Table: historyTable, Key: "none"}}, nil },
		// Format 9 has notifications. An older hub would tell nobody of what happens.
		addTable(Notifications, Tolds),
		// Format 10 has strategies, and rollouts that wait for a confirmation. An older hub would begin both by the default.
		addTable(Strategies),
		// Format 11 has source credentials. An older hub would lose the sources that need them.
		addTable(SourceCredentials),
		// Format 12 has turns. An older hub would give clusters at once what they are to wait for. Without one, a cluster is in already.
		addTable(Turns),
		// Format 13 has scopes of source credentials. An older hub would show them to every bundle's source.
		scopeCredentials,
		// Format 14 has revisions of several artifacts. An older hub would give the first one to all clusters.
		func(Log) ([]Op, error) { return nil, nil },
		// Format 15 has patches that are for some clusters only. An older hub would hand them out to all.
		func(Log) ([]Op, error) { return nil, nil },
		// Format 16 has a write-ahead log. An older hub would overlook what is in it.
		func(Log) ([]Op, error) { return nil, nil },
	}
}

// addTable makes empty tables: writing to a table makes it, and deleting a row that is not there writes nothing else.
func addTable(tables ...Table) migration {
	return func(Log) (ops []Op, err error) {
		for _, t := range tables {
			ops = append(ops, Op{Table: t.String(), Key: "none"})
		}
		return ops, nil
	}
}

// migrate brings a log up to a format. Each step is one commit, so that a crash leaves a format that can be read.
func migrate(log Log, format uint32, steps []migration) (*storev1.Meta, error) {
	meta, err := log.Meta()
	if err != nil {
		return nil, err
	}
	for meta.Format < format {
		ops, err := steps[meta.Format-1](log)
		if err != nil {
			return nil, fmt.Errorf("migrate from format %d: %w", meta.Format, err)
		}
		meta.Format++
		if err := log.Append(&Batch{Meta: meta, Ops: ops}); err != nil {
			return nil, fmt.Errorf("migrate to format %d: %w", meta.Format, err)
		}
	}
	return meta, nil
}
