package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/render"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxVariants is how many variants a source may have, as the proto says: each is rendered and kept with each revision.
const maxVariants = 16

// variants checks those of a source, and those that targets name.
func (c checker) variants(spec *yardarmv1.BundleSpec) {
	source := spec.GetSource()
	if n := len(source.GetVariants()); n > maxVariants {
		c.add("source.variants", fmt.Sprintf("has %d entries; at most %d are rendered", n, maxVariants))
		return
	}
	var names []string
	for i, variant := range source.GetVariants() {
		at := c.at(fmt.Sprintf("source.variants[%d].", i))
		at.name("name", variant.GetName())
		if slices.Contains(names, variant.GetName()) {
			at.add("name", fmt.Sprintf("is %q a second time", clip(variant.GetName())))
		}
		names = append(names, variant.GetName())
		if source.GetHelm() != nil && variant.GetPath() != "" {
			at.add("path", "is for repositories and artifacts; the chart is what the source names")
		}
		if err := render.CheckVariant(source.GetRendering(), variant); err != nil {
			field, message, _ := strings.Cut(err.Error(), ": ")
			at.add(field, message)
		}
	}
	slices.Sort(names)
	for i, t := range spec.GetTargets() {
		if t.GetVariant() == "" || slices.Contains(names, t.GetVariant()) {
			continue
		}
		there := "the bundle's source has none"
		if len(names) > 0 {
			there = "the bundle's source has " + strings.Join(names, ", ")
		}
		c.add(fmt.Sprintf("targets[%d].variant", i), fmt.Sprintf("names %q, and %s", clip(t.GetVariant()), there))
	}
}

// SourceRendering is what a source has come to, by one of its variants; the name is empty without one.
type SourceRendering struct {
	Variant string
	Files   []manifest.File
}

// artifacts are those of a revision.
type artifacts struct {
	content *yardarmv1.RevisionSpec
	all     []*artifact
}

// parseAll makes artifacts of what a source has come to. All of them together may be as large as one may be by itself.
func (s *Server) parseAll(ctx context.Context, renderings []SourceRendering) (artifacts, error) {
	var out artifacts
	size := 0
	for _, r := range renderings {
		a, err := s.parse(ctx, r.Files)
		if err != nil {
			return artifacts{}, ofVariant(r.Variant, err)
		}
		if size += len(a.canonical); size > s.cfg.Limits.MaxArtifactSize {
			return artifacts{}, refuse(codes.InvalidArgument, reasonTooLarge, nil,
				fmt.Sprintf("the variants are larger than %d bytes together; split the bundle, or raise the hub's limit", s.cfg.Limits.MaxArtifactSize))
		}
		if out.content == nil {
			out.content = proto.CloneOf(a.content)
		}
		if r.Variant != "" || len(renderings) > 1 {
			out.content.Variants = append(out.content.Variants, &yardarmv1.RevisionVariant{Name: r.Variant, Digest: a.content.Digest, Size: a.content.Size, Objects: a.content.Objects})
		}
		out.all = append(out.all, a)
	}
	return out, nil
}

// ofVariant says which variant an error is about.
func ofVariant(variant string, err error) error {
	var refused *refusal
	if variant == "" {
		return err
	}
	if errors.As(err, &refused) {
		named := *refused
		named.message = fmt.Sprintf("variant %s: %s", variant, refused.message)
		return &named
	}
	return fmt.Errorf("variant %s: %w", variant, err)
}

// put keeps the artifacts that the store has not got.
func (a artifacts) put(c *change) error {
	for _, one := range a.all {
		if err := one.put(c); err != nil {
			return err
		}
	}
	return nil
}

// lacks answers the first target for whose variant a revision has no artifact; nil where it has all. Such a revision is never made: the clusters of the target would wait
// for something that does not come.
func lacks(r *yardarmv1.RevisionSpec) *yardarmv1.Target {
	for _, t := range r.GetTargets() {
		if r.Variant(t.GetVariant()) == nil {
			return t
		}
	}
	return nil
}

// sameArtifacts tells whether two revisions have the same for each variant.
func sameArtifacts(a, b *yardarmv1.RevisionSpec) bool {
	return slices.EqualFunc(a.Artifacts(), b.Artifacts(), func(x, y *yardarmv1.RevisionVariant) bool { return proto.Equal(x, y) })
}

// sameNames tells whether renderings are those that a bundle asks for now.
func sameNames(spec *yardarmv1.BundleSpec, renderings []SourceRendering) bool {
	return slices.EqualFunc(spec.Renderings(), renderings, func(v *yardarmv1.Variant, r SourceRendering) bool { return v.GetName() == r.Variant })
}
