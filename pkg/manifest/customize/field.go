package customize

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// Field is one field of an object, or one item of a list that patches merge: what a patch can set, or take away, and leave all else as it is.
type Field struct {
	target *yardarmv1.ObjectSelector
	steps  []place
	// literal says that nobody looks for expressions in the object.
	literal bool
}

// place is one step to a field: the key of a map, or the item of a list that has a value at its merge key.
type place struct {
	key  string
	item any // nil for a map's key
}

var errNoField = errors.New("the object, as it is published, has no such field")

// FieldAt finds the field that a path names, as reports and differences have it: spec.template.spec.containers[name=web].image,
// metadata.labels[app.kubernetes.io/name]. The object has to have it.
func FieldAt(object manifest.Object, path string) (*Field, error) {
	f := &Field{target: &yardarmv1.ObjectSelector{Group: object.Group(), Kind: object.Kind(), Name: object.Name(), Namespace: object.Namespace()}}
	if value, _ := object.Annotation(yardarmv1.AnnotationSubstitute); value == "false" {
		f.literal = true
	}
	var at any = map[string]any(object)
	typ := mergeTypeOf(object)
	var list mergeField // of the list that at is
	for rest := path; rest != ""; {
		var text string
		text, rest = nextStep(rest)
		switch parent := at.(type) {
		case map[string]any:
			value, there := parent[text]
			if !there {
				return nil, errNoField
			}
			list = typ.field(text)
			at, typ = value, list.typ
			f.steps = append(f.steps, place{key: text})
		case []any:
			if !list.merged() || list.key == "" {
				return nil, errors.New("it is in a list that patches can only replace as a whole; change the manifest instead")
			}
			i := itemNamed(parent, text)
			if i < 0 {
				return nil, errNoField
			}
			item := parent[i].(map[string]any)
			if !isScalar(item[list.key]) {
				return nil, errNoField
			}
			step := place{key: list.key, item: item[list.key]}
			if step.find(parent) < i || step.find(parent[i+1:]) >= 0 {
				return nil, fmt.Errorf("several items of its list have the same %s, by which patches tell them apart; change the manifest instead", list.key)
			}
			at = item
			f.steps = append(f.steps, step)
		default:
			return nil, errNoField
		}
	}
	if len(f.steps) == 0 {
		return nil, errNoField
	}
	return f, nil
}

// nextStep cuts the first step off a path: what is before a dot or a bracket, or in brackets.
func nextStep(path string) (step, rest string) {
	if inner, ok := strings.CutPrefix(path, "["); ok {
		step, rest, _ = strings.Cut(inner, "]")
	} else if end := strings.IndexAny(path, ".["); end >= 0 {
		step, rest = path[:end], path[end:]
	} else {
		return path, ""
	}
	return step, strings.TrimPrefix(rest, ".")
}

// itemNamed is the place of the item that a step such as "name=web" or "port=80,protocol=TCP" names, -1 for none. A manifest may leave out parts of the
// key that the API server fills in, but not all.
func itemNamed(list []any, step string) int {
	return slices.IndexFunc(list, func(item any) bool {
		m, _ := item.(map[string]any)
		found := false
		for part := range strings.SplitSeq(step, ",") {
			key, want, ok := strings.Cut(part, "=")
			if !ok || key == "" {
				return false
			}
			value, there := m[key]
			if there && fmt.Sprint(value) != want {
				return false
			}
			found = found || there
		}
		return found
	})
}

// In answers the value that another state of the object has there.
func (f *Field) In(object manifest.Object) (value any, there bool) {
	value = map[string]any(object)
	for _, step := range f.steps {
		if step.item != nil {
			list, _ := value.([]any)
			i := step.find(list)
			if i < 0 {
				return nil, false
			}
			value = list[i]
			continue
		}
		m, _ := value.(map[string]any)
		if value, there = m[step.key]; !there {
			return nil, false
		}
	}
	return value, true
}

// Without is a copy of the object that does not have the field.
func (f *Field) Without(object manifest.Object) manifest.Object {
	out := object.Clone()
	if _, there := f.In(out); there {
		without(map[string]any(out), f.steps)
	}
	return out
}

func without(parent any, steps []place) any {
	step, last := steps[0], len(steps) == 1
	switch parent := parent.(type) {
	case map[string]any:
		if last {
			delete(parent, step.key)
		} else {
			parent[step.key] = without(parent[step.key], steps[1:])
		}
	case []any:
		i := step.find(parent)
		if last {
			return slices.Delete(parent, i, i+1)
		}
		parent[i] = without(parent[i], steps[1:])
	}
	return parent
}

// find is the place of a step's item in a list, -1 if it has none.
func (p place) find(list []any) int {
	return slices.IndexFunc(list, func(item any) bool {
		m, _ := item.(map[string]any)
		return m != nil && reflect.DeepEqual(m[p.key], p.item)
	})
}

// Set is a patch that gives the field, which is no item of a list, a value. Under substitution, what looks like an expression in it stays the text that
// it is.
func (f *Field) Set(value any, substitute bool) *yardarmv1.Patch {
	if substitute && !f.literal {
		value = verbatim(value)
	}
	if m, ok := value.(map[string]any); ok {
		whole := map[string]any{directive: "replace"}
		for key, v := range m {
			whole[key] = v
		}
		value = whole
	}
	return f.patch(value)
}

// Remove is a patch that takes the field away.
func (f *Field) Remove() *yardarmv1.Patch {
	if last := f.steps[len(f.steps)-1]; last.item != nil {
		return f.patch(map[string]any{directive: "delete"})
	}
	return f.patch(nil)
}

// patch is one with a value at the field. Its text is canonical, so that patches of one field differ only in the value.
func (f *Field) patch(value any) *yardarmv1.Patch {
	for _, step := range slices.Backward(f.steps) {
		if step.item == nil {
			value = map[string]any{step.key: value}
			continue
		}
		item, ok := value.(map[string]any)
		if !ok {
			item = map[string]any{}
		}
		item[step.key] = step.item
		value = []any{item}
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	_ = e.Encode(value) // of values that came out of JSON
	return &yardarmv1.Patch{Target: f.target, Patch: strings.TrimSpace(text.String())}
}

// Changed tells whether a patch is one that Set or Remove has made of the same field.
func (f *Field) Changed(p *yardarmv1.Patch) bool {
	if p.GetPatch() == f.Remove().Patch {
		return true
	}
	const mark = "\x00"
	before, after, _ := strings.Cut(f.patch(mark).Patch, `"\u0000"`)
	value, ok := strings.CutPrefix(p.GetPatch(), before)
	if !ok {
		return false
	}
	value, ok = strings.CutSuffix(value, after)
	return ok && json.Valid([]byte(value))
}

// Target is the one object that the field is of.
func (f *Field) Target() *yardarmv1.ObjectSelector { return f.target }

// verbatim writes texts so that substitution makes of them what they are.
func verbatim(v any) any {
	switch v := v.(type) {
	case string:
		var b strings.Builder
		for i := range len(v) {
			if begins(v[i:]) {
				b.WriteByte('$')
			}
			b.WriteByte(v[i])
		}
		return b.String()
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = verbatim(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = verbatim(item)
		}
		return out
	}
	return v
}
