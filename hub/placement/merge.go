package placement

import (
	"maps"
	"slices"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Merge is a bundle's customization and then that of a target, as one: both patch, the target's patches last, and the
// target's variables replace those of the bundle. Either may be nil, and is not changed; what is returned may be one of them.
func Merge(bundle, target *yardarmv1.Customization) *yardarmv1.Customization {
	switch {
	case bundle == nil:
		return target
	case target == nil:
		return bundle
	}
	merged := &yardarmv1.Customization{
		Patches:    slices.Concat(bundle.Patches, target.Patches),
		Substitute: bundle.Substitute || target.Substitute,
		Variables:  maps.Clone(bundle.Variables),
		Language:   max(bundle.Language, target.Language),
	}
	if merged.Variables == nil {
		merged.Variables = map[string]string{}
	}
	maps.Copy(merged.Variables, target.Variables)
	return merged
}
