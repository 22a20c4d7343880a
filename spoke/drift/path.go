package drift

import (
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// maxPath bounds a path as it is told, in bytes: keys of maps can be anything.
const maxPath = 512

// text writes a path as people read it: spec.containers[name=web].image, metadata.labels[app.kubernetes.io/name],
// metadata.finalizers[=example.com/x].
func text(path fieldpath.Path) string {
	var b strings.Builder
	for _, step := range path {
		switch {
		case step.FieldName != nil && plain(*step.FieldName):
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(*step.FieldName)
		case step.FieldName != nil:
			b.WriteString("[" + *step.FieldName + "]")
		case step.Key != nil:
			parts := make([]string, len(*step.Key))
			for i, field := range *step.Key {
				parts[i] = field.Name + "=" + scalar(field.Value)
			}
			b.WriteString("[" + strings.Join(parts, ",") + "]")
		case step.Value != nil:
			b.WriteString("[=" + scalar(*step.Value) + "]")
		case step.Index != nil:
			b.WriteString("[" + strconv.Itoa(*step.Index) + "]")
		}
	}
	return cut(b.String(), maxPath)
}

func scalar(v value.Value) string { return fmt.Sprint(v.Unstructured()) }

// plain tells whether a key can follow a dot without being misread.
func plain(key string) bool {
	return key != "" && !strings.ContainsAny(key, ".[]= /")
}

// cut bounds a text, in bytes.
func cut(s string, limit int) string {
	const more = "…"
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len(more)], "") + more
}

// at answers the value that an object has at a path.
func at(object any, path fieldpath.Path) (any, bool) {
	for _, step := range path {
		next, ok := child(object, step)
		if !ok {
			return nil, false
		}
		object = next
	}
	return object, true
}

func child(parent any, step fieldpath.PathElement) (any, bool) {
	if step.FieldName != nil {
		m, _ := parent.(map[string]any)
		v, ok := m[*step.FieldName]
		return v, ok
	}
	list, _ := parent.([]any)
	for i, item := range list {
		switch {
		case step.Index != nil && *step.Index == i,
			step.Value != nil && value.Equals(*step.Value, value.NewValueInterface(item)),
			step.Key != nil && hasKey(item, *step.Key, false):
			return item, true
		}
	}
	return nil, false
}

// hasKey tells whether a list's item is the one that a key means. A manifest may leave out parts of the key that the API server
// fills in, such as a port's protocol: loose lets it, as long as it has one part.
func hasKey(item any, key value.FieldList, loose bool) bool {
	m, ok := item.(map[string]any)
	if !ok {
		return false
	}
	found := false
	for _, field := range key {
		v, ok := m[field.Name]
		switch {
		case ok && value.Equals(field.Value, value.NewValueInterface(v)):
			found = true
		case ok || !loose:
			return false
		}
	}
	return found
}
