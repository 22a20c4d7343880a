package api

import (
	"fmt"
	"iter"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxClaims is how many objects a refusal names: enough to see what was copied.
const maxClaims = 3

// checkClaims refuses a change after which a bundle and another one hold the same object in the same cluster: two that write one
// object undo each other for ever. Only today's members are looked at: a cluster that joins through its facts later is its spoke's to judge.
func checkClaims(tx *store.ReadTx, b *yardarmv1.Bundle) error {
	uid := b.GetMetadata().GetUid()
	mine := make(map[string]bool)
	for object := range objectsOf(tx, b) {
		mine[object] = true
	}
	if len(mine) == 0 {
		return nil
	}
	for other := range tx.Bundles() {
		if other.GetMetadata().GetUid() == uid {
			continue
		}
		both := false
		for object := range objectsOf(tx, other) {
			both = both || mine[object]
		}
		if !both {
			continue
		}
		if cluster, objects := sharedCluster(tx, b, other); cluster != nil {
			return claimed(objects, b, other, cluster)
		}
	}
	return nil
}

// checkClusterClaims refuses labels that bring two bundles with the same object into a cluster.
func checkClusterClaims(tx *store.ReadTx, c *yardarmv1.Cluster) error {
	holder := make(map[string]*yardarmv1.Bundle)
	groups := tx.GroupsOf(c.GetMetadata().GetUid())
	for b := range tx.BundlesOf(c.GetMetadata().GetUid()) {
		rev := latest(tx, b)
		for object := range objectsIn(tx, rev, placement.ArtifactFor(rev.GetSpec(), groups).GetDigest()) {
			if other := holder[object]; other != nil {
				return claimed([]string{object}, b, other, c)
			}
			holder[object] = b
		}
	}
	return nil
}

func claimed(objects []string, b, other *yardarmv1.Bundle, c *yardarmv1.Cluster) error {
	names := make([]string, 0, maxClaims)
	for _, key := range objects[:min(len(objects), maxClaims)] {
		name := key
		if ref, err := manifest.ParseKey(key); err == nil {
			name = ref.String()
		}
		names = append(names, name)
	}
	list := strings.Join(names, ", ")
	if more := len(objects) - len(names); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	name, otherName := b.GetMetadata().GetName(), other.GetMetadata().GetName()
	return precondition(reasonClaimed, yardarmv1.KindBundle, name, fmt.Sprintf(
		"bundle %q and bundle %q both hold %s, and both go to cluster %q; take it out of one of them, or let them target different clusters",
		name, otherName, list, c.GetMetadata().GetName()))
}

// sharedCluster is the first cluster in which two bundles hold the same objects, and which; nil where there is none. Of each two variants it looks at one
// cluster: the others have the same.
func sharedCluster(tx *store.ReadTx, b, other *yardarmv1.Bundle) (*yardarmv1.Cluster, []string) {
	mine := make(map[string]bool)
	for c := range tx.ClustersOf(b.GetMetadata().GetUid()) {
		mine[c.GetMetadata().GetUid()] = true
	}
	rev, otherRev := latest(tx, b), latest(tx, other)
	compared := make(map[[2]string]bool)
	for c := range tx.ClustersOf(other.GetMetadata().GetUid()) {
		if !mine[c.GetMetadata().GetUid()] {
			continue
		}
		groups := tx.GroupsOf(c.GetMetadata().GetUid())
		digests := [2]string{placement.ArtifactFor(rev.GetSpec(), groups).GetDigest(), placement.ArtifactFor(otherRev.GetSpec(), groups).GetDigest()}
		if compared[digests] {
			continue
		}
		compared[digests] = true
		holds := make(map[string]bool)
		for object := range objectsIn(tx, rev, digests[0]) {
			holds[object] = true
		}
		var both []string
		for object := range objectsIn(tx, otherRev, digests[1]) {
			if holds[object] {
				both = append(both, object)
			}
		}
		if len(both) > 0 {
			return c, both
		}
	}
	return nil, nil
}

func latest(tx *store.ReadTx, b *yardarmv1.Bundle) *yardarmv1.Revision {
	return tx.Revision(b.GetMetadata().GetUid(), b.GetStatus().GetLatestRevision())
}

// objectsOf yields the keys of what a bundle's latest revision holds, of each of its variants.
func objectsOf(tx *store.ReadTx, b *yardarmv1.Bundle) iter.Seq[string] {
	return func(yield func(string) bool) {
		rev := latest(tx, b)
		for _, digest := range rev.GetSpec().Digests() {
			for object := range objectsIn(tx, rev, digest) {
				if !yield(object) {
					return
				}
			}
		}
	}
}

// objectsIn yields the keys of what an artifact of a revision holds, with the namespaces that they get in a cluster.
func objectsIn(tx *store.ReadTx, rev *yardarmv1.Revision, digest string) iter.Seq[string] {
	return func(yield func(string) bool) {
		namespace := effective(rev.GetSpec().GetDelivery()).Namespace
		for _, key := range tx.Artifact(digest).GetObjects() {
			if !yield(inNamespace(key, namespace)) {
				return
			}
		}
	}
}

// inNamespace gives an object its bundle's namespace if it names none and its kind, as far as the hub can know, has one.
func inNamespace(key, namespace string) string {
	before, name, ok := strings.Cut(key, "//")
	if !ok || clusterScoped[before] {
		return key
	}
	return before + "/" + namespace + "/" + name
}

// clusterScoped are the kinds without namespaces that Kubernetes itself has, as group/kind. The hub knows no API server; a custom kind
// counts as namespaced, which makes a difference only for objects that name no namespace in bundles with different ones.
var clusterScoped = map[string]bool{
	"/Namespace":        true,
	"/Node":             true,
	"/PersistentVolume": true,
	"admissionregistration.k8s.io/MutatingAdmissionPolicy":          true,
	"admissionregistration.k8s.io/MutatingAdmissionPolicyBinding":   true,
	"admissionregistration.k8s.io/MutatingWebhookConfiguration":     true,
	"admissionregistration.k8s.io/ValidatingAdmissionPolicy":        true,
	"admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": true,
	"admissionregistration.k8s.io/ValidatingWebhookConfiguration":   true,
	"apiextensions.k8s.io/CustomResourceDefinition":                 true,
	"apiregistration.k8s.io/APIService":                             true,
	"certificates.k8s.io/CertificateSigningRequest":                 true,
	"certificates.k8s.io/ClusterTrustBundle":                        true,
	"flowcontrol.apiserver.k8s.io/FlowSchema":                       true,
	"flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration":       true,
	"networking.k8s.io/IngressClass":                                true,
	"networking.k8s.io/IPAddress":                                   true,
	"networking.k8s.io/ServiceCIDR":                                 true,
	"node.k8s.io/RuntimeClass":                                      true,
	"rbac.authorization.k8s.io/ClusterRole":                         true,
	"rbac.authorization.k8s.io/ClusterRoleBinding":                  true,
	"resource.k8s.io/DeviceClass":                                   true,
	"resource.k8s.io/ResourceSlice":                                 true,
	"scheduling.k8s.io/PriorityClass":                               true,
	"storage.k8s.io/CSIDriver":                                      true,
	"storage.k8s.io/CSINode":                                        true,
	"storage.k8s.io/StorageClass":                                   true,
	"storage.k8s.io/VolumeAttachment":                               true,
	"storage.k8s.io/VolumeAttributesClass":                          true,
}
