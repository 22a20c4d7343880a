package store

import (
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// Reconciliations are keyed by the bundle, and by the cluster after it where they are about one only.
var reconciliations = durable(Reconciliations, hard, func(r *storev1.Reconciliation) string { return reconciliationKey(r.GetBundleUid(), r.GetClusterUid()) },
	by(clusterIndex, func(r *storev1.Reconciliation) []string {
		if r.GetClusterUid() == "" {
			return nil
		}
		return []string{r.GetClusterUid()}
	}))

func reconciliationKey(bundleUID, clusterUID string) string {
	if clusterUID == "" {
		return bundleUID
	}
	return join(bundleUID, clusterUID)
}

// Reconciliations returns how often it was asked to reconcile a bundle now in a cluster: there, or in all its clusters.
func (tx *ReadTx) Reconciliations(clusterUID, bundleUID string) uint64 {
	return reconciliations.get(tx, reconciliationKey(bundleUID, "")).GetCount() + reconciliations.get(tx, reconciliationKey(bundleUID, clusterUID)).GetCount()
}

// AddReconciliation counts one more request, for all clusters of the bundle if clusterUID is empty.
func (tx *Tx) AddReconciliation(clusterUID, bundleUID string) error {
	count := reconciliations.get(&tx.ReadTx, reconciliationKey(bundleUID, clusterUID)).GetCount()
	_, err := reconciliations.put(tx, &storev1.Reconciliation{BundleUid: bundleUID, ClusterUid: clusterUID, Count: count + 1})
	return err
}

func (tx *Tx) deleteReconciliationsOfCluster(uid string) error {
	for r := range reconciliations.scan(&tx.ReadTx, clusterIndex, uid+separator) {
		if _, err := reconciliations.remove(tx, reconciliations.key(r)); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) deleteReconciliationsOfBundle(uid string) error {
	if _, err := reconciliations.remove(tx, reconciliationKey(uid, "")); err != nil {
		return err
	}
	return reconciliations.removeAll(tx, uid+separator)
}
