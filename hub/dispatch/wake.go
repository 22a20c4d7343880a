package dispatch

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// watched are the tables that assignments follow from.
var watched = slices.Concat(
	[]store.Table{store.Clusters, store.Members, store.Bundles, store.Acceptances, store.Reconciliations, store.Assigned}, assigning)

// assigning are the tables in which it says what Assigned is told of. Their keys begin with the bundle, and are few where those of Assigned are many.
var assigning = []store.Table{store.Rollouts, store.RolloutMembers, store.Turns}

// wake pokes the sessions that a change of the store concerns, and only those: a cluster's own row, what its groups bring
// it, a bundle that it runs, how far a rollout is there, a decision about what it holds, a request to reconcile. What the change is they find out
// themselves. A session whose cluster is no longer welcome is ended here, since it may be stuck in a write to a spoke that
// does not read.
func (s *Server) wake(ctx context.Context) error {
	sub := s.Store.Subscribe(watched...)
	defer sub.Close()
	// What changed before the subscription was nobody's to tell.
	tx := s.Store.Read()
	told := newTold(tx)
	s.alert(tx, wholly(s.sessions.uids()))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sub.C():
		}
		changed := sub.Take()
		tx := s.Store.Read()
		s.alert(tx, told.concerned(tx, changed, s.sessions.uids))
	}
}

// alert pokes in the order of uids, which is that of rows: what a change of a fleet has looked up, sent, reported and written then goes through neighbours one after the other, in
// memory as in the file.
func (s *Server) alert(tx *store.ReadTx, concerned map[string]scope) {
	for _, uid := range slices.Sorted(maps.Keys(concerned)) {
		if ses := s.sessions.of(uid); ses != nil {
			if err := s.CA.AuthorizeCluster(tx, uid); err != nil {
				ses.end(authError(err))
			}
			ses.pokeFor(concerned[uid])
		}
	}
}

// told is the rows of bundles, by uid, as they were when sessions were last told of them. Most of their changes are none to a session: a revision that is
// published is for nobody until its rollout has begun.
type told map[string]*yardarmv1.Bundle

func newTold(tx *store.ReadTx) told {
	t := told{}
	t.all(tx)
	return t
}

// all notes that sessions are told of all bundles.
func (t told) all(tx *store.ReadTx) {
	clear(t)
	for b := range tx.Bundles() {
		t[b.Metadata.Uid] = b
	}
}

// retargeted tells whether a bundle has other targets than sessions were told, and notes that they are told: it is new, or gone, or for other groups. Nor is
// it the same where those run another revision of whom no rollout says anything, in the database of a hub without rollouts.
func (t told) retargeted(tx *store.ReadTx, uid string) bool {
	was, is := t[uid], tx.Bundle(uid)
	if is == nil {
		delete(t, uid)
		return true
	}
	t[uid] = is
	return was == nil || was.GetStatus().GetRevision() != is.GetStatus().GetRevision() ||
		!slices.EqualFunc(was.GetSpec().GetTargets(), is.GetSpec().GetTargets(), func(a, b *yardarmv1.Target) bool { return a.GetGroup() == b.GetGroup() })
}

// concerned answers, by uid, the clusters that a change may concern, and what of them; all, where too many rows have changed
// to tell.
func (t told) concerned(tx *store.ReadTx, changed store.Changed, all func() map[string]struct{}) map[string]scope {
	clusters := map[string]scope{}
	note := func(uid string, of scope) {
		known := clusters[uid]
		known.add(of)
		clusters[uid] = known
	}
	for _, table := range watched {
		if changed.All(table) && table != store.Assigned {
			t.all(tx)
			return wholly(all())
		}
	}
	for uid := range changed.Keys(store.Clusters) {
		note(uid, everything)
	}
	for uid := range changed.Keys(store.Members) {
		note(uid, everything)
	}
	for _, table := range []store.Table{store.Acceptances, store.Assigned} {
		for key := range changed.Keys(table) {
			uid, bundle, _ := strings.Cut(key, "/")
			note(uid, scope{bundles: []string{bundle}})
		}
	}
	if changed.All(store.Assigned) {
		of := assigned(changed)
		for uid := range all() {
			note(uid, of)
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
		if !t.retargeted(tx, bundle) {
			continue
		}
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

// assigned are the bundles of which rollouts have said who is to run what.
func assigned(changed store.Changed) (of scope) {
	for _, table := range assigning {
		for key := range changed.Keys(table) {
			bundle, _, _ := strings.Cut(key, "/")
			of.add(scope{bundles: []string{bundle}})
		}
	}
	return of
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
