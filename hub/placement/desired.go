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
	Acceptances(clusterUID, bundleUID string) iter.Seq[*storev1.Acceptance]
	Reconciliations(clusterUID, bundleUID string) uint64
}

// DesiredOf derives the assignment of one bundle, which targets the cluster; nil while the bundle has no revision.
func DesiredOf(r Reader, cluster *yardarmv1.Cluster, bundle *yardarmv1.Bundle) *yardarmv1.AssignmentSpec {
	return NewAssigner(r, bundle).Assign(r, cluster)
}
