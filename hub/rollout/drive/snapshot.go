package drive

import (
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// snapshot is one of the store, of which a cluster's rows are looked for once: each of its bundles asks for the same, and each of its members several times.
type snapshot struct {
	*store.ReadTx
	known map[string]*about
}

// about is what is the same of a cluster whichever bundle it is asked for.
type about struct {
	cluster *yardarmv1.Cluster
	groups  []string
	// present: its spoke is connected, and what it reports is confirmed.
	present bool
}

func newSnapshot(tx *store.ReadTx) *snapshot { return &snapshot{tx, map[string]*about{}} }

func (s *snapshot) about(uid string) *about {
	a := s.known[uid]
	if a == nil {
		p := s.ReadTx.Presence(uid)
		a = &about{s.ReadTx.Cluster(uid), s.ReadTx.GroupsOf(uid), p != nil && p.State == yardarmv1.PresenceConnected && p.Confirmed}
		s.known[uid] = a
	}
	return a
}

// Cluster is that of the store.
func (s *snapshot) Cluster(uid string) *yardarmv1.Cluster { return s.about(uid).cluster }

// GroupsOf is that of the store. What it answers is everybody's.
func (s *snapshot) GroupsOf(uid string) []string { return s.about(uid).groups }
