package api

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// snapshot is a revision with a content, and with what it takes of its bundle's spec: all that assignments follow from, so that changing any of it is a
// change of revision like any other. Targets are those up to the last with a customization, and none where none has one: the order of the others means
// nothing. With variants it is all of them: each says which one it gets.
func snapshot(spec *yardarmv1.BundleSpec, content *yardarmv1.RevisionSpec) *yardarmv1.RevisionSpec {
	out := &yardarmv1.RevisionSpec{
		Digest: content.GetDigest(), Size: content.GetSize(), Objects: content.GetObjects(),
		Delivery: effective(spec.GetDelivery()), Customization: said(spec.GetCustomization()),
	}
	for _, variant := range content.GetVariants() {
		out.Variants = append(out.Variants, proto.CloneOf(variant))
	}
	targets := customized(spec.GetTargets())
	if len(out.Variants) > 0 {
		targets = spec.GetTargets()
	}
	for _, t := range targets {
		target := &yardarmv1.Target{Group: t.GetGroup(), Customization: said(t.GetCustomization())}
		if len(out.Variants) > 0 {
			target.Variant = t.GetVariant()
		}
		out.Targets = append(out.Targets, target)
	}
	return out
}

// customized are the targets up to the last with a customization.
func customized(targets []*yardarmv1.Target) []*yardarmv1.Target {
	for last := len(targets); last > 0; last-- {
		if said(targets[last-1].GetCustomization()) != nil {
			return targets[:last]
		}
	}
	return nil
}

// said is a copy of a customization; nil if it says nothing.
func said(c *yardarmv1.Customization) *yardarmv1.Customization {
	if proto.Size(c) == 0 {
		return nil
	}
	return proto.CloneOf(c)
}

// sameContent tells whether two revisions put the same into every cluster.
func sameContent(a, b *yardarmv1.RevisionSpec) bool {
	return a.GetDigest() == b.GetDigest() && len(changed(a, b)) == 0
}

// changed says in which parts the snapshots of two revisions differ.
func changed(a, b *yardarmv1.RevisionSpec) []string {
	var parts []string
	if !proto.Equal(effective(a.GetDelivery()), effective(b.GetDelivery())) {
		parts = append(parts, "delivery policy")
	}
	same := slices.EqualFunc(customized(a.GetTargets()), customized(b.GetTargets()), func(x, y *yardarmv1.Target) bool {
		return x.GetGroup() == y.GetGroup() && proto.Equal(x.GetCustomization(), y.GetCustomization())
	})
	if !same || !proto.Equal(a.GetCustomization(), b.GetCustomization()) {
		parts = append(parts, "customization")
	}
	same = slices.EqualFunc(a.GetTargets(), b.GetTargets(), func(x, y *yardarmv1.Target) bool {
		return x.GetGroup() == y.GetGroup() && x.GetVariant() == y.GetVariant()
	})
	if len(a.GetVariants())+len(b.GetVariants()) > 0 && !(same && sameArtifacts(a, b)) {
		parts = append(parts, "variants")
	}
	return parts
}

// restore gives a bundle's spec what a revision has snapshotted of it, and tells whether that changes anything. Which groups the bundle is for stays as
// it is: that is no part of a revision. So does which variants they get of which the revision says nothing.
func restore(spec *yardarmv1.BundleSpec, r *yardarmv1.RevisionSpec) bool {
	before := proto.CloneOf(spec)
	if !proto.Equal(effective(spec.Delivery), r.Delivery) {
		spec.Delivery = proto.CloneOf(r.Delivery)
	}
	if !proto.Equal(said(spec.Customization), r.Customization) {
		spec.Customization = proto.CloneOf(r.Customization)
	}
	spec.Targets = retarget(r.Targets, groupsOf(spec.Targets))
	for _, t := range before.GetTargets() {
		if len(r.Variants) == 0 || !slices.Contains(groupsOf(r.Targets), t.GetGroup()) {
			spec.Targets[slices.Index(groupsOf(spec.Targets), t.GetGroup())].Variant = t.GetVariant()
		}
	}
	return !proto.Equal(before, spec)
}

// retarget is a list of targets with these groups: those that are among the targets before come first, in their order and as they are.
func retarget(before []*yardarmv1.Target, groups []string) []*yardarmv1.Target {
	var out []*yardarmv1.Target
	for _, t := range before {
		if slices.Contains(groups, t.GetGroup()) {
			out = append(out, proto.CloneOf(t))
		}
	}
	for _, group := range groups {
		if !slices.Contains(groupsOf(before), group) {
			out = append(out, &yardarmv1.Target{Group: group})
		}
	}
	return out
}

func groupsOf(targets []*yardarmv1.Target) []string {
	groups := make([]string, 0, len(targets))
	for _, t := range targets {
		groups = append(groups, t.GetGroup())
	}
	return groups
}

// labelsUsed are the labels of clusters that a revision refers to: by its artifact where anybody substitutes in it, and by its customizations.
func (c *change) labelsUsed(r *yardarmv1.RevisionSpec) ([]string, error) {
	customizations := []*yardarmv1.Customization{r.Customization}
	for _, t := range r.Targets {
		customizations = append(customizations, t.Customization)
	}
	var used []string
	substitutes := false
	for _, x := range customizations {
		substitutes = substitutes || x.GetSubstitute()
		used = append(used, customize.Labels(x)...)
	}
	if !substitutes {
		return nil, nil
	}
	for _, digest := range r.Digests() {
		inArtifact, err := c.labelsIn(digest)
		if err != nil {
			return nil, err
		}
		used = append(used, inArtifact...)
	}
	slices.Sort(used)
	return slices.Compact(used), nil
}

// labelsIn are the labels of clusters that an artifact refers to. A hub of format 1 did not look for them: then it is done here, once.
func (c *change) labelsIn(digest string) ([]string, error) {
	row := c.Artifact(digest)
	if row == nil || row.LabelsKnown {
		return row.GetLabels(), nil
	}
	encoded, err := c.content(digest)
	if err != nil {
		return nil, err
	}
	canonical, err := manifest.Decompress(encoded, int(row.Size))
	if err != nil {
		return nil, err
	}
	row = proto.CloneOf(row)
	row.Labels, row.LabelsKnown = customize.LabelsIn(canonical), true
	return row.Labels, c.PutArtifact(row, nil)
}
