package api

import (
	"fmt"
	"strings"

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
	if len(mine) == 0 || isEmpty(tx.ClustersOf(uid)) {
		return nil
	}
	for other := range tx.Bundles() {
		if other.GetMetadata().GetUid() == uid {
			continue
		}
		var both []string
		for object := range objectsOf(tx, other) {
			if mine[object] {
				both = append(both, object)
			}
		}
		if len(both) == 0 {
			continue
		}
		if cluster := sharedCluster(tx, uid, other.GetMetadata().GetUid()); cluster != nil {
			return claimed(both, b, other, cluster)
		}
	}
	return nil
}

// checkClusterClaims refuses labels that bring two bundles with the same object into a cluster.
func checkClusterClaims(tx *store.ReadTx, c *yardarmv1.Cluster) error {
	holder := make(map[string]*yardarmv1.Bundle)
	for b := range tx.BundlesOf(c.GetMetadata().GetUid()) {
		for object := range objectsOf(tx, b) {
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

func sharedCluster(tx *store.ReadTx, uid, otherUID string) *yardarmv1.Cluster {
	mine := make(map[string]bool)
	for c := range tx.ClustersOf(uid) {
		mine[c.GetMetadata().GetUid()] = true
	}
	for c := range tx.ClustersOf(otherUID) {
		if mine[c.GetMetadata().GetUid()] {
			return c
		}
	}
	return nil
}

// objectsOf yields the keys of what a bundle's latest revision holds, with the namespaces that they get in a cluster.
func objectsOf(tx *store.ReadTx, b *yardarmv1.Bundle) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		rev := tx.Revision(b.GetMetadata().GetUid(), b.GetStatus().GetLatestRevision())
		if rev == nil {
			return
		}
		namespace := effective(rev.GetSpec().GetDelivery()).Namespace
		for _, key := range tx.Artifact(rev.GetSpec().GetDigest()).GetObjects() {
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
