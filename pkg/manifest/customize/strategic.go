package customize

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// Directives of strategic merge patches.
const (
	directive       = "$patch"
	retainKeys      = "$retainKeys"
	elementOrder    = "$setElementOrder/"
	deletePrimitive = "$deleteFromPrimitiveList/"
)

// mergeInto applies a strategic merge patch.
func (p *patch) mergeInto(object manifest.Object, work *budget) (out manifest.Object, err error) {
	if err := work.spend(p.size); err != nil {
		return nil, err
	}
	// The library changes what it is given, and keeps parts of it.
	merge := map[string]any(manifest.Object(p.merge).Clone())
	typ := mergeTypeOf(object)
	v := vetting{work: work}
	if err := v.mapping(merge, object, typ, ""); err != nil {
		return nil, err
	}
	// What the library takes for impossible it reports by a panic, and its errors quote whole objects; vetting leaves little of either.
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, errUnfit
		}
	}()
	merged, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(map[string]any(object), merge, lookup{typ})
	if err != nil {
		return nil, errUnfit
	}
	return manifest.Object(merged), nil
}

var errUnfit = errors.New("does not fit the object: lists that are to be merged must have items of one type, each with its merge key")

// vetting compares a strategic merge patch with what it is merged into, as far as that is there. It finds what the library would misread, take too
// long for, or complain about in words that quote values; and it takes directives away where there is nothing that they could be about, since the
// library would keep some of them as fields.
type vetting struct{ work *budget }

func unfit(path, format string, args ...any) error {
	if path == "" {
		return fmt.Errorf(format, args...)
	}
	return errors.New(path + ": " + fmt.Sprintf(format, args...))
}

func (v *vetting) mapping(patch, live map[string]any, typ *mergeType, path string) error {
	keys := slices.Sorted(maps.Keys(patch))
	for _, key := range keys {
		if err := v.directive(patch, key, typ, path); err != nil {
			return err
		}
	}
	if patch[directive] != nil {
		return nil // nothing in it is merged
	}
	for _, key := range keys {
		if isDirective(key) {
			continue
		}
		var err error
		at, f := manifest.JoinKey(path, key), typ.field(key)
		switch value := patch[key].(type) {
		case map[string]any:
			below, there := live[key].(map[string]any)
			if err = v.mapping(value, below, f.typ, at); !there {
				patch[key] = settle(value)
			}
		case []any:
			below, there := live[key].([]any)
			if err = v.list(value, below, f, at); !there {
				patch[key] = settle(value)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// directive checks a key of a map in the patch, if it is one.
func (v *vetting) directive(patch map[string]any, key string, typ *mergeType, path string) error {
	at, value := manifest.JoinKey(path, key), patch[key]
	if how, ok := patch[directive]; ok {
		switch {
		case how != "replace" && how != "delete":
			return unfit(manifest.JoinKey(path, directive), `must be "replace" or "delete"`)
		case path == "" && how == "delete":
			return errors.New(deleteWhole)
		case key != directive && (isDirective(key) || nestedDirective(value)):
			return unfit(at, "is a directive, or holds one, inside of what is replaced or deleted as a whole")
		}
		return nil
	}
	if !isDirective(key) {
		return nil
	}
	items, ok := value.([]any)
	if !ok {
		return unfit(at, "must be a list")
	}
	prefix, name, _ := strings.Cut(key, "/")
	f := typ.field(name)
	if err := v.items(items, f, prefix+"/" == elementOrder, at); err != nil || key == retainKeys {
		return err
	}
	if !f.merged() {
		return unfit(at, "is for lists that are merged, and %s is none", clip(name))
	}
	if _, both := patch[name]; both && prefix+"/" == deletePrimitive {
		return unfit(at, "stands beside %s, and which comes first is not known; make two patches of it", clip(name))
	}
	return nil
}

const deleteWhole = "a patch must not delete an object: to have it nowhere, take it out of the bundle; to have it in some clusters only, make it a bundle of its own"

// items checks the list of a directive: scalars, but for an order of maps, which are named by their merge keys.
func (v *vetting) items(items []any, f mergeField, order bool, path string) error {
	if len(items) > maxMerged {
		return unfit(path, "has more than %d items", maxMerged)
	}
	for i, item := range items {
		if m, ok := item.(map[string]any); ok && order && f.key != "" {
			item = m[f.key]
		}
		if !isScalar(item) {
			return unfit(manifest.JoinIndex(path, i), "must be a single value, or a map with the merge key of the list")
		}
	}
	return nil
}

// list checks a list, which is merged or replaced.
func (v *vetting) list(patch, live []any, f mergeField, path string) error {
	if !f.merged() {
		if nestedDirective(patch) {
			return unfit(path, "holds a directive, and has no merge key: the list is replaced as a whole")
		}
		return nil
	}
	if len(patch)+len(live) > maxMerged {
		return unfit(path, "would merge more than %d items", maxMerged)
	}
	// Each item is compared with each, which takes about as long as four bytes of anything else.
	if err := v.work.spend(4 * (len(patch) + len(live)) * (len(patch) + len(live))); err != nil {
		return err
	}
	keys := make(map[any]map[string]any, len(live))
	for i, item := range live {
		m, isMap := item.(map[string]any)
		if f.key == "" {
			if !isScalar(item) {
				return unfit(manifest.JoinIndex(path, i), "the object has something other than a single value here, so that the list cannot be merged")
			}
			continue
		}
		if !isMap || !isScalar(m[f.key]) {
			return unfit(manifest.JoinIndex(path, i), "the object's item has no %s, by which the list is merged", f.key)
		}
		keys[m[f.key]] = m
	}
	for i, item := range patch {
		at := manifest.JoinIndex(path, i)
		m, isMap := item.(map[string]any)
		switch {
		case f.key == "":
			if !isScalar(item) {
				return unfit(at, "must be a single value")
			}
			continue
		case !isMap:
			return unfit(at, "must be a map with %s, by which the list is merged", f.key)
		case m[directive] == "replace": // of the list
			for key, value := range m {
				if nestedDirective(value) {
					return unfit(manifest.JoinKey(at, key), "holds a directive inside of what is replaced as a whole")
				}
			}
			continue
		case !isScalar(m[f.key]):
			return unfit(at, "has no %s, by which the list is merged", f.key)
		}
		below, there := keys[m[f.key]]
		if err := v.mapping(m, below, f.typ, at); err != nil {
			return err
		}
		if !there && m[directive] == nil {
			settle(m)
		}
	}
	return nil
}

// settle makes what is new of a part of a patch: nothing is there that could be replaced, deleted or ordered. It answers nil for what is to be
// deleted, which then deletes nothing.
func settle(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v[directive] == "delete" {
			return nil
		}
		for key, value := range v {
			if isDirective(key) {
				delete(v, key)
			} else if v[key] = settle(value); v[key] == nil {
				delete(v, key)
			}
		}
		return v
	case []any:
		kept := make([]any, 0, len(v))
		for _, item := range v {
			m, isMap := item.(map[string]any)
			if isMap && m[directive] != nil {
				continue // of an item, or of the list
			}
			kept = append(kept, settle(item))
		}
		return kept
	}
	return v
}

func isScalar(v any) bool {
	switch v.(type) {
	case string, int64, float64, bool:
		return true
	}
	return false
}

func isDirective(key string) bool {
	return key == directive || key == retainKeys || strings.HasPrefix(key, elementOrder) || strings.HasPrefix(key, deletePrimitive)
}

// nestedDirective tells whether there is a directive anywhere in v.
func nestedDirective(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if isDirective(key) || nestedDirective(value) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, nestedDirective)
	}
	return false
}
