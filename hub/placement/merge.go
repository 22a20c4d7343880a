package placement

import (
	"maps"
	"slices"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// language is the version of the language that customizations need: all that they can say is known since the first.
const language = 1

// Merge is the customization of a bundle in the clusters of one target: the bundle's patches and then the target's, the bundle's variables with the
// target's in place of those of the same name, and substitution if either asks for it. It is nil if nothing is said. Neither argument is changed, and
// the result shares their patches.
//
// It is here and not with the rest of the language (pkg/manifest/customize), which links Kubernetes' libraries for patches.
func Merge(bundle, target *yardarmv1.Customization) *yardarmv1.Customization {
	out := &yardarmv1.Customization{
		Patches:    slices.Concat(bundle.GetPatches(), target.GetPatches()),
		Substitute: bundle.GetSubstitute() || target.GetSubstitute(),
		Language:   language,
	}
	if len(bundle.GetVariables())+len(target.GetVariables()) > 0 {
		out.Variables = map[string]string{}
		maps.Copy(out.Variables, bundle.GetVariables())
		maps.Copy(out.Variables, target.GetVariables())
	}
	if len(out.Patches) == 0 && !out.Substitute && len(out.Variables) == 0 {
		return nil
	}
	return out
}
