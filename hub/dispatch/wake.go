package dispatch

import (
	"context"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// watched are the tables that assignments follow from.
var watched = []store.Table{store.Clusters, store.Members, store.Bundles, store.Acceptances, store.Reconciliations}

// wake pokes the sessions that a change of the store concerns, and only those: a cluster's own row, what its groups bring
// it, a bundle that it runs, a decision about what it holds, a request to reconcile. What the change is they find out
// themselves. A session whose cluster is no longer welcome is ended here, since it may be stuck in a write to a spoke that
// does not read.
func (s *Server) wake(ctx context.Context) error {
	sub := s.Store.Subscribe(watched...)
	defer sub.Close()
	// What changed before the subscription was nobody's to tell.
	s.alert(s.Store.Read(), s.sessions.uids())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sub.C():
		}
		changed := sub.Take()
		tx := s.Store.Read()
		s.alert(tx, concerned(tx, changed, s.sessions.uids))
	}
}

func (s *Server) alert(tx *store.ReadTx, uids map[string]struct{}) {
	for uid := range uids {
		if ses := s.sessions.of(uid); ses != nil {
			if err := s.CA.AuthorizeCluster(tx, uid); err != nil {
				ses.end(authError(err))
			}
			ses.poke()
		}
	}
}

// concerned answers the uids of the clusters that a change may concern; all, where too many rows have changed to tell.
func concerned(tx *store.ReadTx, changed store.Changed, all func() map[string]struct{}) map[string]struct{} {
	for _, t := range watched {
		if changed.All(t) {
			return all()
		}
	}
	uids := map[string]struct{}{}
	for uid := range changed.Keys(store.Clusters) {
		uids[uid] = struct{}{}
	}
	for uid := range changed.Keys(store.Members) {
		uids[uid] = struct{}{}
	}
	for key := range changed.Keys(store.Acceptances) {
		uid, _, _ := strings.Cut(key, "/")
		uids[uid] = struct{}{}
	}
	for key := range changed.Keys(store.Reconciliations) {
		bundle, cluster, one := strings.Cut(key, "/")
		if one {
			uids[cluster] = struct{}{}
			continue
		}
		for c := range tx.ClustersOf(bundle) {
			uids[c.Metadata.Uid] = struct{}{}
		}
	}
	for uid := range changed.Keys(store.Bundles) {
		for c := range tx.ClustersOf(uid) {
			uids[c.Metadata.Uid] = struct{}{}
		}
		// Clusters that hold the bundle though it does not target them: what keeps it there may have just ended.
		for o := range tx.ObservedOfBundle(uid) {
			uids[o.ClusterUid] = struct{}{}
		}
	}
	return uids
}

// withinBoundary tells whether the cluster's labels let it into some group that the bundle targets, whatever its facts. A
// group that is not there, or that this hub cannot read, bounds nothing: what was given by it is not taken for its lack.
func withinBoundary(tx *store.ReadTx, cluster *yardarmv1.Cluster, bundle *yardarmv1.Bundle) bool {
	for _, t := range bundle.GetSpec().GetTargets() {
		group := tx.Group(t.Group)
		if group == nil {
			return true
		}
		// Compiled anew: this is asked only where a spoke holds what it should not.
		if m, violations := placement.Compile(group); len(violations) > 0 ||
			m.Match(cluster.Metadata.Name, cluster.Metadata.Labels, tx.Observed(cluster.Metadata.Uid).GetFacts()).Within {
			return true
		}
	}
	return false
}
