package api

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// patch writes the values into the bundle's spec, for all clusters of their targets or for those that have them, and sees to it that they come to just that.
func (s *Server) patch(ctx context.Context, v view, a *driftAcceptance, specs map[string]*yardarmv1.AssignmentSpec, all bool) error {
	rows, weight := map[string]*storev1.Artifact{}, int64(0)
	for _, value := range a.values {
		digest := specs[value.clusters[0]].Digest
		if rows[digest] == nil {
			if rows[digest] = v.Artifact(digest); rows[digest] == nil {
				return artifactNotFound(manifest.Digest(digest))
			}
			weight += previewSize(rows[digest])
		}
	}
	turn, cancel := s.turn(ctx, "previews")
	defer cancel()
	leave, err := s.enterPreview(turn)
	if err != nil {
		return err
	}
	defer leave()
	share, err := s.downloads.take(turn, weight)
	if err != nil {
		return err
	}
	defer share.keep(0)
	render := func(spec *yardarmv1.AssignmentSpec) (*manifest.Set, error) {
		return s.render(rows[spec.Digest], spec, v.Observed(v.ClusterByName(spec.Cluster).Metadata.Uid).GetFacts(), v.files(a.bundle.Metadata.Uid, spec.Revision, spec.Digest))
	}
	// One cluster stands for all that have the same values.
	before, targets := map[string]*manifest.Set{}, map[string]int{}
	for i, value := range a.values {
		example := value.clusters[0]
		if all && slices.ContainsFunc(a.values[:i], func(o *liveValue) bool { return o.object == value.object && o.path == value.path }) {
			return notDrifted(a.bundle, fmt.Sprintf("%s %s has other values in some of these clusters than in others; a group gets one", value.object, value.path))
		}
		if before[example] == nil {
			if len(before) == maxDiffInputs {
				return invalid("clusters", fmt.Sprintf("differ in more than %d ways; accept some at a time", maxDiffInputs))
			}
			if before[example], err = render(specs[example]); err != nil {
				return err
			}
			targets[example] = value.target
		}
		if err := a.patch(value, before[example], all); err != nil {
			return err
		}
	}
	var problems violations
	checker{v: &problems, subject: fmt.Sprintf("Bundle %q", a.bundle.Metadata.Name)}.customizations(a.spec)
	if err := problems.err(); err != nil {
		return err
	}
	for example, set := range before {
		spec := proto.CloneOf(specs[example])
		spec.Customization = placement.In(placement.Merge(a.spec.Customization, a.spec.Targets[targets[example]].Customization), example)
		after, err := render(spec)
		if err != nil {
			return err
		}
		if err := a.comesTo(example, set, after); err != nil {
			return err
		}
	}
	return nil
}

// patch writes one value.
func (a *driftAcceptance) patch(value *liveValue, set *manifest.Set, all bool) error {
	object, ok := a.published(set, value.object)
	if !ok {
		return notDrifted(a.bundle, fmt.Sprintf("%s is not in revision %d", value.object, a.revision.Spec.Number))
	}
	var err error
	if value.field, err = customize.FieldAt(object, value.path); err != nil {
		return notDrifted(a.bundle, fmt.Sprintf("%s %s cannot be accepted: %v", value.object, value.path, err))
	}
	target := a.spec.Targets[value.target]
	if target.Customization == nil {
		target.Customization = &yardarmv1.Customization{}
	}
	patch := value.field.Remove()
	if value.live != "" {
		patch = value.field.Set(value.value, a.spec.GetCustomization().GetSubstitute() || target.Customization.Substitute)
	}
	if !all {
		patch.Clusters = slices.Clone(value.clusters)
	}
	target.Customization.Patches = accepting(target.Customization.Patches, value.field, patch)
	return nil
}

// accepting adds a patch of a field to those of a target, in place of what was accepted of it for the same clusters before.
func accepting(patches []*yardarmv1.Patch, field *customize.Field, patch *yardarmv1.Patch) []*yardarmv1.Patch {
	var out []*yardarmv1.Patch
	for _, p := range patches {
		if !proto.Equal(p.GetTarget(), patch.Target) || !field.Changed(p) {
			out = append(out, p)
			continue
		}
		if len(patch.Clusters) == 0 {
			continue // for all
		}
		rest := slices.DeleteFunc(slices.Clone(p.GetClusters()), func(name string) bool { return slices.Contains(patch.Clusters, name) })
		switch {
		case len(p.GetClusters()) > 0 && len(rest) == 0:
		case len(rest) > 0 && p.GetPatch() == patch.Patch:
			patch.Clusters = append(patch.Clusters, rest...)
		default:
			p = proto.CloneOf(p)
			p.Clusters = rest
			out = append(out, p)
		}
	}
	slices.Sort(patch.Clusters)
	return append(out, patch)
}

// comesTo refuses patches that do not make of a cluster's objects just what is live there.
func (a *driftAcceptance) comesTo(cluster string, before, after *manifest.Set) error {
	for ref, old := range before.All() {
		next, _ := after.Get(ref)
		for _, value := range a.values {
			if object, ok := a.published(before, value.object); !ok || object.Ref() != ref || !slices.Contains(value.clusters, cluster) {
				continue
			}
			if got, there := value.field.In(next); there != (value.live != "") || !reflect.DeepEqual(got, value.value) {
				return notDrifted(a.bundle, fmt.Sprintf("no patch makes %s %s what it is in cluster %q; change the manifest instead", value.object, value.path, cluster))
			}
			old, next = value.field.Without(old), value.field.Without(next)
		}
		if !reflect.DeepEqual(old, next) {
			return notDrifted(a.bundle, fmt.Sprintf("a patch would change more of %s than what differs in cluster %q; change the manifest instead", ref, cluster))
		}
	}
	return nil
}

// published is the object that a cluster knows by a reference. One that names no namespace goes to the policy's.
func (a *driftAcceptance) published(set *manifest.Set, ref manifest.Ref) (manifest.Object, bool) {
	object, ok := set.Get(ref)
	if !ok && ref.Namespace == effective(a.revision.Spec.Delivery).Namespace {
		ref.Namespace = ""
		object, ok = set.Get(ref)
	}
	return object, ok
}
