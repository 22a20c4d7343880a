package store

import (
	"maps"
	"slices"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// admit has the clusters that a bundle is for since this transaction, whatever in it was the cause, wait until the bundle's rollout gives them their turn.
// Nobody sees them as clusters that no rollout speaks of, and that so run the settled revision at once. A bundle that never had a rollout has its
// first one do that. It is called at the end of each transaction.
func (tx *Tx) admit() error {
	joiners := tx.joiners()
	for _, bundleUID := range slices.Sorted(maps.Keys(joiners)) {
		for _, clusterUID := range slices.Sorted(maps.Keys(joiners[bundleUID])) {
			if err := tx.putTurn(&storev1.Turn{BundleUid: bundleUID, ClusterUid: clusterUID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// arrivals is what a transaction has changed of which bundle is for which cluster.
type arrivals struct {
	tx *Tx
	// moved are the clusters that have entered (true) or left a group.
	moved map[string]map[string]bool
	// targets are those that bundles had before, of those that the transaction has written.
	targets map[string][]string
	// before are the groups that clusters belonged to, as far as asked.
	before map[string][]string
	found  map[string]map[string]bool // clusters by bundle
}

// joiners are the uids of the clusters that a bundle is for now and was not before, by the bundle's. Bundles without a rollout are left out.
func (tx *Tx) joiners() map[string]map[string]bool {
	a := arrivals{tx: tx, moved: map[string]map[string]bool{}, targets: map[string][]string{}, before: map[string][]string{}, found: map[string]map[string]bool{}}
	for uid, group := range tx.Moves() {
		if a.moved[uid] == nil {
			a.moved[uid] = map[string]bool{}
		}
		m := members.get(&tx.ReadTx, join(group, uid))
		a.moved[uid][group] = m != nil && m.member
	}
	for _, c := range tx.journal {
		if _, known := a.targets[c.key]; c.table.table() == Bundles && !known {
			old, _ := c.old.(*yardarmv1.Bundle)
			a.targets[c.key] = targetsOf(old)
		}
	}
	for uid, groups := range a.moved {
		for group, entered := range groups {
			if entered {
				a.group(uid, group)
			}
		}
	}
	for uid, before := range a.targets {
		for _, group := range targetsOf(tx.Bundle(uid)) {
			if slices.Contains(before, group) {
				continue
			}
			for cluster := range tx.Members(group) {
				a.pair(cluster, uid)
			}
		}
	}
	return a.found
}

func (a *arrivals) group(clusterUID, group string) {
	for b := range a.tx.BundlesTargeting(group) {
		a.pair(clusterUID, b.Metadata.Uid)
	}
}

// pair notes the cluster as one that the bundle is for now, unless it was before.
func (a *arrivals) pair(clusterUID, bundleUID string) {
	cluster := a.tx.Cluster(clusterUID)
	if cluster == nil || cluster.GetSpec().GetRemoval() != nil || a.tx.Rollout(bundleUID) == nil {
		return
	}
	targets, changed := a.targets[bundleUID]
	if !changed {
		targets = targetsOf(a.tx.Bundle(bundleUID))
	}
	if slices.ContainsFunc(a.groups(clusterUID), func(group string) bool { return slices.Contains(targets, group) }) {
		return
	}
	if a.found[bundleUID] == nil {
		a.found[bundleUID] = map[string]bool{}
	}
	a.found[bundleUID][clusterUID] = true
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
