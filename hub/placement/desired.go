package placement

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reader is what Desired reads of a consistent snapshot.
type Reader interface {
	Cluster(uid string) *yardarmv1.Cluster
	GroupsOf(clusterUID string) []string
	BundlesOf(clusterUID string) iter.Seq[*yardarmv1.Bundle]
	Revision(bundleUID string, number uint32) *yardarmv1.Revision
	Acceptances(clusterUID, bundleUID string) iter.Seq[*storev1.Acceptance]
	Reconciliations(clusterUID, bundleUID string) uint64
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
	return NewAssigner(r, bundle).Assign(cluster)
}
