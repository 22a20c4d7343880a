package store

import (
	"iter"
	"time"
)

// Presence is what the hub knows of a spoke's stream. It is in memory only.
type Presence struct {
	ClusterUID string
	// State is one of the yardarmv1.Presence constants.
	State string
	// Since is when the state began, by the hub's clock.
	Since time.Time
	// LastSeen is the time of the last message, by the hub's clock.
	LastSeen time.Time
	// Confirmed: the observed state that the hub holds is what the spoke observes now.
	Confirmed bool
	// Session names the stream; empty without one.
	Session string
}

var presences = inMemory(Presences, func(p *Presence) string { return p.ClusterUID }).
	in(ofFirstDigits, func(p *Presence) ends { return ends{last: p.ClusterUID} })

// Presence returns the presence of a cluster, or nil where none has been noted since the hub's start.
func (tx *ReadTx) Presence(clusterUID string) *Presence { return presences.get(tx, clusterUID) }

// Presences yields all presences by cluster uid.
func (tx *ReadTx) Presences() iter.Seq[*Presence] { return presences.scan(tx, idIndex, "") }

// PutPresence inserts or replaces a presence. That of a cluster that does not exist is dropped.
func (tx *Tx) PutPresence(p *Presence) error {
	if tx.Cluster(p.ClusterUID) == nil {
		return tx.err
	}
	_, err := presences.put(tx, p)
	return err
}
