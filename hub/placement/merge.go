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
	return said(out)
}

// In is a customization as one cluster gets it: without the patches that are for others, and without the names that its own are for. It is c itself where
// no patch names clusters, and nil if nothing is said.
func In(c *yardarmv1.Customization, cluster string) *yardarmv1.Customization {
	if !slices.ContainsFunc(c.GetPatches(), namesClusters) {
		return c
	}
	out := &yardarmv1.Customization{Substitute: c.Substitute, Variables: c.Variables, Language: c.Language}
	for _, p := range c.Patches {
		switch {
		case len(p.GetClusters()) == 0:
			out.Patches = append(out.Patches, p)
		case slices.Contains(p.GetClusters(), cluster):
			out.Patches = append(out.Patches, &yardarmv1.Patch{Target: p.GetTarget(), Patch: p.GetPatch()})
		}
	}
	return said(out)
}

func namesClusters(p *yardarmv1.Patch) bool { return len(p.GetClusters()) > 0 }

// said is nil for a customization that says nothing.
func said(c *yardarmv1.Customization) *yardarmv1.Customization {
	if len(c.Patches) == 0 && !c.Substitute && len(c.Variables) == 0 {
		return nil
	}
	return c
}
