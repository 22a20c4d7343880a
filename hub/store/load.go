package store

import (
	"fmt"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// load fills the tables from the log.
func (s *Store) load() error {
	meta, err := migrate(s.log, Format, migrations())
	if err != nil {
		return err
	}
	byName := map[string]anyTable{}
	for _, t := range tables() {
		if t.kept() != memory {
			byName[t.table().String()] = t
		}
	}
	txn := s.rows.Txn(true)
	defer txn.Abort() // does nothing after Commit
	err = s.log.Load(func(name, key string, value []byte) error {
		t := byName[name]
		if t == nil {
			return fmt.Errorf("unknown table")
		}
		row, rowKey, err := t.decodeRow(value)
		if err != nil {
			return err
		}
		if rowKey != key {
			return fmt.Errorf("the row belongs under key %q", rowKey)
		}
		s.state.rows[t.table()]++
		return t.insert(txn, row)
	})
	if err != nil {
		return err
	}

	s.state.index, s.state.eventSequence = meta.Index, meta.EventSequence+eventGapStart
	tx := &Tx{ReadTx: ReadTx{txn: txn, index: meta.Index}, state: &s.state}
	for group := range tx.Groups() {
		if err := tx.placeGroup(group); err != nil {
			return err
		}
	}
	s.base = meta
	row := s.metaNow()
	if err := s.log.Append(&Batch{Meta: row}); err != nil {
		return err
	}
	s.publish(txn, row)
	return nil
}

// Format is the format that this package writes. It is raised with each change that an older hub would misread, and each raise comes with a migration.
const Format = 1

// migration turns the rows of one format into those of the next: it returns what is to be written.
type migration func(log Log) ([]Op, error)

// migrations lists the steps: the first one leads from format 1 to 2.
func migrations() []migration { return nil }

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
