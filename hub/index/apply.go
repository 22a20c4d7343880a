package index

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// tables are those that entries are derived from.
var tables = []store.Table{
	store.Clusters, store.Identities, store.Members, store.Presences, // of whole clusters
	store.Observed,                                           // of a cluster, but of none of its bundles
	store.Acceptances, store.ObservedBundles, store.Assigned, // of one bundle in one cluster
	store.Reconciliations, store.Bundles, store.DeletedBundles, // of a bundle in all its clusters
	store.Groups, store.Rollouts, store.Gates, store.Sources, // of none
}

// concerned are the clusters that a change concerns, by uid: with the uids of the bundles in which, or with none where all of the cluster is to be derived.
type concerned map[string]map[string]bool

func (c concerned) whole(cluster string) { c[cluster] = nil }

// itself adds a cluster of which no bundle has changed by that.
func (c concerned) itself(cluster string) {
	if _, ok := c[cluster]; !ok {
		c[cluster] = map[string]bool{}
	}
}

func (c concerned) pair(cluster, bundle string) {
	c.itself(cluster)
	if bundles := c[cluster]; bundles != nil {
		bundles[bundle] = true
	}
}

// concerns tells which clusters; all is true where they are not told apart.
func (s *State) concerns(tx *store.ReadTx, changed store.Changed) (out concerned, all bool) {
	if s.Tx == nil {
		return nil, true
	}
	for _, t := range tables {
		if changed.All(t) && t != store.Groups && t != store.Rollouts && t != store.Gates && t != store.Sources {
			return nil, true
		}
	}
	out = concerned{}
	for _, t := range []store.Table{store.Acceptances, store.ObservedBundles, store.Assigned} {
		for key := range changed.Keys(t) {
			cluster, bundle, _ := strings.Cut(key, "/")
			out.pair(cluster, bundle)
		}
	}
	for _, t := range []store.Table{store.Bundles, store.DeletedBundles} {
		for uid := range changed.Keys(t) {
			out.bundle(tx, uid)
		}
	}
	for key := range changed.Keys(store.Reconciliations) {
		bundle, cluster, one := strings.Cut(key, "/")
		if one {
			out.pair(cluster, bundle)
			continue
		}
		out.bundle(tx, bundle)
	}
	// Each batch of reports says when their spoke was last heard, too. A spoke that comes or goes changes how things stand, and not what they are.
	for _, t := range []store.Table{store.Observed, store.Presences} {
		for uid := range changed.Keys(t) {
			out.itself(uid)
		}
	}
	for uid := range changed.Keys(store.Clusters) {
		out.row(tx, uid, s.clusters[uid])
	}
	for _, t := range []store.Table{store.Identities, store.Members} {
		for uid := range changed.Keys(t) {
			out.whole(uid)
		}
	}
	return out, false
}

// row adds a cluster whose row has changed: where only its labels have, no more than the bundles that use labels.
func (c concerned) row(tx *store.ReadTx, uid string, old *Cluster) {
	if old == nil || !relabelled(old.Row, tx.Cluster(uid)) {
		c.whole(uid)
		return
	}
	c.itself(uid)
	for _, a := range old.Assignments {
		if len(tx.Revision(a.BundleUID, a.Revision).GetSpec().GetLabels()) > 0 {
			c.pair(uid, a.BundleUID)
		}
	}
}

// relabelled tells whether a cluster's row differs from an older one in nothing but what people say of it. Of that, groups go by labels, which is told as a
// change of members, and so do the bundles that use labels.
func relabelled(old, row *yardarmv1.Cluster) bool {
	return row.GetMetadata().GetName() == old.GetMetadata().GetName() && proto.Equal(row.GetSpec(), old.GetSpec())
}

// bundle adds a bundle in all its clusters. One that it no longer goes to is among those whose memberships have changed.
func (c concerned) bundle(tx *store.ReadTx, uid string) {
	for cluster := range tx.ClustersOf(uid) {
		c.pair(cluster.GetMetadata().GetUid(), uid)
	}
	for o := range tx.ObservedOfBundle(uid) {
		c.pair(o.GetClusterUid(), uid)
	}
}

// step is one application of changes. What it touches of bundles, by uid, and groups, by name, is compared at its end.
type step struct {
	*State
	touchedBundles, touchedGroups map[string]bool
}

// apply takes in a later snapshot. changed tells what differs from the one before.
func (s *State) apply(tx *store.ReadTx, changed store.Changed) {
	clusters, all := s.concerns(tx, changed)
	if s.Tx == nil {
		s.clusters, s.bundles, s.groups = map[string]*Cluster{}, map[string]*Bundle{}, map[string]*Group{}
		s.gates, s.labels = map[string]*yardarmv1.Gate{}, labels{}
		s.placer, s.counts, s.members = placement.NewPlacer(), map[string]*yardarmv1.PhaseCounts{}, map[string]*membership{}
	}
	s.Tx = tx
	st := step{State: s, touchedBundles: map[string]bool{}, touchedGroups: map[string]bool{}}
	if all {
		clusters = concerned{}
		for uid := range s.clusters {
			clusters.whole(uid)
		}
		for c := range tx.Clusters() {
			clusters.whole(c.GetMetadata().GetUid())
		}
	}
	for uid, bundles := range clusters {
		st.cluster(uid, bundles)
	}
	st.rows(changed, all)
	st.gateRows(changed, all)
	for uid := range st.touchedBundles {
		st.compareBundle(uid)
	}
	for name := range st.touchedGroups {
		st.compareGroup(name)
	}
}

// cluster derives the entry of a cluster anew, as far as bundles says.
func (st *step) cluster(uid string, bundles map[string]bool) {
	old := st.clusters[uid]
	row := st.Tx.Cluster(uid)
	var next *Cluster
	switch {
	case row == nil && old == nil:
		return
	case row == nil:
		delete(st.clusters, uid)
	default:
		if next = st.revised(old, row, bundles); next == nil {
			next = clusterOf(st.Tx, row, st.placer)
			next.keep(old)
		}
		st.clusters[uid] = next
	}
	st.labels.move(uid, old.labels(), next.labels())
	st.recount(old, next)
	if old == nil || next == nil || !old.SameItself(next) || !sameAssignments(old, next) {
		st.Seq++
		st.clusterLog.add(st.Seq, Change[Cluster]{old, next})
	}
}

// revised is an entry of which nothing has changed but some bundles, labels, its presence, and when it was last observed; nil where there is more to it.
func (st *step) revised(old *Cluster, row *yardarmv1.Cluster, bundles map[string]bool) *Cluster {
	if old == nil || bundles == nil || old.Row != row && !relabelled(old.Row, row) {
		return nil
	}
	next := *old
	next.Row, next.Observed, next.Presence = row, st.Tx.Observed(old.UID()), st.Tx.Presence(old.UID())
	next.Assignments = slices.Clone(old.Assignments)
	// Of a spoke that is not connected, all is told as of when it was last heard.
	connected := old.Presence != nil && old.Presence.State == yardarmv1.PresenceConnected
	if next.Presence != old.Presence || !connected && next.Observed != old.Observed {
		for _, a := range old.Assignments {
			bundles[a.BundleUID] = true
		}
	}
	for uid := range bundles {
		b := st.Tx.Bundle(uid)
		assigned := b != nil && row.GetSpec().GetRemoval() == nil && placement.Targets(b, old.Groups) && hasRevision(b)
		report := st.Tx.ObservedBundle(old.UID(), uid).GetReport()
		i, there := old.at(uid)
		switch {
		case !there && !assigned && report == nil:
			continue
		case !there || (old.Assignments[i].Target != nil) != assigned || old.Assignments[i].Earlier != nil:
			return nil
		case !assigned && report.GetBundle() != old.Assignments[i].Bundle:
			return nil
		}
		it := old.Assignments[i].Item
		if assigned {
			it.Target = b
		}
		next.Assignments[i] = assignmentOf(st.Tx, row, it, st.placer)
	}
	next.keep(old)
	next.count()
	return &next
}

// hasRevision tells whether clusters are to run a bundle that targets them, now or once its rollout has reached them.
func hasRevision(b *yardarmv1.Bundle) bool {
	return b.GetStatus().GetLatestRevision() != 0 || b.GetStatus().GetRevision() != 0
}

// rows notes bundles and groups whose own rows have changed.
func (st *step) rows(changed store.Changed, all bool) {
	if all || changed.All(store.Groups) {
		for name := range st.groups {
			st.touchedGroups[name] = true
		}
		for g := range st.Tx.Groups() {
			st.touchedGroups[g.GetMetadata().GetName()] = true
		}
	}
	for name := range changed.Keys(store.Groups) {
		st.touchedGroups[name] = true
	}
	if all || changed.All(store.Rollouts) || changed.All(store.Sources) {
		for uid := range st.bundles {
			st.touchedBundles[uid] = true
		}
		for b := range st.Tx.Bundles() {
			st.touchedBundles[b.GetMetadata().GetUid()] = true
		}
	}
	for _, t := range []store.Table{store.Bundles, store.Rollouts, store.Sources} {
		for uid := range changed.Keys(t) {
			st.touchedBundles[uid] = true
		}
	}
	// A group shows the bundles that target it.
	for uid := range st.touchedBundles {
		old := st.bundles[uid]
		row := st.Tx.Bundle(uid)
		if old != nil && old.Row == row {
			continue
		}
		for _, t := range append(old.targets(), row.GetSpec().GetTargets()...) {
			st.touchedGroups[t.GetGroup()] = true
		}
	}
}
