package store

import (
	"iter"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var gates = durable(Gates, hard, func(g *yardarmv1.Gate) string { return g.GetMetadata().GetName() })

// Gate returns the gate with the name, or nil.
func (tx *ReadTx) Gate(name string) *yardarmv1.Gate { return gates.get(tx, name) }

// Gates yields all gates by name.
func (tx *ReadTx) Gates() iter.Seq[*yardarmv1.Gate] { return gates.scan(tx, idIndex, "") }

// PutGate inserts or replaces a gate and sets its resource version.
func (tx *Tx) PutGate(g *yardarmv1.Gate) error {
	if err := tx.stamp(g.GetMetadata()); err != nil {
		return err
	}
	_, err := gates.put(tx, g)
	return err
}

// DeleteGate deletes a gate, if there is one with the name.
func (tx *Tx) DeleteGate(name string) error {
	_, err := gates.remove(tx, name)
	return err
}
