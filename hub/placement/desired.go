package placement

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// Reader is what Desired reads of a consistent snapshot.
type Reader interface {
	Cluster(uid string) *yardarmv1.Cluster
	BundlesOf(clusterUID string) iter.Seq[*yardarmv1.Bundle]
	Revision(bundleUID string, number uint32) *yardarmv1.Revision
	Acceptances(clusterUID, bundleUID string) iter.Seq[*storev1.Acceptance]
}

// Desired derives what a cluster is to run, one assignment a bundle, in the order of the bundles' names. A cluster that is
// unknown or being deleted is to run nothing, and so is a bundle without a revision.
func Desired(r Reader, clusterUID string) []*yardarmv1.AssignmentSpec {
	cluster := r.Cluster(clusterUID)
	if cluster == nil || cluster.Spec.GetRemoval() != nil {
		return nil
	}
	var out []*yardarmv1.AssignmentSpec
	for bundle := range r.BundlesOf(clusterUID) {
		if a := DesiredOf(r, cluster, bundle); a != nil {
			out = append(out, a)
		}
	}
	return out
}

// DesiredOf derives the assignment of one bundle, which targets the cluster; nil while the bundle has no revision.
func DesiredOf(r Reader, cluster *yardarmv1.Cluster, bundle *yardarmv1.Bundle) *yardarmv1.AssignmentSpec {
	uid := bundle.Metadata.Uid
	rev := r.Revision(uid, bundle.GetStatus().GetRevision())
	if rev == nil {
		return nil
	}
	var accepted []*yardarmv1.AcceptedDeletion
	for acc := range r.Acceptances(cluster.Metadata.Uid, uid) {
		// An accepted deletion counts for the one step it was given for, so that it does not make another assignment of
		// the next revision.
		if d := acc.Deletion; d != nil && d.ToDigest == rev.Spec.Digest {
			accepted = append(accepted, d)
		}
	}
	return Assign(cluster, bundle, rev, accepted)
}

// Assign makes the assignment of a revision to a cluster.
func Assign(cluster *yardarmv1.Cluster, bundle *yardarmv1.Bundle, rev *yardarmv1.Revision, accepted []*yardarmv1.AcceptedDeletion) *yardarmv1.AssignmentSpec {
	a := &yardarmv1.AssignmentSpec{
		Cluster:           cluster.Metadata.Name,
		Bundle:            bundle.Metadata.Name,
		BundleUid:         bundle.Metadata.Uid,
		Revision:          rev.Spec.Number,
		Digest:            rev.Spec.Digest,
		Size:              rev.Spec.Size,
		Delivery:          rev.Spec.Delivery,
		AcceptedDeletions: accepted,
	}
	a.Hash = holdings.AssignmentHash(a)
	return a
}
