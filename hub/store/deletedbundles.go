package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var deletedBundles = durable(DeletedBundles, hard, func(d *storev1.DeletedBundle) string { return d.GetUid() })

// DeletedBundle returns the record of a bundle's deletion, or nil.
func (tx *ReadTx) DeletedBundle(uid string) *storev1.DeletedBundle {
	return deletedBundles.get(tx, uid)
}

// DeletedBundles yields the records of all deleted bundles by uid.
func (tx *ReadTx) DeletedBundles() iter.Seq[*storev1.DeletedBundle] {
	return deletedBundles.scan(tx, idIndex, "")
}

// PutDeletedBundle inserts or replaces the record of a bundle's deletion.
func (tx *Tx) PutDeletedBundle(d *storev1.DeletedBundle) error {
	_, err := deletedBundles.put(tx, d)
	return err
}

// DeleteDeletedBundle forgets a bundle's deletion.
func (tx *Tx) DeleteDeletedBundle(uid string) error {
	_, err := deletedBundles.remove(tx, uid)
	return err
}
