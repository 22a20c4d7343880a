package yardarmv1

import (
	"slices"
	"strings"
)

// Artifacts are those of a revision: one for each variant, or the only one, which has no name.
func (s *RevisionSpec) Artifacts() []*RevisionVariant {
	if len(s.GetVariants()) > 0 {
		return s.Variants
	}
	return []*RevisionVariant{{Digest: s.GetDigest(), Size: s.GetSize(), Objects: s.GetObjects()}}
}

// Variant is the artifact of a revision's variant, or nil. A revision without variants has one artifact, whatever is asked for.
func (s *RevisionSpec) Variant(name string) *RevisionVariant {
	if len(s.GetVariants()) == 0 {
		return s.Artifacts()[0]
	}
	if i := slices.IndexFunc(s.Variants, func(v *RevisionVariant) bool { return v.GetName() == name }); i >= 0 {
		return s.Variants[i]
	}
	return nil
}

// Digests are those of a revision's artifacts, each once.
func (s *RevisionSpec) Digests() []string {
	var out []string
	for _, a := range s.Artifacts() {
		if !slices.Contains(out, a.GetDigest()) {
			out = append(out, a.GetDigest())
		}
	}
	return out
}

// Renderings is what is to be rendered of a bundle's source: without a variant first, if there are none or any target asks for it, and then its variants by name.
func (s *BundleSpec) Renderings() []*Variant {
	out := slices.SortedFunc(slices.Values(s.GetSource().GetVariants()), func(a, b *Variant) int { return strings.Compare(a.GetName(), b.GetName()) })
	asked := len(out) == 0 || len(s.GetTargets()) == 0 || slices.ContainsFunc(s.Targets, func(t *Target) bool { return t.GetVariant() == "" })
	if asked {
		out = slices.Insert(out, 0, &Variant{})
	}
	return out
}
