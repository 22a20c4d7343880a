package index

import (
	"iter"
	"maps"
	"slices"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Gates yields all gates, in no particular order. Their entries are their rows.
func (s *State) Gates() iter.Seq[*yardarmv1.Gate] { return maps.Values(s.gates) }

// GatesSince is as ClustersSince.
func (s *State) GatesSince(seq uint64, keep func(*yardarmv1.Gate) bool) (changes []Change[yardarmv1.Gate], ok bool) {
	return s.gateLog.since(seq, gateName, keep)
}

func gateName(g *yardarmv1.Gate) string { return g.GetMetadata().GetName() }

// gateRows takes in the gates whose rows have changed.
func (st *step) gateRows(changed store.Changed, all bool) {
	names := slices.Collect(changed.Keys(store.Gates))
	if all || changed.All(store.Gates) {
		names = slices.Collect(maps.Keys(st.gates))
		for g := range st.Tx.Gates() {
			names = append(names, gateName(g))
		}
	}
	for _, name := range names {
		old, row := st.gates[name], st.Tx.Gate(name)
		switch {
		case old == row:
			continue
		case row == nil:
			delete(st.gates, name)
		default:
			st.gates[name] = row
		}
		st.Seq++
		st.gateLog.add(st.Seq, Change[yardarmv1.Gate]{old, row})
	}
}
