package drift

import (
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// bookkeeping are the fields of metadata that the API server keeps itself.
var bookkeeping = map[string]bool{"managedFields": true, "resourceVersion": true, "generation": true}

// Changes answers all that an apply would change in a live object, whoever has the fields: what Between answers is only what
// others have changed. The first 20 fields are told, in the order of their paths. Lists are compared item by item if they
// are as long as each other, and otherwise whole.
func Changes(live, applied *unstructured.Unstructured) []Difference {
	c := changes{owners: ownersOf(live), secret: applied.GetKind() == "Secret" && applied.GetAPIVersion() == "v1"}
	c.compare(nil, live.Object, true, applied.Object, true)
	return c.found
}

type changes struct {
	owners owners
	secret bool
	found  []Difference
}

func (c *changes) compare(path fieldpath.Path, have any, exists bool, want any, wanted bool) {
	switch {
	case len(c.found) == maxDifferences, exists == wanted && reflect.DeepEqual(have, want):
		return
	}
	a, haveMap := have.(map[string]any)
	b, wantMap := want.(map[string]any)
	if haveMap && wantMap {
		names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if len(path) == 1 && *path[0].FieldName == "metadata" && bookkeeping[name] {
				continue
			}
			x, ok := a[name]
			y, also := b[name]
			c.compare(step(path, fieldpath.PathElement{FieldName: &name}), x, ok, y, also)
		}
		return
	}
	x, haveList := have.([]any)
	y, wantList := want.([]any)
	if haveList && wantList && len(x) == len(y) {
		for i := range x {
			c.compare(step(path, fieldpath.PathElement{Index: &i}), x[i], true, y[i], true)
		}
		return
	}
	d := Difference{Path: text(path), Manager: c.owners.other(path)}
	if exists {
		d.Live = show(have, c.secret)
	}
	if wanted {
		d.Desired = show(want, c.secret)
	}
	c.found = append(c.found, d)
}
