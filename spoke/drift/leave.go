package drift

import (
	"maps"
	"reflect"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/ignore"
)

// Leave answers an object as it is to be applied over the live one so that the fields that pointers mean, and those that an
// autoscaler has, stay as they are found:
//
//   - one that others have too, or that we do not have, is not sent;
//   - one that we alone have is sent with its live value: if it were left out, the API server would remove it;
//   - one within something that the live object lacks, such as a container that is new, is sent as it is.
//
// Positions in pointers are those in the manifest's lists. Items of lists that Kubernetes merges are found by their keys, in
// whatever order the live object has them; a list that it replaces as a whole is sent with the live values in it. Neither object
// is changed.
func Leave(object manifest.Object, pointers []ignore.Pointer, live *unstructured.Unstructured) manifest.Object {
	o := ownersOf(live)
	pointers = append(slices.Clip(pointers), pointersTo(o.scaled)...)
	if len(pointers) == 0 {
		return object
	}
	l := leaver{ours: o.ours, all: o.all(), others: o.others}
	out, _ := l.walk(map[string]any(object), live.Object, nil, pointers)
	return manifest.Object(out.(map[string]any))
}

// pointersTo answers the fields of a set that lie in maps alone, as those of a scale do.
func pointersTo(set *fieldpath.Set) []ignore.Pointer {
	var all []ignore.Pointer
	set.Leaves().Iterate(func(path fieldpath.Path) {
		var p ignore.Pointer
		for _, step := range path {
			if step.FieldName == nil {
				return
			}
			p = append(p, *step.FieldName)
		}
		all = append(all, p)
	})
	return all
}

// leaver knows who has what of the live object.
type leaver struct {
	ours   *fieldpath.Set
	all    *fieldpath.Set
	others []owner
}

// walk follows pointers through a value of the manifest, beside the live one. It answers false if nothing of the value is to be sent.
func (l *leaver) walk(object, live any, path fieldpath.Path, pointers []ignore.Pointer) (any, bool) {
	if slices.ContainsFunc(pointers, func(p ignore.Pointer) bool { return len(p) == 0 }) {
		return l.leave(object, live, path)
	}
	switch object := object.(type) {
	case map[string]any:
		if l.whole(path) {
			return l.overlay(object, live, path, pointers)
		}
		return l.walkMap(object, live, path, pointers)
	case []any:
		if !l.merged(path) {
			return l.overlay(object, live, path, pointers)
		}
		return l.walkList(object, live, path, pointers)
	}
	return object, true
}

func (l *leaver) walkMap(object map[string]any, live any, path fieldpath.Path, pointers []ignore.Pointer) (any, bool) {
	there, ok := live.(map[string]any)
	if !ok {
		return object, true
	}
	out := maps.Clone(object)
	for key, v := range object {
		next := within(pointers, key)
		at := step(path, fieldpath.FieldNameElement(key))
		if len(next) == 0 || isIdentity(at) {
			continue
		}
		found, exists := there[key]
		if !exists && !slices.ContainsFunc(next, func(p ignore.Pointer) bool { return len(p) == 0 }) {
			continue
		}
		if v, keep := l.walk(v, found, at, next); keep {
			out[key] = v
		} else {
			delete(out, key)
		}
	}
	return out, len(out) > 0 || len(object) == 0
}

// walkList follows pointers into a list whose items Kubernetes merges by their keys.
func (l *leaver) walkList(object []any, live any, path fieldpath.Path, pointers []ignore.Pointer) (any, bool) {
	out := make([]any, 0, len(object))
	for i, item := range object {
		next := within(pointers, strconv.Itoa(i))
		element, known := l.element(path, item)
		found, exists := child(live, element)
		if len(next) == 0 || !known || !exists {
			out = append(out, item)
			continue
		}
		if v, keep := l.walk(item, found, step(path, element), next); keep {
			out = append(out, keyed(v, found, element))
		}
	}
	return out, len(out) > 0 || len(object) == 0
}

// leave answers what is to be sent of a value that is to be left as it is found, in a parent that the live object has.
func (l *leaver) leave(object, live any, path fieldpath.Path) (any, bool) {
	switch object := object.(type) {
	case map[string]any:
		if l.whole(path) || len(object) == 0 {
			break
		}
		there, _ := live.(map[string]any)
		out := map[string]any{}
		for key, v := range object {
			at := step(path, fieldpath.FieldNameElement(key))
			if isIdentity(at) {
				out[key] = v
			} else if v, keep := l.leave(v, there[key], at); keep {
				out[key] = v
			}
		}
		return out, len(out) > 0
	case []any:
		if !l.merged(path) {
			break
		}
		var out []any
		for _, item := range object {
			if v, keep := l.leaveItem(item, live, path); keep {
				out = append(out, v)
			}
		}
		return out, len(out) > 0
	}
	return live, l.oursAlone(path)
}

// leaveItem is leave of one item of a merged list. An item of which something is sent has its keys.
func (l *leaver) leaveItem(item, live any, path fieldpath.Path) (any, bool) {
	element, known := l.element(path, item)
	if !known {
		return nil, false // new to a list that is to stay as it is
	}
	at := step(path, element)
	found, exists := child(live, element)
	if !exists || element.Key == nil {
		return item, exists && l.oursAlone(at)
	}
	v, keep := l.leave(item, found, at)
	if !keep && !l.oursAlone(at) {
		return nil, false
	}
	return keyed(v, found, element), true
}

// keyed answers what is sent of an item of a merged list, with the fields by which it is found.
func keyed(item, live any, element fieldpath.PathElement) any {
	there, ok := live.(map[string]any)
	if element.Key == nil || !ok {
		return item
	}
	out := map[string]any{}
	if m, ok := item.(map[string]any); ok {
		maps.Copy(out, m)
	}
	for _, field := range *element.Key {
		out[field.Name] = there[field.Name]
	}
	return out
}

// overlay sets live values into a list or map that Kubernetes replaces as a whole. If that makes it what the live object has,
// it is left as it is found.
func (l *leaver) overlay(object, live any, path fieldpath.Path, pointers []ignore.Pointer) (any, bool) {
	out := replace(object, live, pointers)
	if reflect.DeepEqual(out, live) {
		return live, l.oursAlone(path)
	}
	return out, true
}

// replace answers a value with those of the live one where pointers mean them and both have them.
func replace(object, live any, pointers []ignore.Pointer) any {
	if slices.ContainsFunc(pointers, func(p ignore.Pointer) bool { return len(p) == 0 }) {
		return live
	}
	switch object := object.(type) {
	case map[string]any:
		there, _ := live.(map[string]any)
		out := maps.Clone(object)
		for key, v := range object {
			if found, ok := there[key]; ok {
				out[key] = replace(v, found, within(pointers, key))
			}
		}
		return out
	case []any:
		there, _ := live.([]any)
		out := slices.Clone(object)
		for i := range min(len(object), len(there)) {
			out[i] = replace(object[i], there[i], within(pointers, strconv.Itoa(i)))
		}
		return out
	}
	return object
}

// within answers what is left of the pointers that go on with a key or position.
func within(pointers []ignore.Pointer, key string) []ignore.Pointer {
	var next []ignore.Pointer
	for _, p := range pointers {
		if p[0] == key || p[0] == ignore.Any {
			next = append(next, p[1:])
		}
	}
	return next
}

// whole tells whether Kubernetes replaces a map as a whole: somebody has it, and nobody has anything in it.
func (l *leaver) whole(path fieldpath.Path) bool {
	if len(path) == 0 || !l.all.Has(path) {
		return false
	}
	below := under(l.all, path)
	return below == nil || below.Empty()
}

// merged tells whether Kubernetes merges a list's items: somebody has some of them.
func (l *leaver) merged(path fieldpath.Path) bool {
	below := under(l.all, path)
	return below != nil && !below.Empty()
}

// element answers how managedFields name an item of a merged list; false if the live object has none such.
func (l *leaver) element(path fieldpath.Path, item any) (fieldpath.PathElement, bool) {
	below := under(l.all, path)
	if below == nil {
		return fieldpath.PathElement{}, false
	}
	var found *fieldpath.PathElement
	look := func(e fieldpath.PathElement) {
		if found == nil && (e.Key != nil && hasKey(item, *e.Key, true) || e.Value != nil && value.Equals(*e.Value, value.NewValueInterface(item))) {
			found = &e
		}
	}
	below.Members.Iterate(look)
	below.Children.Iterate(look)
	if found == nil {
		return fieldpath.PathElement{}, false
	}
	return *found, true
}

// oursAlone tells whether we have a field, and nobody else has it or anything in it.
func (l *leaver) oursAlone(path fieldpath.Path) bool {
	return l.ours.Has(path) && !slices.ContainsFunc(l.others, func(o owner) bool { return touches(o.fields, path) })
}

func step(path fieldpath.Path, next fieldpath.PathElement) fieldpath.Path {
	return append(slices.Clip(path), next)
}

// isIdentity tells whether a field says which object this is, or whose: no rule is about those.
func isIdentity(path fieldpath.Path) bool {
	if len(path) > 3 {
		return false
	}
	var names [3]string
	for i, step := range path {
		if step.FieldName == nil {
			return false
		}
		names[i] = *step.FieldName
	}
	switch names {
	case [3]string{"apiVersion"}, [3]string{"kind"}, [3]string{"metadata", "name"}, [3]string{"metadata", "namespace"},
		[3]string{"metadata", "labels", yardarmv1.LabelBundle}, [3]string{"metadata", "annotations", yardarmv1.AnnotationOwner}:
		return true
	}
	return false
}
