package customize

import (
	"maps"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Labels answers the keys of the labels that expressions in patches and variables refer to, sorted, whether or not c substitutes: a target
// may ask for it where the bundle does not.
func Labels(c *yardarmv1.Customization) []string { return references(c, sourceLabels) }

// Facts answers the facts that expressions in patches and variables refer to, sorted.
func Facts(c *yardarmv1.Customization) []string { return references(c, sourceFacts) }

// LabelsIn answers the keys of the labels that expressions in an artifact refer to, sorted. It reads the canonical bytes as they are, and errs on
// the side of too many.
func LabelsIn(canonical []byte) []string { return referencesIn(string(canonical), sourceLabels) }

// FactsIn answers the facts that expressions in an artifact refer to, as LabelsIn does.
func FactsIn(canonical []byte) []string {
	return slices.DeleteFunc(referencesIn(string(canonical), sourceFacts), func(name string) bool { return factOf[name] == nil })
}

func references(c *yardarmv1.Customization, source string) []string {
	found := map[string]bool{}
	note := func(s string) {
		for _, t := range tokens(s) {
			if t.expression != nil && t.expression.source == source {
				found[t.expression.key] = true
			}
		}
	}
	for i, p := range c.GetPatches() {
		if compiled, _ := compile(i, p); compiled != nil {
			eachString(compiled.value(), note)
		}
	}
	for _, value := range c.GetVariables() {
		note(value)
	}
	return sortedKeys(found)
}

// referencesIn looks for the beginnings of expressions: neither they nor keys have a character that JSON escapes.
func referencesIn(s, source string) []string {
	found := map[string]bool{}
	for {
		_, rest, ok := strings.Cut(s, "${"+source+".")
		if !ok {
			return sortedKeys(found)
		}
		end := strings.IndexFunc(rest, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._/-", r)
		})
		if end < 0 {
			end = len(rest)
		}
		// The dash of ":-" follows a colon, which no key has.
		if key := rest[:end]; key != "" {
			found[key] = true
		}
		s = rest
	}
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

// value is what the patch was parsed to.
func (p *patch) value() any {
	if p.merge != nil {
		return p.merge
	}
	return p.list
}

// eachString calls fn with every string value in v, in no order.
func eachString(v any, fn func(string)) {
	switch v := v.(type) {
	case string:
		fn(v)
	case map[string]any:
		for _, item := range v {
			eachString(item, fn)
		}
	case []any:
		for _, item := range v {
			eachString(item, fn)
		}
	}
}
