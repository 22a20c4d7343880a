package store

import (
	"encoding/hex"
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// Acceptances are keyed by what they accept, so that accepting it again replaces the row. Subscribers learn cluster and bundle.
var acceptances = func() *table[storev1.Acceptance] {
	t := durable(Acceptances, hard, acceptanceKey,
		by(bundleIndex, func(a *storev1.Acceptance) []string { return []string{a.GetBundleUid()} }))
	t.changed = func(a *storev1.Acceptance) string { return join(a.GetClusterUid(), a.GetBundleUid()) }
	return t
}()

func acceptanceKey(a *storev1.Acceptance) string {
	key := join(a.GetClusterUid(), a.GetBundleUid())
	if len(a.GetHoldingHash()) == 0 && a.GetDeletion() == nil {
		return key + separator // accepts nothing, and is no valid key
	}
	if len(a.GetHoldingHash()) > 0 {
		key = join(key, "holding", hex.EncodeToString(a.HoldingHash))
	}
	if d := a.GetDeletion(); d != nil {
		key = join(key, "deletion", d.FromDigest+">"+d.ToDigest)
	}
	return key
}

// Acceptances yields what operators have accepted of a bundle in a cluster.
func (tx *ReadTx) Acceptances(clusterUID, bundleUID string) iter.Seq[*storev1.Acceptance] {
	return acceptances.scan(tx, idIndex, join(clusterUID, bundleUID, ""))
}

// PutAcceptance inserts an acceptance, or replaces the one of the same holding and deletion.
func (tx *Tx) PutAcceptance(a *storev1.Acceptance) error {
	_, err := acceptances.put(tx, a)
	return err
}

// DeleteAcceptances deletes all acceptances of a bundle in a cluster.
func (tx *Tx) DeleteAcceptances(clusterUID, bundleUID string) error {
	return acceptances.removeAll(tx, join(clusterUID, bundleUID, ""))
}
