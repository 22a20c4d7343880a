package resource

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const bundle = "apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata:\n  name: web\n"

func TestDecode(t *testing.T) {
	const text = `# groups
---
apiVersion: yardarm.dev/v1
kind: ClusterGroup
metadata:
  name: prod
  labels: &labels {team: shop}
  annotations: *labels
  creationTimestamp: 2026-01-31T12:00:00Z
  uid: null
spec:
  selector:
    matchLabels: {env: prod}
    matchExpressions:
    - {key: region, operator: In, values: [eu, "1"]}
  expression: |
    facts.nodes >= 3
status:
  clusters: 3
  whatever: the hub says
---

---
apiVersion: v1
kind: List
items:
- apiVersion: yardarm.dev/v1
  kind: Bundle
  metadata: {name: web, generation: 0x2, resourceVersion: "41"}
  spec:
    targets: [{group: prod}]
    delivery: {atomic: true, namespace: shop, timeout: 1h0m1.5s}
    customization: {variables: {tier: gold}}
- {"apiVersion": "yardarm.dev/v1", "kind": "Cluster", "metadata": {"name": "eu-1", "labels": {"env": "prod"}}, "spec": {"removal": {"workloads": "remove"}}}
`
	got, err := Decode([]File{{Path: "a.yaml", Data: []byte(text)}, {Path: "empty.yaml"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []proto.Message{
		&yardarmv1.ClusterGroup{ApiVersion: yardarmv1.APIVersion, Kind: "ClusterGroup",
			Metadata: &yardarmv1.ObjectMeta{Name: "prod", Labels: map[string]string{"team": "shop"}, Annotations: map[string]string{"team": "shop"},
				CreationTimestamp: &timestamppb.Timestamp{Seconds: 1769860800}},
			Spec: &yardarmv1.ClusterGroupSpec{Expression: "facts.nodes >= 3\n", Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"},
				MatchExpressions: []*yardarmv1.LabelRequirement{{Key: "region", Operator: "In", Values: []string{"eu", "1"}}}}}},
		&yardarmv1.Bundle{ApiVersion: yardarmv1.APIVersion, Kind: "Bundle", Metadata: &yardarmv1.ObjectMeta{Name: "web", Generation: 2, ResourceVersion: "41"},
			Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "prod"}}, Delivery: &yardarmv1.DeliveryPolicy{Atomic: true, Namespace: "shop", Timeout: &durationpb.Duration{Seconds: 3601, Nanos: 500_000_000}},
				Customization: &yardarmv1.Customization{Variables: map[string]string{"tier": "gold"}}}},
		&yardarmv1.Cluster{ApiVersion: yardarmv1.APIVersion, Kind: "Cluster", Metadata: &yardarmv1.ObjectMeta{Name: "eu-1", Labels: map[string]string{"env": "prod"}},
			Spec: &yardarmv1.ClusterSpec{Removal: &yardarmv1.Removal{Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}}},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d documents", len(got))
	}
	for i := range want {
		if message := messageIn(got[i].Resource); !proto.Equal(message, want[i]) {
			t.Errorf("document %d is %s, want %s", i, protojson.Format(message), protojson.Format(want[i]))
		}
	}
	for i, place := range []string{"clustergroup/prod 3 1", "bundle/web 27 2", "cluster/eu-1 34 2"} {
		if text := fmt.Sprintf("%s %d %d", got[i], got[i].Line, got[i].Document); text != place {
			t.Errorf("document %d is at %s, want %s", i, text, place)
		}
	}
	if p := got[0].Locate("spec.selector.matchExpressions[0].values[1]", "bad"); p.Line != 15 || p.Error() != "a.yaml:15: clustergroup/prod: spec.selector.matchExpressions[0].values[1]: bad" {
		t.Errorf("located at %v", p)
	}
	if p := got[0].Locate("nowhere.at.all", "bad"); p.Line != 3 {
		t.Errorf("located at %v", p)
	}
}

func messageIn(r *hubv1.Resource) proto.Message {
	switch r := r.GetResource().(type) {
	case *hubv1.Resource_Cluster:
		return r.Cluster
	case *hubv1.Resource_ClusterGroup:
		return r.ClusterGroup
	case *hubv1.Resource_Bundle:
		return r.Bundle
	}
	return nil
}

func TestDecodeRefuses(t *testing.T) {
	spec := func(text string) string { return bundle + "spec:\n  " + text + "\n" }
	for _, tc := range []struct{ name, text, want string }{
		{"not YAML", "a: [b", "f.yaml:1: is not YAML: "},
		{"not YAML later", bundle + "---\na: b: c\n", "f.yaml:6: is not YAML: mapping values are not allowed"},
		{"a list", "- a\n", "f.yaml:1: is a list, not a resource with apiVersion, kind, metadata and spec"},
		{"a text", "hello\n", "f.yaml:1: is a text, not a resource"},
		{"no kind", "apiVersion: yardarm.dev/v1\n", "f.yaml:1: kind: is missing; it is one of Cluster, ClusterGroup, Bundle, Strategy, Gate, Role, RoleBinding, Notification and SourceCredentials"},
		{"no version", "kind: Bundle\nmetadata: {name: web}\n", "f.yaml:1: Bundle web: apiVersion: is missing; it is yardarm.dev/v1"},
		{"an object for clusters", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n", "f.yaml:1: Deployment web: apiVersion: apps/v1 is not yardarm.dev/v1; objects for the clusters go into a directory"},
		{"another version", "kind: Bundle\napiVersion: yardarm.dev/v9\n", "f.yaml:2: Bundle: apiVersion: yardarm.dev/v9 is not known; it is yardarm.dev/v1"},
		{"another kind", "apiVersion: yardarm.dev/v1\nkind: Rocket\n", "f.yaml:2: Rocket: kind: there is no kind Rocket"},
		{"a kind in lower case", "apiVersion: yardarm.dev/v1\nkind: bundle\n", "f.yaml:2: bundle: kind: there is no kind bundle"},
		{"a revision", "apiVersion: yardarm.dev/v1\nkind: Revision\n", "revisions are made by 'yardarm publish'"},
		{"an assignment", "apiVersion: yardarm.dev/v1\nkind: Assignment\n", "assignments follow from groups and bundles"},
		{"no name", "apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {}\n", "f.yaml:1: Bundle: metadata.name: is missing"},
		{"an unknown field", spec("target: []"), "f.yaml:6: Bundle web: spec.target: there is no such field; did you mean targets?"},
		{"an unknown field unlike any", spec("zebra: 1"), "f.yaml:6: Bundle web: spec.zebra: there is no such field\n"},
		{"a field in protobuf's spelling", bundle + "api_version: x\n", "f.yaml:5: Bundle web: api_version: there is no such field; did you mean apiVersion?"},
		{"a field twice", spec("targets: []\n  targets: []"), "f.yaml:7: Bundle web: spec.targets: is there twice, first in line 6"},
		{"a label twice", bundle + "  labels:\n    a: b\n    a: c\n", `f.yaml:7: Bundle web: metadata.labels.a: is there twice, first in line 6`},
		{"a number for a text", bundle + "  labels:\n    a: 1\n", `f.yaml:6: Bundle web: metadata.labels["a"]: must be a text, is a number; put it in quotes: "1"`},
		{"a truth value for a text", bundle + "  labels:\n    a: true\n", `must be a text, is a truth value; put it in quotes: "true"`},
		{"no value for a label", bundle + "  labels:\n    a:\n", `metadata.labels["a"]: has no value`},
		{"a text for a truth value", spec("delivery: {atomic: \"true\"}"), "spec.delivery.atomic: must be true or false, is a text"},
		{"a mapping for a list", spec("targets: {group: prod}"), "spec.targets: must be a list, is a mapping"},
		{"a text for a mapping", spec("delivery: atomic"), "spec.delivery: must be a mapping, is a text"},
		{"a text in a list of mappings", spec("targets: [prod]"), "spec.targets[0]: must be a mapping, is a text"},
		{"a mapping for a text", spec("targets: [{group: {a: b}}]"), "spec.targets[0].group: must be a text, is a mapping"},
		{"a text for a number", bundle + "  generation: many\n", "metadata.generation: must be a whole number from 0 on, is a text"},
		{"a number that is too large", bundle + "  generation: 4294967296\n", "metadata.generation: must be a whole number"},
		{"a time that is none", bundle + "  creationTimestamp: yesterday\n", "f.yaml:1: Bundle web: "},
		{"a number for a duration", spec("delivery: {timeout: 90}"), "spec.delivery.timeout: must be a duration such as 90s or 1h30m, is a number"},
		{"a duration that is none", spec("delivery: {timeout: soon}"), "spec.delivery.timeout: must be a duration such as 90s or 1h30m"},
		{"a mapping as a key", bundle + "  ? {a: b}\n  : c\n", "a key must be a text, is a mapping"},
		{"a word that is none", "apiVersion: yardarm.dev/v1\nkind: Cluster\nmetadata: {name: a}\nspec: {removal: {workloads: drop}}\n", "spec.removal.workloads: must be one of keep, remove"},
		{"a resource twice", bundle + "---\n" + bundle, "f.yaml:6: Bundle web: is there twice, first in f.yaml:1"},
		{"several mistakes", spec("a: 1\n  b: 2"), "f.yaml:7: Bundle web: spec.b"},
		{"a merge key", bundle + "spec:\n  <<: {targets: []}\n", "spec.<<: there is no such field"},
		{"an alias of itself", bundle + "spec: &a\n  delivery: *a\n", "f.yaml:"},
		{"a bomb", bundle + bomb(), "there is too much in it"},
		{"a large file", strings.Repeat("# comment\n", MaxFile/10+1), "f.yaml: the file is larger than 4 MiB; split it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			documents, err := Decode([]File{{Path: "f.yaml", Data: []byte(tc.text)}})
			var problems *manifest.Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error()+"\n", tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if documents != nil {
				t.Error("there are documents, too")
			}
		})
	}
}

// bomb is a bundle's targets that multiply themselves.
func bomb() string {
	var b strings.Builder
	b.WriteString("  labels: &l0 {a: b}\nspec:\n  targets:\n  - &t0 {group: a}\n")
	for i := range 8 {
		fmt.Fprintf(&b, "  - &t%d [%s*t%d]\n", i+1, strings.Repeat(fmt.Sprintf("*t%d, ", i), 9), i)
	}
	b.WriteString("  zz: [" + strings.Repeat("a, ", maxNodes) + "a]\n")
	b.WriteString("  delivery:\n    namespace: a\n")
	fmt.Fprintf(&b, "---\napiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: b}\nspec:\n  targets: [%sa]\n", strings.Repeat("{group: a}, ", maxNodes))
	return b.String()
}

func TestDecodeListsTwentyProblems(t *testing.T) {
	_, err := Decode([]File{{Path: "f.yaml", Data: []byte(bundle + "spec:\n" + func() string {
		var b strings.Builder
		for i := range 30 {
			fmt.Fprintf(&b, "  x%d: 1\n", i)
		}
		return b.String()
	}())}})
	var problems *manifest.Problems
	if !errors.As(err, &problems) || len(problems.Entries) != 20 || problems.More != 10 {
		t.Errorf("got %v", err)
	}
}

// What Value writes, Decode reads back.
func TestRoundTrip(t *testing.T) {
	in := &yardarmv1.Cluster{ApiVersion: yardarmv1.APIVersion, Kind: "Cluster",
		Metadata: &yardarmv1.ObjectMeta{Name: "eu-1", Labels: map[string]string{"a": "true", "b": "", "c": "<&>"}, Generation: 3, CreationTimestamp: &timestamppb.Timestamp{Seconds: 1}},
		Spec:     &yardarmv1.ClusterSpec{Removal: &yardarmv1.Removal{Workloads: yardarmv1.Workloads_WORKLOADS_KEEP, Actor: "a"}}}
	for name, encode := range map[string]func(any) ([]byte, error){"JSON": JSON, "YAML": YAML} {
		value, err := Value(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, wrapped := range []any{value, List([]map[string]any{value})} {
			text, err := encode(wrapped)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode([]File{{Path: "f", Data: text}})
			if err != nil || len(got) != 1 || !proto.Equal(got[0].Resource.GetCluster(), in) {
				t.Errorf("%s: got %v, %v from\n%s", name, got, err, text)
			}
		}
	}
}

func TestValue(t *testing.T) {
	value, err := Value(&yardarmv1.Revision{Kind: "Revision", Spec: &yardarmv1.RevisionSpec{Number: 3, Size: 1 << 40}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := JSON(value)
	if want := "{\n  \"kind\": \"Revision\",\n  \"spec\": {\n    \"number\": 3,\n    \"size\": 1099511627776\n  }\n}\n"; err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
	if text, err = YAML(value); err != nil || string(text) != "kind: Revision\nspec:\n  number: 3\n  size: 1099511627776\n" {
		t.Errorf("got %s, %v", text, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(bundle + "spec: {targets: [{group: a}]}\n"))
	f.Add([]byte("apiVersion: yardarm.dev/v1\nkind: List\nitems: [&a {kind: Bundle}, *a]\n"))
	f.Add([]byte("{\"apiVersion\": \"yardarm.dev/v1\", \"kind\": \"Cluster\", \"metadata\": {\"name\": \"a\", \"labels\": {\"a\": \"b\"}}}"))
	f.Add([]byte("a: &a\n  b: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, err := Decode([]File{{Path: "f.yaml", Data: data}})
		if err != nil {
			if documents != nil || err.Error() == "" {
				t.Fatalf("%d documents beside %v", len(documents), err)
			}
			return
		}
		for _, d := range documents {
			message := messageIn(d.Resource)
			value, err := Value(message)
			if err != nil {
				t.Fatal(err)
			}
			text, err := JSON(value)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Decode([]File{{Path: "again", Data: text}})
			if err != nil || !proto.Equal(messageIn(again[0].Resource), message) {
				t.Fatalf("%s does not read back: %v", text, err)
			}
		}
	})
}
