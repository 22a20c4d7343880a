package customize

import (
	_ "embed"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// mergeKeys says how the lists of Kubernetes' own kinds are merged. It is generated from k8s.io/api, whose types would be megabytes of
// program:
//
//	kind apps/v1/Deployment apps/v1.Deployment          apiVersion/kind, and its type
//	type core/v1.PodSpec                                a type, and those of its fields that there is something to say of:
//		volumes core/v1.Volume merge,retainKeys name    name, type or "-", strategies, merge key
//
//go:embed mergekeys.txt
var mergeKeys string

// mergeType is what is known of a type; nil is nothing.
type mergeType struct{ fields map[string]mergeField }

type mergeField struct {
	typ        *mergeType // of the value, or of a list's items
	strategies []string
	key        string // of lists of maps that are merged
}

// field answers what is known of a field: the zero value for most.
func (t *mergeType) field(name string) mergeField {
	if t == nil {
		return mergeField{}
	}
	return t.fields[name]
}

// merged tells whether lists in the field are merged rather than replaced.
func (f mergeField) merged() bool {
	for _, s := range f.strategies {
		if s == "merge" {
			return true
		}
	}
	return false
}

// mergeTypes are the types by apiVersion/kind. They are read once, by the first who has a patch.
var mergeTypes = sync.OnceValue(func() map[string]*mergeType {
	types := map[string]*mergeType{}
	named := func(name string) *mergeType {
		if name == "-" {
			return nil
		}
		if types[name] == nil {
			types[name] = &mergeType{fields: map[string]mergeField{}}
		}
		return types[name]
	}
	kinds := map[string]*mergeType{}
	var current *mergeType
	for line := range strings.Lines(mergeKeys) {
		words := strings.Fields(line)
		switch {
		case words[0] == "#":
		case words[0] == "kind":
			kinds[words[1]] = named(words[2])
		case words[0] == "type":
			current = named(words[1])
		default:
			f := mergeField{typ: named(words[1])}
			if len(words) > 2 {
				f.strategies = strings.Split(words[2], ",")
			}
			if len(words) > 3 {
				f.key = words[3]
			}
			current.fields[words[0]] = f
		}
	}
	return kinds
})

func mergeTypeOf(object manifest.Object) *mergeType {
	return mergeTypes()[object.APIVersion()+"/"+object.Kind()]
}

// lookup hands a type to strategicpatch. What is not known is nothing special: a field of a newer Kubernetes, or of a kind that is not built in.
type lookup struct{ typ *mergeType }

func (l lookup) LookupPatchMetadataForStruct(key string) (strategicpatch.LookupPatchMeta, strategicpatch.PatchMeta, error) {
	f := l.typ.field(key)
	var meta strategicpatch.PatchMeta
	meta.SetPatchStrategies(f.strategies)
	meta.SetPatchMergeKey(f.key)
	return lookup{f.typ}, meta, nil
}

func (l lookup) LookupPatchMetadataForSlice(key string) (strategicpatch.LookupPatchMeta, strategicpatch.PatchMeta, error) {
	return l.LookupPatchMetadataForStruct(key)
}

func (l lookup) Name() string { return "object" }
