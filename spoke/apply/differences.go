package apply

import (
	"maps"
	"reflect"
	"slices"
	"strconv"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// bookkeeping are the fields that differ after every apply, or that say only whose an object is.
var bookkeeping = map[string]bool{
	"metadata.managedFields":                            true,
	"metadata.resourceVersion":                          true,
	"metadata.generation":                               true,
	"metadata.labels." + yardarmv1.LabelBundle:          true,
	"metadata.annotations." + yardarmv1.AnnotationOwner: true,
}

// differences answers the paths of the fields in which two states of an object differ, ascending.
func differences(a, b map[string]any) []string {
	var paths []string
	compare("", a, b, &paths)
	return paths
}

func compare(path string, a, b any, paths *[]string) {
	if bookkeeping[path] || reflect.DeepEqual(a, b) {
		return
	}
	if x, y, ok := mapsOf(a, b); ok {
		names := slices.AppendSeq(slices.Collect(maps.Keys(x)), maps.Keys(y))
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			below := name
			if path != "" {
				below = path + "." + name
			}
			compare(below, x[name], y[name], paths)
		}
		return
	}
	if x, ok := a.([]any); ok {
		if y, ok := b.([]any); ok && len(x) == len(y) {
			for i := range x {
				compare(path+"["+strconv.Itoa(i)+"]", x[i], y[i], paths)
			}
			return
		}
	}
	*paths = append(*paths, clip(path))
}

// mapsOf answers a and b as maps, of which one may be missing: then the other's fields are what differs.
func mapsOf(a, b any) (x, y map[string]any, ok bool) {
	x, isX := a.(map[string]any)
	y, isY := b.(map[string]any)
	return x, y, (isX || a == nil) && (isY || b == nil) && len(x)+len(y) > 0
}
