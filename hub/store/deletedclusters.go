package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var deletedClusters = durable(DeletedClusters, hard, func(d *storev1.DeletedCluster) string { return d.GetUid() })

// DeletedCluster returns the record of a cluster's deletion, or nil.
func (tx *ReadTx) DeletedCluster(uid string) *storev1.DeletedCluster {
	return deletedClusters.get(tx, uid)
}

// DeletedClusters yields the records of all deleted clusters by uid.
func (tx *ReadTx) DeletedClusters() iter.Seq[*storev1.DeletedCluster] {
	return deletedClusters.scan(tx, idIndex, "")
}

// PutDeletedCluster inserts or replaces the record of a cluster's deletion.
func (tx *Tx) PutDeletedCluster(d *storev1.DeletedCluster) error {
	_, err := deletedClusters.put(tx, d)
	return err
}

// DeleteDeletedCluster forgets a cluster's deletion.
func (tx *Tx) DeleteDeletedCluster(uid string) error {
	_, err := deletedClusters.remove(tx, uid)
	return err
}
