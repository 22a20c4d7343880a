package apply

import (
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestDifferences(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		want       []string
	}{
		{"alike", "spec: {a: 1, b: [x, {c: d}]}", "spec: {b: [x, {c: d}], a: 1}", nil},
		{"bookkeeping", "metadata: {resourceVersion: '1', generation: 1}",
			"metadata: {resourceVersion: '2', generation: 2, managedFields: [{}], labels: {yardarm.dev/bundle: a}, annotations: {yardarm.dev/owner: b}}", nil},
		{"values", "spec: {a: 1, b: {c: x}}", "spec: {a: 2, b: {c: y}}", []string{"spec.a", "spec.b.c"}},
		{"more and less", "spec: {a: 1}", "spec: {b: 1}", []string{"spec.a", "spec.b"}},
		{"other labels", "metadata: {labels: {x: y}}", "metadata: {labels: {yardarm.dev/bundle: a}}", []string{"metadata.labels.x"}},
		{"a whole map", "spec: {}", "spec: {a: {b: 1, c: 2}}", []string{"spec.a.b", "spec.a.c"}},
		{"an empty map", "spec: {a: {x: 1}}", "spec: {a: {x: 1}, b: {}}", []string{"spec.b"}},
		{"items", "spec: {a: [{b: 1}, {b: 2}]}", "spec: {a: [{b: 1}, {b: 3}]}", []string{"spec.a[1].b"}},
		{"lengths", "spec: {a: [1, 2]}", "spec: {a: [1]}", []string{"spec.a"}},
		{"types", "spec: {a: {b: 1}}", "spec: {a: [1]}", []string{"spec.a"}},
	} {
		var a, b map[string]any
		if err := yaml.Unmarshal([]byte(c.a), &a); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(c.b), &b); err != nil {
			t.Fatal(err)
		}
		if got := differences(a, b); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if got := differences(b, a); !slices.Equal(got, c.want) {
			t.Errorf("%s, the other way round: got %v, want %v", c.name, got, c.want)
		}
	}
}
