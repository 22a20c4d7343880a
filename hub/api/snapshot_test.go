package api_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// patch sets a key of the ConfigMap that publish makes.
func patch(value string) *yardarmv1.Customization {
	return &yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "ConfigMap"}, Patch: "data: {patched: " + value + "}"}}}
}

// customized is bundle web with a customization for all, and targets that each have one, or none where it is nil.
func customized(all *yardarmv1.Customization, targets ...*yardarmv1.Target) *hubv1.Resource {
	b := bundle("web")
	b.GetBundle().Spec.Customization, b.GetBundle().Spec.Targets = all, targets
	return b
}

func to(group string, c *yardarmv1.Customization) *yardarmv1.Target {
	return &yardarmv1.Target{Group: group, Customization: c}
}

// values are what the patches of a customization set, in order.
func values(c *yardarmv1.Customization) string {
	var out []string
	for _, p := range c.GetPatches() {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(p.Patch, "data: {patched: "), "}"))
	}
	return strings.Join(out, " ")
}

func current(t *testing.T, h *apitest.Hub) *yardarmv1.Revision {
	t.Helper()
	b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"}))
	return must[*yardarmv1.Revision](t)(h.GetRevision(t.Context(), &hubv1.GetRevisionRequest{Bundle: "web", Number: b.Status.Revision}))
}

func TestCustomizationIsChecked(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	vars := func(n int) *yardarmv1.Customization {
		return &yardarmv1.Customization{Patches: slices.Repeat(patch("x").Patches, n)}
	}
	for _, tc := range []struct {
		name   string
		bundle *hubv1.Resource
		field  string
		words  []string
	}{
		{"a patch that is no YAML", customized(&yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "A"}, Patch: "a: ["}}}), "spec.customization.patches[0].patch", nil},
		{"a target's variable", customized(nil, to("prod", &yardarmv1.Customization{Variables: map[string]string{"a b": "c"}})), "spec.targets[0].customization.variables[a b]", nil},
		{"a language", customized(&yardarmv1.Customization{Language: 1}), "spec.customization.language", []string{"set by the hub"}},
		{"a target's language", customized(nil, to("prod", &yardarmv1.Customization{Language: 7})), "spec.targets[0].customization.language", []string{"set by the hub"}},
		{"too many patches together", customized(vars(200), to("prod", vars(200))), "spec.targets[0].customization.patches", []string{"with those of the bundle"}},
		{"too much together", customized(patch(strings.Repeat("x", 200<<10)), to("prod", patch(strings.Repeat("x", 200<<10))), to("a", patch(strings.Repeat("x", 200<<10))),
			to("b", patch(strings.Repeat("x", 200<<10))), to("c", patch(strings.Repeat("x", 250<<10)))), "spec", []string{"1048576"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{tc.bundle}})
			st := refused(t, err, codes.InvalidArgument, tc.words...)
			if got := fields(st); !slices.Contains(got, "resources[0]."+tc.field) {
				t.Errorf("fields %q, want %s; %s", got, tc.field, st.Message())
			}
		})
	}
}

func TestCustomizationMakesARevision(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("canary", "env=canary"), group("prod", "env=prod"), group("lab", "env=lab"))
	for name, env := range map[string]string{"berlin": "prod", "paris": "canary", "rome": "lab"} {
		h.Enrolled(t, name, map[string]string{"env": env})
	}
	publish(t, h, "web", "1", "canary", "prod", "lab")
	patched := func() string { // what the patches of each cluster's assignment set
		t.Helper()
		var out []string
		for _, a := range assignments(t, h, &hubv1.ListAssignmentsRequest{Bundle: "web"}).Assignments {
			out = append(out, a.Spec.Cluster+": "+values(a.Spec.Customization))
		}
		return strings.Join(out, ", ")
	}
	for i, step := range []struct {
		name                        string
		do                          func()
		number                      uint32
		message, snapshot, assigned string
	}{
		{"for all", func() { apply(t, h, customized(patch("all"), to("canary", nil), to("prod", nil), to("lab", nil))) },
			2, "customization changed; content of revision 1", "", "berlin: all, paris: all, rome: all"},
		{"for a target", func() {
			apply(t, h, customized(patch("all"), to("canary", nil), to("prod", patch("p")), to("lab", nil)))
		},
			3, "customization changed; content of revision 2", "canary= prod=p", "berlin: all p, paris: all, rome: all"},
		{"another order that means nothing", func() { apply(t, h, customized(patch("all"), to("canary", nil), to("prod", patch("p")))) },
			3, "", "canary= prod=p", "berlin: all p, paris: all"},
		{"nothing said", func() {
			apply(t, h, customized(patch("all"), to("canary", &yardarmv1.Customization{}), to("prod", patch("p"))))
		}, 3, "", "canary= prod=p", "berlin: all p, paris: all"},
		{"publishing the same again", func() { publish(t, h, "web", "1") }, 3, "", "canary= prod=p", "berlin: all p, paris: all"},
		{"publishing to one group more", func() { publish(t, h, "web", "1", "lab", "prod", "canary") }, 3, "", "canary= prod=p", "berlin: all p, paris: all, rome: all"},
		{"publishing something else", func() { publish(t, h, "web", "2") }, 4, "", "canary= prod=p", "berlin: all p, paris: all, rome: all"},
		{"and a delivery policy", func() {
			b := customized(nil, to("canary", patch("c")), to("prod", patch("q")))
			b.GetBundle().Spec.Delivery = &yardarmv1.DeliveryPolicy{Atomic: true}
			apply(t, h, b)
		}, 5, "delivery policy and customization changed; content of revision 4", "canary=c prod=q", "berlin: q, paris: c"},
		{"undo", func() { must[any](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web"})) },
			6, "return to revision 4", "canary= prod=p", "berlin: all p, paris: all"},
		{"undo to what is there", func() {
			if resp := must[*hubv1.PublishRevisionResponse](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 4})); resp.Outcome != "unchanged" {
				t.Errorf("outcome %s", resp.Outcome)
			}
		}, 6, "", "canary= prod=p", "berlin: all p, paris: all"},
		{"a group that is let go takes its customization along", func() { publish(t, h, "web", "2", "canary") }, 7, "", "", "paris: all"},
		{"undo does not bring a group back", func() {
			resp := must[*hubv1.PublishRevisionResponse](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 6}))
			if resp.Outcome != "unchanged" {
				t.Errorf("outcome %s", resp.Outcome)
			}
		}, 7, "", "", "paris: all"},
		{"undo to none", func() {
			must[any](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 1}))
		}, 8, "return to revision 1", "", "paris: "},
	} {
		step.do()
		r := current(t, h)
		var snapshot []string
		for _, target := range r.Spec.Targets {
			snapshot = append(snapshot, target.Group+"="+values(target.Customization))
		}
		if r.Spec.Number != step.number || strings.Join(snapshot, " ") != step.snapshot || step.message != "" && r.Spec.Provenance.Message != step.message {
			t.Fatalf("%d, %s: revision %d (%s) with targets %q", i, step.name, r.Spec.Number, r.Spec.Provenance.Message, snapshot)
		}
		if got := patched(); got != step.assigned {
			t.Fatalf("%d, %s: assigned %q, want %q", i, step.name, got, step.assigned)
		}
	}
	if a := assignment(t, h, "paris", "web").Spec; a.Customization != nil {
		t.Errorf("a customization that says nothing is assigned: %v", a.Customization)
	}
	if b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"})); b.Spec.Customization != nil || b.Spec.Targets[0].Customization != nil || b.Spec.Delivery.GetAtomic() {
		t.Errorf("spec %v", b.Spec)
	}
}

func TestLabelsThatARevisionUses(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod", "region": "eu", "other": "1"})
	h.Enrolled(t, "paris", map[string]string{"env": "prod", "region": "eu", "tier": "gold"})
	publish(t, h, "web", "${labels.region}-${labels.zone:-a}", "prod")
	if r := current(t, h); len(r.Spec.Labels) != 0 || assignment(t, h, "berlin", "web").Spec.Labels != nil {
		t.Errorf("labels are used though nobody substitutes: %v", r)
	}
	apply(t, h, customized(nil, to("prod", &yardarmv1.Customization{Substitute: true, Variables: map[string]string{"x": "${labels.tier:-none}"}})))
	r := current(t, h)
	if !slices.Equal(r.Spec.Labels, []string{"region", "tier", "zone"}) {
		t.Errorf("labels %q", r.Spec.Labels)
	}
	berlin, paris := assignment(t, h, "berlin", "web").Spec, assignment(t, h, "paris", "web").Spec
	if !maps.Equal(berlin.Labels, map[string]string{"region": "eu"}) || !maps.Equal(paris.Labels, map[string]string{"region": "eu", "tier": "gold"}) || berlin.Customization.Language != 1 {
		t.Errorf("labels %v and %v", berlin.Labels, paris.Labels)
	}
	// A label that is used makes another assignment of the cluster's, and of no other cluster's; one that is not used changes none.
	label := func(key, value string) {
		t.Helper()
		must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{key: value}, Overwrite: true}))
	}
	label("other", "2")
	if !bytes.Equal(assignment(t, h, "berlin", "web").Spec.Hash, berlin.Hash) {
		t.Error("a label that is not used counts")
	}
	label("zone", "b")
	if a := assignment(t, h, "berlin", "web").Spec; bytes.Equal(a.Hash, berlin.Hash) || a.Labels["zone"] != "b" || a.Revision != r.Spec.Number {
		t.Errorf("assignment %v", a)
	}
	if !bytes.Equal(assignment(t, h, "paris", "web").Spec.Hash, paris.Hash) {
		t.Error("another cluster's label counts")
	}
}

// Regression: what a hub of format 1 has published has no labels on record.
func TestLabelsOfOldArtifacts(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	publish(t, h, "web", "${labels.region}", "prod")
	digest := current(t, h).Spec.Digest
	var old *storev1.Artifact
	h.Update(t, func(tx *store.Tx) error {
		old = proto.CloneOf(tx.Artifact(digest))
		old.Labels, old.LabelsKnown = nil, false
		return tx.PutArtifact(old, nil)
	})
	before := must[[]byte](t)(h.Store.Content(digest))
	apply(t, h, customized(&yardarmv1.Customization{Substitute: true}, to("prod", nil)))
	if r := current(t, h); !slices.Equal(r.Spec.Labels, []string{"region"}) {
		t.Errorf("revision %v", r)
	}
	if row := h.Store.Read().Artifact(digest); !row.LabelsKnown || !slices.Equal(row.Labels, []string{"region"}) || row.Size != old.Size || !slices.Equal(row.Objects, old.Objects) {
		t.Errorf("artifact %v", row)
	}
	if !bytes.Equal(before, must[[]byte](t)(h.Store.Content(digest))) {
		t.Error("the content has changed")
	}
}
