package drift

import (
	"fmt"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestChanges(t *testing.T) {
	object := func(fields map[string]any) *unstructured.Unstructured {
		o := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "x", "resourceVersion": fmt.Sprint(len(fields)), "generation": int64(len(fields))}}
		for k, v := range fields {
			o[k] = v
		}
		return &unstructured.Unstructured{Object: o}
	}
	for name, c := range map[string]struct {
		live, applied map[string]any
		want          []Difference
	}{
		"nothing":                {map[string]any{"a": "x"}, map[string]any{"a": "x"}, nil},
		"a value":                {map[string]any{"a": map[string]any{"b": "x"}}, map[string]any{"a": map[string]any{"b": "y"}}, []Difference{{Path: "a.b", Live: `"x"`, Desired: `"y"`}}},
		"one more, and one less": {map[string]any{"b": "x"}, map[string]any{"a": nil}, []Difference{{Path: "a", Desired: "null"}, {Path: "b", Live: `"x"`}}},
		"items":                  {map[string]any{"l": []any{"x", "y"}}, map[string]any{"l": []any{"x", "z"}}, []Difference{{Path: "l[1]", Live: `"y"`, Desired: `"z"`}}},
		"a longer list":          {map[string]any{"l": []any{"x"}}, map[string]any{"l": []any{"x", "z"}}, []Difference{{Path: "l", Live: `["x"]`, Desired: `["x","z"]`}}},
		"a secret": {map[string]any{"kind": "Secret", "data": map[string]any{"k": "x"}}, map[string]any{"kind": "Secret", "data": map[string]any{"k": "y"}},
			[]Difference{{Path: "data.k", Live: masked, Desired: masked}}},
	} {
		if got := Changes(object(c.live), object(c.applied)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	many := map[string]any{}
	for i := range 100 {
		many[fmt.Sprint("f", i)] = "x"
	}
	if got := Changes(object(nil), object(many)); len(got) != maxDifferences {
		t.Errorf("%d are told of many", len(got))
	}
}
