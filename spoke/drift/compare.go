package drift

import (
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

const (
	// maxDifferences bounds what is told of one object: a report has room for 20 of all.
	maxDifferences = 20
	// maxValue bounds a value, in bytes of JSON.
	maxValue = 256
	// masked stands for every value of a Secret.
	masked = "(secret)"
)

// Difference is one field of a live object that is not as it was applied.
type Difference struct {
	// Path as people read it; empty when the whole object is gone.
	Path string
	// Desired and Live are JSON, bounded, and masked where they are secret; empty where there is no such field.
	Desired, Live string
	// Manager has the field now; empty if nobody can be told, as of a field that was removed.
	Manager string
}

// Gone is the difference of an object that is not there.
func Gone() []Difference { return []Difference{{}} }

// Between answers what differs in a live object from what an apply made of it, or would make. The first 20 fields are told,
// in the order of their paths. A field that somebody took from us and left at our value is none of them.
func Between(live, applied *unstructured.Unstructured) []Difference {
	before, after := ownersOf(live), ownersOf(applied)
	secret := applied.GetKind() == "Secret" && applied.GetAPIVersion() == "v1"
	var found []Difference
	seen := map[string]bool{}
	after.ours.Difference(before.ours).Leaves().Iterate(func(path fieldpath.Path) {
		if len(found) == maxDifferences {
			return
		}
		want, ok := at(applied.Object, path)
		have, exists := at(live.Object, path)
		if !ok || exists && reflect.DeepEqual(want, have) {
			return
		}
		if !exists {
			path = missing(live.Object, path)
			want, _ = at(applied.Object, path)
		}
		d := Difference{Path: text(path), Manager: before.other(path)}
		if seen[d.Path] {
			return
		}
		seen[d.Path] = true
		d.Desired = show(want, secret)
		if exists {
			d.Live = show(have, secret)
		}
		found = append(found, d)
	})
	return found
}

// missing shortens a path to the first step that an object lacks: a container that is gone is one difference.
func missing(object any, path fieldpath.Path) fieldpath.Path {
	for n := 1; n < len(path); n++ {
		if _, ok := at(object, path[:n]); !ok {
			return path[:n]
		}
	}
	return path
}

// Settled tells whether an apply that came out so would give us no field that we do not have already: then nothing of what we
// apply has been changed.
func Settled(live, applied *unstructured.Unstructured) bool {
	return ownersOf(live).ours.Equals(ownersOf(applied).ours)
}

func show(v any, secret bool) string {
	if secret {
		return masked
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return cut(string(data), maxValue)
}
