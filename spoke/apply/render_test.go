package apply

import (
	"slices"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func parse(t *testing.T, objects ...string) *manifest.Set {
	t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "a.yaml", Data: []byte(strings.Join(objects, "\n---\n"))}}, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestMarkLeavesTheArtifactAlone(t *testing.T) {
	set := parse(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {mine: x, yardarm.dev/bundle: forged}}\ndata: {k: v}")
	before := string(set.Canonical())
	object := set.Objects()[0]
	marked := mark(object, "prod", Bundle{Name: "web", UID: "u1"})
	if got := marked.Labels(); got["mine"] != "x" || got["yardarm.dev/bundle"] != "web" {
		t.Errorf("labels: %v", got)
	}
	if got := marked.Annotations(); got["yardarm.dev/owner"] != "u1" || marked.Namespace() != "prod" {
		t.Errorf("annotations: %v, namespace %s", got, marked.Namespace())
	}
	if object.Namespace() != "" || object.Labels()["yardarm.dev/bundle"] != "forged" || object.Annotations() != nil {
		t.Error("the artifact's object was changed")
	}
	if again, err := manifest.NewSet([]manifest.Object{object.Clone()}, manifest.Limits{}); err != nil || string(again.Canonical()) != before {
		t.Errorf("the artifact was changed: %v", err)
	}
}

func TestMarkLeavesAggregatedRulesToTheirController(t *testing.T) {
	set := parse(t, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\naggregationRule: {clusterRoleSelectors: []}\nrules: []",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: b}\nrules: []")
	for _, object := range set.Objects() {
		_, has := mark(object, "", Bundle{Name: "web", UID: "u1"})["rules"]
		if want := object.Name() == "b"; has != want {
			t.Errorf("%s has rules: %v, want %v", object.Name(), has, want)
		}
		if _, still := object["rules"]; !still {
			t.Errorf("%s was changed", object.Name())
		}
	}
}

func TestContentHashCoversAllThatIsSent(t *testing.T) {
	b := Bundle{Name: "web", UID: "u1"}
	base := contentHash([]byte("line"), "prod", b)
	if base != contentHash([]byte("line"), "prod", b) {
		t.Error("not the same for the same")
	}
	for what, other := range map[string]uint64{
		"line":      contentHash([]byte("other"), "prod", b),
		"namespace": contentHash([]byte("line"), "test", b),
		"name":      contentHash([]byte("line"), "prod", Bundle{Name: "api", UID: "u1"}),
		"uid":       contentHash([]byte("line"), "prod", Bundle{Name: "web", UID: "u2"}),
	} {
		if other == base {
			t.Errorf("the same for another %s", what)
		}
	}
}

func TestStagesAreInOrder(t *testing.T) {
	var items []Item
	for _, ref := range []manifest.Ref{
		{Kind: "Service", Namespace: "a", Name: "s"}, {Group: "apps", Kind: "Deployment", Namespace: "a", Name: "d"},
		{Kind: "Namespace", Name: "a"}, {Group: "x.example", Kind: "Widget", Name: "w"}, {Kind: "ConfigMap", Namespace: "a", Name: "c"},
	} {
		version := "v1"
		if ref.Group != "" {
			version = ref.Group + "/v1"
		}
		metadata := map[string]any{"name": ref.Name}
		if ref.Namespace != "" {
			metadata["namespace"] = ref.Namespace
		}
		items = append(items, Item{Ref: ref, Object: manifest.Object{"apiVersion": version, "kind": ref.Kind, "metadata": metadata}})
	}
	var applied []string
	for i, s := range stages(items) {
		for _, item := range s.items {
			applied = append(applied, item.Ref.Kind)
		}
		if s.wait != (i == 0) {
			t.Errorf("stage %d waits: %v", i, s.wait)
		}
	}
	if want := []string{"Namespace", "ConfigMap", "Service", "Deployment", "Widget"}; !slices.Equal(applied, want) {
		t.Errorf("got %v, want %v", applied, want)
	}
	var deleted []string
	var targets []Target
	for _, item := range items {
		targets = append(targets, Target{Ref: item.Ref})
	}
	for _, stage := range deleteOrder(targets) {
		for _, target := range stage {
			deleted = append(deleted, target.Ref.Kind)
		}
	}
	if slices.Reverse(deleted); !slices.Equal(deleted, applied) {
		t.Errorf("deleted in reverse: %v", deleted)
	}
}

func TestRenderedHasInDoubt(t *testing.T) {
	r := &Rendered{
		namespace:  "prod",
		refs:       map[manifest.Ref]bool{{Kind: "ConfigMap", Namespace: "prod", Name: "a"}: true},
		unresolved: map[manifest.Ref]bool{{Group: "x.example", Kind: "Widget", Name: "w"}: true},
	}
	for _, c := range []struct {
		ref  manifest.Ref
		want bool
	}{
		{manifest.Ref{Kind: "ConfigMap", Namespace: "prod", Name: "a"}, true},
		{manifest.Ref{Kind: "ConfigMap", Namespace: "test", Name: "a"}, false},
		{manifest.Ref{Group: "x.example", Kind: "Widget", Namespace: "prod", Name: "w"}, true}, // if it is namespaced
		{manifest.Ref{Group: "x.example", Kind: "Widget", Name: "w"}, true},                    // if it is not
		{manifest.Ref{Group: "x.example", Kind: "Widget", Namespace: "test", Name: "w"}, false},
	} {
		if got := r.Has(c.ref); got != c.want {
			t.Errorf("%s: %v", c.ref, got)
		}
	}
}
