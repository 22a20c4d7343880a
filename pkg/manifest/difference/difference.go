// Package difference tells which fields of an object differ between two versions of its manifest. It compares what is published with what is to be; what
// differs in a live object is for spoke/drift, which knows who has a field.
package difference

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const (
	// maxFields bounds what is told of one object; the others are counted.
	maxFields = 20
	// maxValue bounds a value, in bytes of JSON: what a report tells of a drift, too.
	maxValue = 256
	// masked stands for every value of a Secret.
	masked = "(secret)"
)

// Field is one that differs. Before and After are JSON, bounded, and masked where they are secret; empty where there is no such field.
type Field struct{ Path, Before, After string }

// Between answers the first fields in which two versions of an object differ, in the order of their paths, and how many more there are. Items of lists are
// told apart by their names where all have one, as containers have, and by their places otherwise.
func Between(before, after manifest.Object) (fields []Field, more int) {
	c := comparison{secret: after.Group() == "" && after.Kind() == "Secret"}
	c.maps("", before, after)
	return c.fields, c.more
}

type comparison struct {
	secret bool
	fields []Field
	more   int
}

func (c *comparison) maps(path string, before, after map[string]any) {
	keys := map[string]bool{}
	for key := range before {
		keys[key] = true
	}
	for key := range after {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		b, had := before[key]
		a, has := after[key]
		c.values(manifest.JoinKey(path, key), b, had, a, has)
	}
}

func (c *comparison) values(path string, before any, had bool, after any, has bool) {
	if had && has {
		b, bMap := before.(map[string]any)
		a, aMap := after.(map[string]any)
		if bMap && aMap {
			c.maps(path, b, a)
			return
		}
		bList, bIs := before.([]any)
		aList, aIs := after.([]any)
		if bIs && aIs {
			c.lists(path, bList, aList)
			return
		}
	}
	f := Field{Path: path}
	if had {
		f.Before = encode(before)
	}
	if has {
		f.After = encode(after)
	}
	if f.Before == f.After {
		return
	}
	if len(c.fields) == maxFields {
		c.more++
		return
	}
	c.fields = append(c.fields, c.show(f))
}

func (c *comparison) show(f Field) Field {
	for _, value := range []*string{&f.Before, &f.After} {
		if c.secret && *value != "" {
			*value = masked
		}
		*value = cut(*value)
	}
	return f
}

func (c *comparison) lists(path string, before, after []any) {
	b, a := byName(before), byName(after)
	if b == nil || a == nil {
		for i := range max(len(before), len(after)) {
			var x, y any
			if i < len(before) {
				x = before[i]
			}
			if i < len(after) {
				y = after[i]
			}
			c.values(manifest.JoinIndex(path, i), x, i < len(before), y, i < len(after))
		}
		return
	}
	names := slices.Collect(maps.Keys(b))
	for name := range a {
		if _, ok := b[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		x, had := b[name]
		y, has := a[name]
		c.values(path+"[name="+cut(name)+"]", x, had, y, has)
	}
}

// byName answers the items of a list by their names; nil unless each has one of its own.
func byName(items []any) map[string]any {
	out := make(map[string]any, len(items))
	for _, item := range items {
		m, _ := item.(map[string]any)
		name, ok := m["name"].(string)
		if _, twice := out[name]; !ok || twice {
			return nil
		}
		out[name] = item
	}
	return out
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return ""
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func cut(s string) string {
	if len(s) <= maxValue {
		return s
	}
	n := maxValue
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
