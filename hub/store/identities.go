package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const kubeUIDIndex = "kube_uid"

var identities = durable(Identities, hard,
	(*storev1.Identity).GetClusterUid,
	by(kubeUIDIndex, func(i *storev1.Identity) []string { return []string{i.GetKubeUid()} }).
		in(ofFirstDigits, func(i *storev1.Identity) ends { return ends{i.GetKubeUid(), i.GetClusterUid()} })).
	in(ofFirstDigits, func(i *storev1.Identity) ends { return ends{last: i.GetClusterUid()} })

// Identity returns what a cluster's uid is bound to, or nil before it has enrolled.
func (tx *ReadTx) Identity(clusterUID string) *storev1.Identity {
	return identities.get(tx, clusterUID)
}

// IdentitiesOf yields the identities that are bound to the Kubernetes cluster with the uid, by cluster uid. No more than one should be.
func (tx *ReadTx) IdentitiesOf(kubeUID string) iter.Seq[*storev1.Identity] {
	return identities.scan(tx, kubeUIDIndex, kubeUID+separator)
}

// PutIdentity inserts or replaces an identity.
func (tx *Tx) PutIdentity(i *storev1.Identity) error {
	_, err := identities.put(tx, i)
	return err
}
