package customize

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// substitution replaces the expressions of one object.
type substitution struct {
	values *values
	report func(field, source, message string)
	// room is how many bytes may still be inserted: values can be longer than the expressions that stand for them.
	room int
	full bool
}

// substitutes tells whether the expressions of an object are to be replaced.
func substitutes(object manifest.Object, report func(field, source, message string)) bool {
	switch value, ok := object.Annotation(yardarmv1.AnnotationSubstitute); {
	case !ok || value == "true":
		return mentions(map[string]any(object))
	case value == "false":
		return false
	default:
		report(manifest.JoinKey("metadata.annotations", yardarmv1.AnnotationSubstitute), "", `must be "true" or "false"`)
		return false
	}
}

// mentions tells whether there may be an expression in a value. Most objects have none.
func mentions(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, "${")
	case map[string]any:
		for _, item := range v {
			if mentions(item) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, mentions)
	}
	return false
}

// in replaces the expressions in what is at a path, in place, and answers what stands there now. Maps are gone through by sorted keys,
// so that problems come in one order.
func (s *substitution) in(v any, path string) any {
	switch v := v.(type) {
	case string:
		return s.text(v, path)
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			v[key] = s.in(v[key], manifest.JoinKey(path, key))
		}
	case []any:
		for i, item := range v {
			v[i] = s.in(item, manifest.JoinIndex(path, i))
		}
	}
	return v
}

func (s *substitution) text(text, path string) any {
	if s.full || !strings.Contains(text, "${") {
		return text
	}
	parts := tokens(text)
	var b strings.Builder
	for _, t := range parts {
		if t.expression == nil && t.message == "" {
			b.WriteString(t.text)
			continue
		}
		value, message := s.evaluate(t, path, len(parts) == 1)
		if message != "" {
			s.report(path, clip(t.text), message)
			continue
		}
		if len(parts) == 1 {
			return value
		}
		b.WriteString(value.(string)) // a filter would have been refused
	}
	return b.String()
}

// evaluate answers the value of an expression; alone says that it is the whole text.
func (s *substitution) evaluate(t token, path string, alone bool) (value any, message string) {
	e := t.expression
	switch {
	case t.message != "":
		return nil, t.message
	case path == "metadata.name":
		return nil, "an object's name is the same in all clusters, so it cannot be made from values; to keep the text as it is, write $${"
	case e.filter != "" && !alone:
		return nil, fmt.Sprintf("with | %s, an expression must be the whole value", e.filter)
	}
	text, message := s.values.value(e)
	if message != "" {
		return nil, message
	}
	if s.room -= len(text); s.room < 0 {
		s.full = true
		return nil, "makes the object larger than etcd accepts"
	}
	return convert(text, e.filter)
}
