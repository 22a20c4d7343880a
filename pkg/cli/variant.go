package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/render"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// noVariant is what is rendered without one.
const noVariant = "(none)"

// revisionDigest is a revision's digest in short, or how many variants it has.
func revisionDigest(r *yardarmv1.RevisionSpec) string {
	if n := len(r.GetVariants()); n > 0 {
		return plural(n, "variant")
	}
	return shortDigest(r.GetDigest())
}

// revisionObjects is how many objects a revision has, from the fewest to the most of its variants, as in "12-14".
func revisionObjects(r *yardarmv1.RevisionSpec) string {
	all := r.Artifacts()
	by := func(a, b *yardarmv1.RevisionVariant) int { return cmp.Compare(a.GetObjects(), b.GetObjects()) }
	least, most := slices.MinFunc(all, by).GetObjects(), slices.MaxFunc(all, by).GetObjects()
	if least == most {
		return fmt.Sprint(most)
	}
	return fmt.Sprintf("%d-%d", least, most)
}

// variants lists the artifacts of a revision that has several, and the groups that each is for.
func (d *sheet) variants(r *yardarmv1.RevisionSpec) {
	t := d.table("VARIANT", "DIGEST", "OBJECTS", "SIZE", "GROUPS")
	for _, v := range r.GetVariants() {
		var groups []string
		for _, target := range r.GetTargets() {
			if target.GetVariant() == v.GetName() {
				groups = append(groups, target.GetGroup())
			}
		}
		t.Add(table.Text(cmp.Or(v.GetName(), noVariant)), table.Text(v.GetDigest()), table.Text(fmt.Sprint(v.GetObjects())), table.Text(size(v.GetSize())),
			table.Text(cmp.Or(strings.Join(groups, ", "), "-")))
	}
	d.write(t)
}

// asFlags have `yardarm render` do what the hub does for a bundle's source.
type asFlags struct{ file, variant string }

// input is how the bundle in the file says that its source is rendered.
func (f *asFlags) input(a *app) (render.Input, error) {
	files, err := a.resourceFiles([]string{f.file}, false)
	if err != nil {
		return render.Input{}, err
	}
	documents, err := resource.Decode(files)
	if err != nil {
		return render.Input{}, err
	}
	var bundle *yardarmv1.Bundle
	for _, d := range documents {
		b := d.Resource.GetBundle()
		switch {
		case b == nil:
			continue
		case bundle != nil:
			return render.Input{}, usage("--as %s: there are several bundles in it, and one is needed", f.file)
		}
		bundle = b
	}
	source := bundle.GetSpec().GetSource()
	if source == nil {
		return render.Input{}, usage("--as %s: there is no bundle with a source in it", f.file)
	}
	in := render.Input{Name: bundle.GetMetadata().GetName(), Namespace: bundle.GetSpec().GetDelivery().GetNamespace(), Rendering: source.GetRendering()}
	if f.variant == "" {
		return in, nil
	}
	var names []string
	for _, v := range source.GetVariants() {
		if v.GetName() == f.variant {
			in.Variant = v
			return in, nil
		}
		names = append(names, v.GetName())
	}
	return in, usage("--variant %s: the bundle's source has %s", f.variant, cmp.Or(strings.Join(names, ", "), "none"))
}
