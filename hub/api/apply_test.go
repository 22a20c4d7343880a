package api_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestApplyMakesChangesAndLeavesAlone(t *testing.T) {
	h := apitest.Start(t)
	// The bundle comes before the group that it targets: the order within a call means nothing.
	resp := apply(t, h, bundle("web", "prod"), group("prod", "env=prod"))
	if got := outcomes(resp); got != "created created" {
		t.Fatalf("outcomes %q", got)
	}
	b := resp.Results[0].GetResource().GetBundle()
	if b.Metadata.Uid == "" || b.Metadata.Generation != 1 || b.Metadata.ResourceVersion == "" || b.ApiVersion != yardarmv1.APIVersion || b.Kind != yardarmv1.KindBundle {
		t.Errorf("bundle %v", b)
	}
	if got := outcomes(apply(t, h, bundle("web", "prod"), group("prod", "env=prod"))); got != "unchanged unchanged" {
		t.Errorf("outcomes %q", got)
	}
	same := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"}))
	if same.Metadata.ResourceVersion != b.Metadata.ResourceVersion {
		t.Errorf("an unchanged bundle has version %s, was %s", same.Metadata.ResourceVersion, b.Metadata.ResourceVersion)
	}

	labelled := bundle("web", "prod")
	labelled.GetBundle().Metadata.Labels = map[string]string{"team": "a"}
	changed := apply(t, h, labelled).Results[0]
	if m := changed.GetResource().GetBundle().GetMetadata(); changed.Outcome != "configured" || m.Generation != 1 || m.Uid != b.Metadata.Uid {
		t.Errorf("after a label: %v", changed)
	}
	apply(t, h, group("other", "env=other"))
	moved := bundle("web", "prod", "other")
	moved.GetBundle().Metadata.Labels = map[string]string{"team": "a"}
	if m := apply(t, h, moved).Results[0].GetResource().GetBundle().GetMetadata(); m.Generation != 2 {
		t.Errorf("generation %d after a change of spec, want 2", m.Generation)
	}
}

func TestApplyIsAllOrNone(t *testing.T) {
	h := apitest.Start(t)
	_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod"), bundle("web", "prod", "nowhere")}})
	st := refused(t, err, codes.InvalidArgument, `Bundle "web"`, `no cluster group "nowhere"`)
	if got := fields(st); !slices.Equal(got, []string{"resources[1].spec.targets[1].group"}) {
		t.Errorf("fields %q", got)
	}
	_, err = h.GetClusterGroup(t.Context(), &hubv1.GetClusterGroupRequest{Name: "prod"})
	refused(t, err, codes.NotFound, `cluster group "prod"`)
}

func TestApplyDryRunChangesNothing(t *testing.T) {
	h := apitest.Start(t)
	req := &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod"), bundle("web", "prod")}, DryRun: true}
	resp := must[*hubv1.ApplyResponse](t)(h.Apply(t.Context(), req))
	if got := outcomes(resp); got != "created created" {
		t.Errorf("outcomes %q", got)
	}
	if m := resp.Results[0].GetResource().GetClusterGroup().GetMetadata(); m.Uid != "" || m.ResourceVersion != "" {
		t.Errorf("metadata of what was not made: %v", m)
	}
	list := must[*hubv1.ListBundlesResponse](t)(h.ListBundles(t.Context(), &hubv1.ListBundlesRequest{}))
	if list.TotalSize != 0 {
		t.Errorf("%d bundles after a dry run", list.TotalSize)
	}
	if n := len(must[[]*hubv1.WatchEventsResponse](t)(events(t, h))); n != 0 {
		t.Errorf("%d events after a dry run", n)
	}
	req.Resources[1] = bundle("web", "nowhere")
	_, err := h.Apply(t.Context(), req)
	refused(t, err, codes.InvalidArgument, "nowhere")
}

func TestApplyRefusesWhatIsNotValid(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", nil)
	expression := func(text string, selector *yardarmv1.LabelSelector) *hubv1.Resource {
		g := group("g", "")
		g.GetClusterGroup().Spec = &yardarmv1.ClusterGroupSpec{Expression: text, Selector: selector}
		return g
	}
	meta := func(m *yardarmv1.ObjectMeta) *hubv1.Resource {
		g := group("g", "")
		g.GetClusterGroup().Metadata = m
		return g
	}
	kind := group("g", "")
	kind.GetClusterGroup().Kind = "Bundle"
	version := group("g", "")
	version.GetClusterGroup().ApiVersion = "yardarm.dev/v9"
	namespace := bundle("web")
	namespace.GetBundle().Spec.Delivery = &yardarmv1.DeliveryPolicy{Namespace: "No_Namespace"}
	many := make(map[string]string)
	for i := range 65 {
		many["k"+number(i)] = ""
	}
	ban := &hubv1.Resource{Resource: &hubv1.Resource_Cluster{Cluster: &yardarmv1.Cluster{
		Metadata: &yardarmv1.ObjectMeta{Name: "berlin"}, Spec: &yardarmv1.ClusterSpec{Ban: &yardarmv1.Ban{Reason: "x"}}}}}
	for _, tc := range []struct {
		name     string
		resource *hubv1.Resource
		field    string
		words    []string
	}{
		{"nothing at all", &hubv1.Resource{}, "resources[0].resource", []string{"is missing"}},
		{"a resource that is nil inside", &hubv1.Resource{Resource: &hubv1.Resource_Bundle{}}, "resources[0].metadata.name", nil},
		{"no metadata", meta(nil), "resources[0].metadata.name", []string{"is missing"}},
		{"bad name", meta(&yardarmv1.ObjectMeta{Name: "Prod"}), "resources[0].metadata.name", []string{"lower-case"}},
		{"bad label", meta(&yardarmv1.ObjectMeta{Name: "g", Labels: map[string]string{"a b": "c"}}), "resources[0].metadata.labels[a b]", nil},
		{"too many labels", meta(&yardarmv1.ObjectMeta{Name: "g", Labels: many}), "resources[0].metadata.labels", []string{"at most 64"}},
		{"large annotations", meta(&yardarmv1.ObjectMeta{Name: "g", Annotations: map[string]string{"a": strings.Repeat("x", 65<<10)}}), "resources[0].metadata.annotations", []string{"65536"}},
		{"other kind", kind, "resources[0].kind", []string{"Bundle", "ClusterGroup"}},
		{"other version", version, "resources[0].apiVersion", []string{"yardarm.dev/v1"}},
		{"group without selector", expression("", nil), "resources[0].spec", []string{"selector or expression"}},
		{"expression that does not compile", expression("labels.env ==", nil), "resources[0].spec.expression", []string{"1:"}},
		{"facts without selector", expression("facts.nodes > 2", nil), "resources[0].spec.expression", []string{"selector beside it"}},
		{"bad operator", &hubv1.Resource{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: &yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "g"},
			Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchExpressions: []*yardarmv1.LabelRequirement{{Key: "a", Operator: "Like"}}}}}}},
			"resources[0].spec.selector.matchExpressions[0]", []string{"Like"}},
		{"bad namespace", namespace, "resources[0].spec.delivery.namespace", []string{"No_Namespace"}},
		{"target twice", bundle("web", "g", "g"), "resources[0].spec.targets[1].group", []string{"second time"}},
		{"empty target", bundle("web", ""), "resources[0].spec.targets[0].group", []string{"is missing"}},
		{"ban by apply", ban, "resources[0].spec", []string{"yardarm ban"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{tc.resource}})
			st := refused(t, err, codes.InvalidArgument, tc.words...)
			if got := fields(st); !slices.Contains(got, tc.field) {
				t.Errorf("fields %q, want %s; %s", got, tc.field, st.Message())
			}
			if reason(st) != "INVALID" {
				t.Errorf("reason %q", reason(st))
			}
		})
	}
	t.Run("twice in one call", func(t *testing.T) {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("g", "a=b"), group("g", "a=c")}})
		refused(t, err, codes.InvalidArgument, "resources[1].metadata.name", "resources[0]")
	})
	t.Run("nothing to apply", func(t *testing.T) {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{})
		refused(t, err, codes.InvalidArgument, "nothing to apply")
	})
	t.Run("too much", func(t *testing.T) {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: make([]*hubv1.Resource, 1001)})
		refused(t, err, codes.InvalidArgument, "at most 1000")
	})
	t.Run("all of what is wrong", func(t *testing.T) {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{meta(&yardarmv1.ObjectMeta{Name: "A"}), meta(&yardarmv1.ObjectMeta{Name: "B"})}})
		if got := fields(refused(t, err, codes.InvalidArgument)); len(got) != 2 {
			t.Errorf("fields %q", got)
		}
	})
}

func TestApplyHonoursPreconditions(t *testing.T) {
	h := apitest.Start(t)
	first := apply(t, h, group("prod", "env=prod")).Results[0].GetResource().GetClusterGroup()
	second := apply(t, h, group("prod", "env=production")).Results[0].GetResource().GetClusterGroup()

	stale := &hubv1.Resource{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: first}}
	_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{stale}})
	st := refused(t, err, codes.Aborted, `"prod"`, second.Metadata.ResourceVersion)
	if reason(st) != "RESOURCE_VERSION_MISMATCH" {
		t.Errorf("reason %q", reason(st))
	}
	// What was read, status and all, can be sent back.
	if got := outcomes(apply(t, h, &hubv1.Resource{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: second}})); got != "unchanged" {
		t.Errorf("outcome %q", got)
	}
	must[*hubv1.DeleteClusterGroupResponse](t)(h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: "prod", ResourceVersion: second.Metadata.ResourceVersion}))
	_, err = h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: second}}}})
	refused(t, err, codes.Aborted)
	third := apply(t, h, group("prod", "env=prod")).Results[0].GetResource().GetClusterGroup()
	other := proto.CloneOf(second)
	other.Metadata.ResourceVersion = ""
	_, err = h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: other}}}})
	refused(t, err, codes.FailedPrecondition, "made again")
	if third.Metadata.Uid == second.Metadata.Uid {
		t.Error("a group that was deleted and made again has its old uid")
	}
}

func TestApplyLabelsClustersThatExist(t *testing.T) {
	h := apitest.Start(t)
	cluster := &hubv1.Resource{Resource: &hubv1.Resource_Cluster{Cluster: &yardarmv1.Cluster{
		Metadata: &yardarmv1.ObjectMeta{Name: "berlin", Labels: map[string]string{"env": "prod"}}}}}
	_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{cluster}})
	refused(t, err, codes.NotFound, `cluster "berlin"`, "yardarm enroll berlin")
	h.Enrolled(t, "berlin", nil)
	apply(t, h, group("prod", "env=prod"))
	c := apply(t, h, cluster).Results[0].GetResource().GetCluster()
	if !slices.Equal(c.Status.Groups, []string{"prod"}) || c.Metadata.Generation != 1 {
		t.Errorf("cluster %v", c)
	}
	g := must[*yardarmv1.ClusterGroup](t)(h.GetClusterGroup(t.Context(), &hubv1.GetClusterGroupRequest{Name: "prod"}))
	if g.Status.Clusters != 1 {
		t.Errorf("group status %v", g.Status)
	}
}

func TestApplyOfDeliveryMakesARevision(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	first := publish(t, h, "web", "1", "prod")
	atomic := bundle("web", "prod")
	atomic.GetBundle().Spec.Delivery = &yardarmv1.DeliveryPolicy{Atomic: true}
	b := apply(t, h, atomic).Results[0].GetResource().GetBundle()
	if b.Status.Revision != 1 || b.Status.LatestRevision != 2 || b.Status.Digest != first.Revision.Spec.Digest {
		t.Errorf("status %v", b.Status)
	}
	r := must[*yardarmv1.Revision](t)(h.GetRevision(t.Context(), &hubv1.GetRevisionRequest{Bundle: "web", Number: 2}))
	if !r.Spec.Delivery.Atomic || r.Spec.Delivery.Namespace != "default" || r.Spec.Provenance.Actor == "" || r.Spec.Size != first.Revision.Spec.Size {
		t.Errorf("revision %v", r)
	}
	// Writing out the default is no change of what clusters get.
	spelled := proto.CloneOf(atomic)
	spelled.GetBundle().Spec.Delivery.Namespace = "default"
	if b := apply(t, h, spelled).Results[0].GetResource().GetBundle(); b.Status.LatestRevision != 2 {
		t.Errorf("revision %d after the default was written out", b.Status.LatestRevision)
	}
}
