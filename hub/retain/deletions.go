package retain

import (
	"context"
	"errors"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// deletions deletes the records of deletions of bundles and clusters that no spoke needs to hear of any more.
func (r *Retainer) deletions(ctx context.Context) (deleted int, err error) {
	if bundles, clusters := r.spent(r.Store.Read()); len(bundles)+len(clusters) == 0 {
		return 0, nil
	}
	_, err = r.Store.Update(ctx, func(tx *store.Tx) error {
		bundles, clusters := r.spent(&tx.ReadTx)
		var err error
		for _, uid := range bundles {
			err = errors.Join(err, tx.DeleteDeletedBundle(uid))
		}
		for _, uid := range clusters {
			err = errors.Join(err, tx.DeleteDeletedCluster(uid))
		}
		deleted = len(bundles) + len(clusters)
		return err
	})
	return deleted, err
}

// spent answers the uids of deleted bundles that no cluster holds, and of deleted clusters; both of those only that were
// deleted so long ago that no certificate of that time can be renewed. At most atOnce of each: the rest has time.
func (r *Retainer) spent(tx *store.ReadTx) (bundles, clusters []string) {
	oldest := r.Clock().Add(-deletionKept - r.CertificateLife)
	for d := range tx.DeletedBundles() {
		if len(bundles) < atOnce && d.Time.AsTime().Before(oldest) && !held(tx, d.Uid) {
			bundles = append(bundles, d.Uid)
		}
	}
	for d := range tx.DeletedClusters() {
		if len(clusters) < atOnce && d.Time.AsTime().Before(oldest) {
			clusters = append(clusters, d.Uid)
		}
	}
	return bundles, clusters
}

// held tells whether any cluster holds something of a bundle, by the last that was heard of it.
func held(tx *store.ReadTx, bundleUID string) bool {
	for range tx.ObservedOfBundle(bundleUID) {
		return true
	}
	return false
}
