package store

import (
	"iter"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var strategies = durable(Strategies, hard, func(s *yardarmv1.Strategy) string { return s.GetMetadata().GetName() })

// Strategy returns the strategy with the name, or nil.
func (tx *ReadTx) Strategy(name string) *yardarmv1.Strategy { return strategies.get(tx, name) }

// Strategies yields all strategies by name.
func (tx *ReadTx) Strategies() iter.Seq[*yardarmv1.Strategy] { return strategies.scan(tx, idIndex, "") }

// PutStrategy inserts or replaces a strategy and sets its resource version.
func (tx *Tx) PutStrategy(s *yardarmv1.Strategy) error {
	if err := tx.stamp(s.GetMetadata()); err != nil {
		return err
	}
	_, err := strategies.put(tx, s)
	return err
}

// DeleteStrategy deletes a strategy, if there is one with the name.
func (tx *Tx) DeleteStrategy(name string) error {
	_, err := strategies.remove(tx, name)
	return err
}
