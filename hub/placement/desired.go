package placement

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reader is what assignments are derived from: parts of a consistent snapshot.
type Reader interface {
	Cluster(uid string) *yardarmv1.Cluster
	GroupsOf(clusterUID string) []string
	BundlesOf(clusterUID string) iter.Seq[*yardarmv1.Bundle]
	Bundle(uid string) *yardarmv1.Bundle
	Revision(bundleUID string, number uint32) *yardarmv1.Revision
	// Assigned is what a bundle's rollout says that a cluster is to run, 0 for nothing; ok is false where it says nothing of the cluster.
	Assigned(bundleUID, clusterUID string) (revision uint32, ok bool)
	// Settled is the revision that all others are to run; ok is false for a bundle that never had a rollout.
	Settled(bundleUID string) (revision uint32, ok bool)
	Acceptances(clusterUID, bundleUID string) iter.Seq[*storev1.Acceptance]
	Reconciliations(clusterUID, bundleUID string) uint64
	// Before is what a cluster was before its labels or groups have changed, while what follows from that has yet to have its turn; nil otherwise.
	Before(bundleUID, clusterUID string) *storev1.Before
}

// RevisionFor is the number of the revision of a bundle, which targets the cluster, that the cluster is to run; 0 for none.
func RevisionFor(r Reader, clusterUID string, bundle *yardarmv1.Bundle) uint32 {
	if number, ok := r.Assigned(bundle.GetMetadata().GetUid(), clusterUID); ok {
		return number
	}
	return Settled(r, bundle)
}

// Settled is the number of the newest revision of a bundle whose rollout came to its end; 0 for none. Databases of hubs without rollouts have it in the
// bundle's row.
func Settled(r Reader, bundle *yardarmv1.Bundle) uint32 {
	if number, ok := r.Settled(bundle.GetMetadata().GetUid()); ok {
		return number
	}
	return bundle.GetStatus().GetRevision()
}

// DesiredOf derives the assignment of one bundle, which targets the cluster; nil while it is to run no revision.
func DesiredOf(r Reader, cluster *yardarmv1.Cluster, bundle *yardarmv1.Bundle) *yardarmv1.AssignmentSpec {
	return NewAssigner(r, bundle, RevisionFor(r, cluster.GetMetadata().GetUid(), bundle)).Assign(r, cluster)
}
