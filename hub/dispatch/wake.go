package dispatch

import (
	"context"
	"iter"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// watched are the tables that assignments follow from.
var watched = []store.Table{store.Clusters, store.Members, store.Bundles, store.Acceptances, store.Reconciliations, store.Assigned}

// wake pokes the sessions that a change of the store concerns, and only those: a cluster's own row, what its groups bring
// it, a bundle that it runs, how far a rollout is there, a decision about what it holds, a request to reconcile. What the change is they find out
// themselves. A session whose cluster is no longer welcome is ended here, since it may be stuck in a write to a spoke that
// does not read.
func (s *Server) wake(ctx context.Context) error {
	sub := s.Store.Subscribe(watched...)
	defer sub.Close()
	// What changed before the subscription was nobody's to tell.
	s.alert(s.Store.Read(), wholly(s.sessions.uids()))
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

func (s *Server) alert(tx *store.ReadTx, concerned map[string]scope) {
	for uid, of := range concerned {
		if ses := s.sessions.of(uid); ses != nil {
			if err := s.CA.AuthorizeCluster(tx, uid); err != nil {
				ses.end(authError(err))
			}
			ses.pokeFor(of)
		}
	}
}

// concerned answers, by uid, the clusters that a change may concern, and what of them; all, where too many rows have changed
// to tell.
func concerned(tx *store.ReadTx, changed store.Changed, all func() map[string]struct{}) map[string]scope {
	clusters := map[string]scope{}
	note := func(uid string, of scope) {
		known := clusters[uid]
		known.add(of)
		clusters[uid] = known
	}
	for _, t := range watched {
		if changed.All(t) {
			return wholly(all())
		}
	}
	for uid := range changed.Keys(store.Clusters) {
		note(uid, everything)
	}
	for uid := range changed.Keys(store.Members) {
		note(uid, everything)
	}
	for _, t := range []store.Table{store.Acceptances, store.Assigned} {
		for key := range changed.Keys(t) {
			uid, bundle, _ := strings.Cut(key, "/")
			note(uid, scope{bundles: []string{bundle}})
		}
	}
	for key := range changed.Keys(store.Reconciliations) {
		bundle, cluster, one := strings.Cut(key, "/")
		of := scope{bundles: []string{bundle}}
		if one {
			note(cluster, of)
			continue
		}
		for uid := range targeted(tx, bundle) {
			note(uid, of)
		}
	}
	for bundle := range changed.Keys(store.Bundles) {
		of := scope{bundles: []string{bundle}}
		for uid := range targeted(tx, bundle) {
			note(uid, of)
		}
		// Clusters that hold the bundle though it does not target them: what keeps it there may have just ended.
		for o := range tx.ObservedOfBundle(bundle) {
			note(o.ClusterUid, of)
		}
	}
	return clusters
}

func wholly(uids map[string]struct{}) map[string]scope {
	clusters := make(map[string]scope, len(uids))
	for uid := range uids {
		clusters[uid] = everything
	}
	return clusters
}

// targeted yields the uids of the clusters that a bundle targets, some more than once.
func targeted(tx *store.ReadTx, bundleUID string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, t := range tx.Bundle(bundleUID).GetSpec().GetTargets() {
			for uid := range tx.Members(t.GetGroup()) {
				if !yield(uid) {
					return
				}
			}
		}
	}
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
