package dispatch

import (
	"context"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// wake pokes the sessions that a change of the store concerns, and only those: a cluster's own row, what its groups bring
// it, a bundle that it runs, a decision about what it holds. What the change is they find out themselves.
func (s *Server) wake(ctx context.Context) error {
	sub := s.Store.Subscribe(store.Clusters, store.Members, store.Bundles, store.Acceptances)
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sub.C():
		}
		changed := sub.Take()
		if changed.All {
			s.sessions.pokeAll()
			continue
		}
		s.sessions.poke(concerned(s.Store.Read(), changed))
	}
}

// concerned answers the uids of the clusters that a change may concern.
func concerned(tx *store.ReadTx, changed store.Changed) map[string]struct{} {
	uids := map[string]struct{}{}
	for uid := range changed.Keys[store.Clusters] {
		uids[uid] = struct{}{}
	}
	for uid := range changed.Keys[store.Members] {
		uids[uid] = struct{}{}
	}
	for key := range changed.Keys[store.Acceptances] {
		uid, _, _ := strings.Cut(key, "/")
		uids[uid] = struct{}{}
	}
	for uid := range changed.Keys[store.Bundles] {
		for c := range tx.ClustersOf(uid) {
			uids[c.Metadata.Uid] = struct{}{}
		}
	}
	return uids
}

// withinBoundary tells whether the cluster's labels let it into some group that the bundle targets, whatever its facts.
func withinBoundary(tx *store.ReadTx, cluster *yardarmv1.Cluster, bundle *yardarmv1.Bundle) bool {
	for _, t := range bundle.GetSpec().GetTargets() {
		group := tx.Group(t.Group)
		if group == nil {
			continue
		}
		// Compiled anew: this is asked only where a spoke holds what it should not.
		if m, violations := placement.Compile(group); len(violations) == 0 &&
			m.Match(cluster.Metadata.Name, cluster.Metadata.Labels, tx.Observed(cluster.Metadata.Uid).GetFacts()).Within {
			return true
		}
	}
	return false
}
