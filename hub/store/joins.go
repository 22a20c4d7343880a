package store

import (
	"maps"
	"slices"

	"github.com/yardarm-dev/yardarm/hub/placement"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// admit has clusters wait for which this transaction, whatever in it was the cause, changes what bundles come to, until the bundles' rollouts give them their
// turn. Those that a bundle is for since are to run nothing of it, and those of which it is for as before what they ran with the labels and groups that they
// had. Nobody ever sees a cluster as one that runs at once what it has come to. Bundles without a rollout are left out: their first one takes all. It is
// called at the end of each transaction.
func (tx *Tx) admit() error {
	a := arrivals{tx: tx, labels: map[string]map[string]string{}, moved: map[string]map[string]bool{}, targets: map[string][]string{}, before: map[string][]string{}}
	a.look()
	clusters := maps.Clone(a.labels)
	for uid := range a.moved {
		clusters[uid] = nil
	}
	for _, uid := range slices.Sorted(maps.Keys(clusters)) {
		for b := range tx.BundlesOf(uid) {
			if err := a.pair(uid, b); err != nil {
				return err
			}
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(a.targets)) {
		b := tx.Bundle(uid)
		for _, group := range targetsOf(b) {
			if slices.Contains(a.targets[uid], group) {
				continue
			}
			for cluster := range tx.Members(group) {
				if err := a.pair(cluster, b); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// arrivals is what a transaction has changed of what bundles come to in clusters.
type arrivals struct {
	tx *Tx
	// labels are those that clusters had, of those that have others now.
	labels map[string]map[string]string
	// moved are the clusters that have entered (true) or left a group.
	moved map[string]map[string]bool
	// targets are those that bundles had, of those that the transaction has written.
	targets map[string][]string
	// before are the groups that clusters belonged to, as far as asked.
	before map[string][]string
}

func (a *arrivals) look() {
	for uid, group := range a.tx.Moves() {
		if a.moved[uid] == nil {
			a.moved[uid] = map[string]bool{}
		}
		m := members.get(&a.tx.ReadTx, group, uid)
		a.moved[uid][group] = m != nil && m.member
	}
	for _, c := range a.tx.journal {
		switch c.table.table() {
		case Bundles:
			if _, known := a.targets[c.key]; !known {
				old, _ := c.old.(*yardarmv1.Bundle)
				a.targets[c.key] = targetsOf(old)
			}
		case Clusters:
			old, _ := c.old.(*yardarmv1.Cluster)
			is, _ := c.new.(*yardarmv1.Cluster)
			if _, known := a.labels[c.key]; !known && old != nil && is != nil && !maps.Equal(old.Metadata.Labels, is.Metadata.Labels) {
				a.labels[c.key] = old.Metadata.Labels
			}
		}
	}
}

// pair looks at a bundle in a cluster, which it is for.
func (a *arrivals) pair(clusterUID string, b *yardarmv1.Bundle) error {
	uid := b.Metadata.Uid
	cluster := a.tx.Cluster(clusterUID)
	if cluster == nil || cluster.GetSpec().GetRemoval() != nil || a.tx.Rollout(uid) == nil {
		return nil
	}
	targets, changed := a.targets[uid]
	if !changed {
		targets = targetsOf(b)
	}
	was := &storev1.Before{Labels: cluster.Metadata.Labels, Groups: a.groups(clusterUID)}
	if labels, relabelled := a.labels[clusterUID]; relabelled {
		was.Labels = labels
	}
	if slices.ContainsFunc(was.Groups, func(group string) bool { return slices.Contains(targets, group) }) {
		return a.changed(cluster, b, was)
	}
	return a.tx.putTurn(&storev1.Turn{BundleUid: uid, ClusterUid: clusterUID})
}

// changed looks at a bundle in a cluster that it was for already. What comes back to what it was, waits no longer: nothing changes.
func (a *arrivals) changed(cluster *yardarmv1.Cluster, b *yardarmv1.Bundle, was *storev1.Before) error {
	turn := a.tx.Turn(b.Metadata.Uid, cluster.Metadata.Uid)
	revision := a.tx.Revision(b.Metadata.Uid, placement.RevisionFor(a.tx, cluster.Metadata.Uid, b))
	if revision == nil {
		return nil
	}
	if turn != nil {
		was = turn.Before
	}
	switch alike := placement.Alike(revision, was, &storev1.Before{Labels: cluster.Metadata.Labels, Groups: a.tx.GroupsOf(cluster.Metadata.Uid)}); {
	case alike:
		return a.tx.TakeTurn(turn)
	case turn == nil:
		return a.tx.putTurn(&storev1.Turn{BundleUid: b.Metadata.Uid, ClusterUid: cluster.Metadata.Uid, Before: was})
	}
	return nil
}

// groups are those that a cluster belonged to before.
func (a *arrivals) groups(clusterUID string) []string {
	groups, known := a.before[clusterUID]
	if !known {
		moved := a.moved[clusterUID]
		groups = slices.DeleteFunc(a.tx.GroupsOf(clusterUID), func(group string) bool { return moved[group] })
		for group, entered := range moved {
			if !entered {
				groups = append(groups, group)
			}
		}
		a.before[clusterUID] = groups
	}
	return groups
}
