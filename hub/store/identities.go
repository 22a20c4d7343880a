package store

import storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"

var identities = durable(Identities, hard, func(i *storev1.Identity) string { return i.GetClusterUid() })

// Identity returns what a cluster's uid is bound to, or nil before it has enrolled.
func (tx *ReadTx) Identity(clusterUID string) *storev1.Identity {
	return identities.get(tx, clusterUID)
}

// PutIdentity inserts or replaces an identity.
func (tx *Tx) PutIdentity(i *storev1.Identity) error {
	_, err := identities.put(tx, i)
	return err
}
