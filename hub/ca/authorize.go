package ca

import (
	"crypto/subtle"
	"fmt"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reader is what of a transaction the judgement needs: store.ReadTx and store.Tx have it.
type Reader interface {
	Cluster(uid string) *yardarmv1.Cluster
	DeletedCluster(uid string) *storev1.DeletedCluster
	Identity(clusterUID string) *storev1.Identity
}

// Authorize says whether a caller may act as its cluster now: nil, [ErrDeletedCluster], [ErrUnknownCluster], [ErrBanned], [ErrKeyMismatch], or
// [ErrExpired] where all is well but the certificate, so that Renew is open to it. A cluster whose deletion waits for its
// spoke is still served: the spoke has to hear of it.
//
// It is to be called for each RPC: the TLS handshake does not know of bans, least of all a resumed one.
func (c *CA) Authorize(tx Reader, peer Peer) error {
	if err := c.authorizeKey(tx, peer.UID, peer.KeyHash); err != nil {
		return err
	}
	if peer.Expired {
		return ErrExpired
	}
	return nil
}

// AuthorizeCluster says whether a cluster that was authorized before still may: nil, [ErrDeletedCluster], [ErrUnknownCluster] or [ErrBanned].
// Streams ask it when the store has changed, so that a ban cuts them.
func (c *CA) AuthorizeCluster(tx Reader, uid string) error {
	cluster := tx.Cluster(uid)
	if cluster == nil {
		if deleted := tx.DeletedCluster(uid); deleted != nil {
			return fmt.Errorf("%w: %s", ErrDeletedCluster, deleted.GetName())
		}
		return ErrUnknownCluster
	}
	if cluster.GetSpec().GetBan() != nil {
		return fmt.Errorf("%w: %s", ErrBanned, cluster.GetMetadata().GetName())
	}
	return nil
}

// CheckKube says whether a cluster's spoke runs in the Kubernetes cluster that it enrolled from; [ErrCloned] otherwise.
func (c *CA) CheckKube(tx Reader, clusterUID, kubeUID string) error {
	if identity := tx.Identity(clusterUID); identity.GetKubeUid() != kubeUID {
		return fmt.Errorf("%w: cluster %s enrolled from the one whose kube-system namespace has uid %s, and this is %q: enrol it as a cluster of its own",
			ErrCloned, tx.Cluster(clusterUID).GetMetadata().GetName(), identity.GetKubeUid(), kubeUID)
	}
	return nil
}

func (c *CA) authorizeKey(tx Reader, uid string, keyHash []byte) error {
	if err := c.AuthorizeCluster(tx, uid); err != nil {
		return err
	}
	identity := tx.Identity(uid)
	if identity == nil {
		// A certificate of this CA for a cluster that has none: the database is older than it.
		return fmt.Errorf("%w: no enrolment of it is in the database, which may have been restored from before it", ErrUnknownCluster)
	}
	if subtle.ConstantTimeCompare(identity.GetKeyHash(), keyHash) != 1 {
		return fmt.Errorf("%w: %s", ErrKeyMismatch, tx.Cluster(uid).GetMetadata().GetName())
	}
	return nil
}
