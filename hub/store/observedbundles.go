package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// bundleIndex finds reports by bundle.
const bundleIndex = "bundle"

// A cluster's reports are in one leaf.
var observedBundles = func() *table[storev1.ObservedBundle] {
	bundle := func(o *storev1.ObservedBundle) string { return o.GetReport().GetBundleUid() }
	t := durable(ObservedBundles, soft,
		func(o *storev1.ObservedBundle) string { return join(o.GetClusterUid(), bundle(o)) },
		by(bundleIndex, func(o *storev1.ObservedBundle) []string { return []string{bundle(o)} }).
			in(ofLastDigits, func(o *storev1.ObservedBundle) ends { return ends{bundle(o), o.GetClusterUid()} })).
		in(ofFirst, func(o *storev1.ObservedBundle) ends { return ends{o.GetClusterUid(), bundle(o)} })
	t.reader = func() func([]byte) (*storev1.ObservedBundle, error) { return newObservedReader().read }
	return t
}()

// ObservedBundle returns the newest report about a bundle in a cluster, or nil.
func (tx *ReadTx) ObservedBundle(clusterUID, bundleUID string) *storev1.ObservedBundle {
	return observedBundles.get(tx, clusterUID, bundleUID)
}

// ObservedBundles yields the newest reports of a cluster, by bundle uid.
func (tx *ReadTx) ObservedBundles(clusterUID string) iter.Seq[*storev1.ObservedBundle] {
	return observedBundles.scan(tx, idIndex, clusterUID+separator)
}

// ObservedOfBundle yields the newest reports about a bundle, by cluster uid.
func (tx *ReadTx) ObservedOfBundle(bundleUID string) iter.Seq[*storev1.ObservedBundle] {
	return observedBundles.scan(tx, bundleIndex, bundleUID+separator)
}

// PutObservedBundle inserts or replaces a report. A report from a cluster that does not exist is dropped: a session may end later than its cluster.
func (tx *Tx) PutObservedBundle(o *storev1.ObservedBundle) error {
	if tx.Cluster(o.GetClusterUid()) == nil {
		return tx.err
	}
	_, err := observedBundles.put(tx, o)
	return err
}

// DeleteObservedBundle deletes the report about a bundle in a cluster, if there is one.
func (tx *Tx) DeleteObservedBundle(clusterUID, bundleUID string) error {
	_, err := observedBundles.remove(tx, join(clusterUID, bundleUID))
	return err
}
