package store

import (
	"iter"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var observed = durable(Observed, soft, (*storev1.Observed).GetClusterUid).
	in(ofFirstDigits, func(o *storev1.Observed) ends { return ends{last: o.GetClusterUid()} })

// Observed returns what the spoke of a cluster has said of it, or nil.
func (tx *ReadTx) Observed(clusterUID string) *storev1.Observed { return observed.get(tx, clusterUID) }

// AllObserved yields what all spokes have said of their clusters, by cluster uid.
func (tx *ReadTx) AllObserved() iter.Seq[*storev1.Observed] { return observed.scan(tx, idIndex, "") }

// PutObserved inserts or replaces what a spoke says of its cluster. Memberships that depend on facts follow. A row of a cluster that does not exist is
// dropped: a session may end later than its cluster.
func (tx *Tx) PutObserved(o *storev1.Observed) error {
	cluster := tx.Cluster(o.GetClusterUid())
	if cluster == nil {
		return tx.err
	}
	old, err := observed.put(tx, o)
	if err != nil {
		return err
	}
	if old != nil && proto.Equal(old.Facts, o.Facts) {
		return nil
	}
	return tx.placeCluster(cluster, true)
}
