package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/pkg/client"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func newRevision(bundle string, number uint32, digest string) *yardarmv1.Revision {
	return &yardarmv1.Revision{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindRevision,
		Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprintf("%s-%d", bundle, number), CreationTimestamp: ago(time.Hour)},
		Spec: &yardarmv1.RevisionSpec{Bundle: bundle, Number: number, Digest: digest, Size: 43_210, Objects: 7,
			Provenance: &yardarmv1.Provenance{Actor: "local-admin", Time: ago(time.Hour)}},
	}
}

// newAssignment is of a bundle's revision in a cluster, with a report of the same phase.
func newAssignment(cluster, bundle string, revision uint32, phase string) *yardarmv1.Assignment {
	return &yardarmv1.Assignment{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindAssignment,
		Metadata: &yardarmv1.ObjectMeta{Name: cluster + "." + bundle},
		Spec:     &yardarmv1.AssignmentSpec{Cluster: cluster, Bundle: bundle, Revision: revision, Digest: "sha256:" + strings.Repeat("3", 64), Size: 43_210},
		Status: &yardarmv1.AssignmentStatus{Phase: phase, AsOf: ago(0), Report: &yardarmv1.Report{
			Bundle: bundle, Revision: revision, Phase: phase, Digest: "sha256:" + strings.Repeat("3", 64), Since: ago(3 * time.Minute), ObservedTime: ago(time.Second),
			Objects: &yardarmv1.ObjectCounts{Total: 7, Applied: 7, Ready: 7},
		}},
	}
}

func newBundle(name string, revision uint32, counts *yardarmv1.PhaseCounts, groups ...string) *yardarmv1.Bundle {
	b := &yardarmv1.Bundle{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindBundle,
		Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: "uid-" + name, CreationTimestamp: ago(30 * 24 * time.Hour), ResourceVersion: "41"},
		Spec:     &yardarmv1.BundleSpec{Delivery: &yardarmv1.DeliveryPolicy{Namespace: "default"}},
		Status:   &yardarmv1.BundleStatus{LatestRevision: revision, Revision: revision, Clusters: counts},
	}
	if revision > 0 {
		b.Status.Digest = "sha256:" + strings.Repeat("3", 64)
	}
	for _, group := range groups {
		b.Spec.Targets = append(b.Spec.Targets, &yardarmv1.Target{Group: group})
	}
	return b
}

func newCluster(name, phase, presence string, labels map[string]string, groups ...string) *yardarmv1.Cluster {
	c := &yardarmv1.Cluster{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindCluster,
		Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: "uid-" + name, Labels: labels, CreationTimestamp: ago(49 * time.Hour), ResourceVersion: "12"},
		Spec:     &yardarmv1.ClusterSpec{},
		Status:   &yardarmv1.ClusterStatus{Phase: phase, Presence: presence, Groups: groups, Bundles: &yardarmv1.PhaseCounts{}},
	}
	if presence != yardarmv1.PresenceNeverConnected {
		c.Status.SpokeVersion = "v1.2.3"
		c.Status.CertificateExpiry = ago(-20 * time.Hour)
		c.Status.Facts = &yardarmv1.Facts{KubernetesVersion: "v1.36.3", Distribution: "k3s", Region: "eu", Nodes: 3,
			Capacity: map[string]string{"cpu": "12", "memory": "48Gi"}, ApiGroups: []string{"apps/v1", "v1"}}
		c.Status.LastSeen, c.Status.PresenceSince, c.Status.Confirmed = ago(0), ago(5*time.Hour), true
	}
	return c
}

// exampleFleet has something of everything: bundle web is ready in eu-1, failing in eu-2 and not known of us-1; bundle db is ready everywhere.
func exampleFleet() *fleet {
	patch := func(n int) *yardarmv1.Customization {
		return &yardarmv1.Customization{Patches: slices.Repeat([]*yardarmv1.Patch{{Patch: "{}"}}, n)}
	}
	prod := func(region string) map[string]string { return map[string]string{"env": "prod", "region": region} }
	eu1 := newCluster("eu-1", yardarmv1.ClusterActive, yardarmv1.PresenceConnected, prod("eu"), "all", "prod")
	eu1.Status.Bundles = &yardarmv1.PhaseCounts{Total: 2, Ready: 2, Drifted: 1}
	eu2 := newCluster("eu-2", yardarmv1.ClusterActive, yardarmv1.PresenceConnected, prod("eu"), "all", "prod")
	eu2.Status.Bundles = &yardarmv1.PhaseCounts{Total: 1, Failed: 1}
	us1 := newCluster("us-1", yardarmv1.ClusterActive, yardarmv1.PresenceStale, prod("us"), "all", "prod")
	us1.Status.Bundles = &yardarmv1.PhaseCounts{Total: 1, Stale: 1}
	us1.Status.LastSeen, us1.Status.PresenceSince, us1.Status.Confirmed = ago(12*time.Minute), ago(11*time.Minute), false
	lab := newCluster("lab-1", yardarmv1.ClusterEnrolling, yardarmv1.PresenceNeverConnected, map[string]string{"env": "lab"}, "all")
	old := newCluster("old-1", yardarmv1.ClusterBanned, yardarmv1.PresenceStale, nil, "all")
	old.Spec.Ban = &yardarmv1.Ban{Reason: "stolen", Actor: "local-admin", Time: ago(26 * time.Hour)}
	old.Status.LastSeen = ago(26 * time.Hour)

	group := func(name string, clusters uint32, spec *yardarmv1.ClusterGroupSpec, bundles ...string) *yardarmv1.ClusterGroup {
		return &yardarmv1.ClusterGroup{ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindClusterGroup,
			Metadata: &yardarmv1.ObjectMeta{Name: name, CreationTimestamp: ago(40 * 24 * time.Hour), ResourceVersion: "7"},
			Spec:     spec, Status: &yardarmv1.ClusterGroupStatus{Clusters: clusters, Bundles: bundles}}
	}
	web := newBundle("web", 3, &yardarmv1.PhaseCounts{Total: 3, Ready: 1, Failed: 1, Stale: 1}, "prod")
	web.Metadata.Labels = map[string]string{"team": "shop"}
	web.Status.Conditions = []*yardarmv1.Condition{{Type: "Ready", Status: "False", Reason: "Failed", Message: "it failed in 1 cluster", LastTransitionTime: ago(2 * time.Minute)}}
	web.Spec.Delivery = &yardarmv1.DeliveryPolicy{Namespace: "shop", Atomic: true, Takeover: "if-no-diff", Conflict: "fail", Drift: "report", Keep: true, Recreate: true,
		DependsOn: []*yardarmv1.Dependency{{Bundle: "db"}, {Bundle: "queue", State: "applied"}}, Timeout: durationpb.New(20 * time.Minute), ServiceAccount: "shop/deployer",
		Ignore: []*yardarmv1.IgnoreRule{{Target: &yardarmv1.ObjectSelector{Group: "apps", Kind: "Deployment", Name: "web*"}, Paths: []string{"/spec/replicas"}}, {Paths: []string{"/a"}}},
		Health: []*yardarmv1.HealthRule{{Group: "example.com", Kind: "Widget", Ready: "object.status.ready"}}}
	web.Spec.Customization, web.Spec.Targets[0].Customization = patch(1), patch(2)
	web.Spec.Customization.Substitute, web.Spec.Customization.Variables = true, map[string]string{"tier": "gold", "size": "s"}
	web3 := newRevision("web", 3, "sha256:"+strings.Repeat("3", 64))
	web3.Spec.Provenance.Message, web3.Spec.Provenance.Commit, web3.Spec.Provenance.Source = "new logo", "0123abc", "git@example.com:web"
	web2 := newRevision("web", 2, "sha256:"+strings.Repeat("1", 64))
	web2.Spec.Provenance.UndoOf, web2.Spec.Provenance.Message = 1, "return to revision 1"

	web2.Spec.Customization, web2.Spec.Targets, web2.Spec.Labels = web.Spec.Customization, web.Spec.Targets, []string{"region", "zone"}

	db := newAssignment("eu-1", "db", 1, yardarmv1.PhaseReady)
	db.Spec.Customization, db.Spec.Labels, db.Spec.Reconcile = patch(3), map[string]string{"region": "eu"}, 2
	db.Status.Report.Objects.Drifted = 1
	db.Status.Report.Drift = []*yardarmv1.Drift{
		{Object: "apps/StatefulSet prod/db", Path: "spec.replicas", Desired: "3", Live: "5", Manager: "kubectl-edit", Since: ago(time.Hour), Reason: "ReportOnly"},
		{Object: "ConfigMap prod/db", Path: "data.key", Desired: `"a"`, Live: `"b"`, Manager: "helm", Since: ago(5 * time.Minute), Corrected: ago(4 * time.Minute)},
		{Object: "Service prod/db", Since: ago(3 * time.Minute), Corrected: ago(3 * time.Minute)},
	}
	db.Status.Report.Conditions = []*yardarmv1.Condition{
		{Type: yardarmv1.ConditionApplied, Status: "True", Reason: "Applied", LastTransitionTime: ago(3 * time.Hour)},
		{Type: yardarmv1.ConditionInSync, Status: "False", Reason: "Drifted", Message: "1 object differs from what was applied", LastTransitionTime: ago(time.Hour)},
	}

	failing := newAssignment("eu-2", "web", 3, yardarmv1.PhaseFailed)
	failing.Status.Reason, failing.Status.Report.Reason = "ApplyFailed", "ApplyFailed"
	failing.Status.Message, failing.Status.Report.Message = "1 of 7 objects could not be applied", "1 of 7 objects could not be applied"
	failing.Status.Report.Objects = &yardarmv1.ObjectCounts{Total: 7, Applied: 6, Ready: 5, Failed: 1}
	failing.Status.Report.Problems = []*yardarmv1.ObjectProblem{
		{Object: "apps/Deployment prod/web", Reason: "ImagePullBackOff", Message: "no such image\n\x1b[31mweb:3", Since: ago(2 * time.Minute), File: "web/deploy\x1b[2Jment.yaml"},
		{Object: "Service prod/web", Reason: "NamespaceNotFound", Message: "namespace prod is not there", Since: ago(3 * time.Minute)},
	}
	stale := newAssignment("us-1", "web", 3, yardarmv1.PhaseReady)
	stale.Status.Phase, stale.Status.Reason, stale.Status.AsOf = yardarmv1.PhaseStale, "SpokeStale", ago(12*time.Minute)
	stale.Status.Message = "its spoke has not been heard since 2026-01-31T11:48:00Z; it then reported revision 2 Ready"
	stale.Status.Report.Revision = 2

	objects := []client.Object{eu1, eu2, us1, lab, old,
		group("all", 5, &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{}}),
		group("big", 0, &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchExpressions: []*yardarmv1.LabelRequirement{
			{Key: "region", Operator: "In", Values: []string{"eu", "us"}}, {Key: "canary", Operator: "DoesNotExist"}}}, Expression: "facts.nodes >= 100"}),
		group("prod", 3, &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}}, "web"),
		web, newBundle("db", 1, &yardarmv1.PhaseCounts{Total: 1, Ready: 1, Drifted: 1}, "prod"), newBundle("draft", 0, &yardarmv1.PhaseCounts{}),
		newRevision("web", 1, "sha256:"+strings.Repeat("1", 64)), web2, web3, newRevision("db", 1, "sha256:"+strings.Repeat("d", 64)),
		db, newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady), failing, stale,
	}
	f := newFleet(objects...)
	f.addEvents(
		&yardarmv1.Event{Sequence: 1, Time: ago(49 * time.Hour), Type: yardarmv1.EventNormal, Reason: "ClusterConnected", Cluster: "eu-1", Message: "connected"},
		&yardarmv1.Event{Sequence: 2, Time: ago(time.Hour), Type: yardarmv1.EventNormal, Reason: "RevisionPublished", Bundle: "web", Revision: 3, Message: "revision 3", Actor: "local-admin"},
		&yardarmv1.Event{Sequence: 4, Time: ago(2 * time.Minute), Type: yardarmv1.EventWarning, Reason: "BundleFailed", Cluster: "eu-2", Bundle: "web", Message: "1 of 7 objects could not be applied"},
	)
	return f
}
