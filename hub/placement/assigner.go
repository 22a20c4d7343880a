package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// maxHashes bounds how many hashes an Assigner keeps. More differ only where most clusters have labels of their own that the
// revision refers to, and then one is hashed for each all the same.
const maxHashes = 1024

// Assigner derives the assignments of one revision of a bundle, as they are in their rows. Most clusters get the same as others do: what is merged
// and hashed for one is kept for the next. Safe for concurrent use.
type Assigner struct {
	bundle *yardarmv1.Bundle
	// revision is nil where there is none.
	revision *yardarmv1.Revision

	mu sync.Mutex // guards the rest
	// merged are by target, customizations by what shares them, and hashes by all in which the assignments of clusters differ.
	merged         map[int]*merged
	customizations map[sharing]*yardarmv1.Customization
	hashes         map[string][]byte
}

// merged is the customization of one target, and which of its patches that name clusters each of those gets: their places, as in " 2 5".
type merged struct {
	customization *yardarmv1.Customization
	own           map[string]string
}

// sharing is what clusters share a customization by.
type sharing struct {
	target int
	own    string
}

// noTarget is the target of a cluster that belongs to none that the revision lists.
const noTarget = -1

// NewAssigner makes the Assigner of a bundle's revision with the number.
func NewAssigner(r Reader, bundle *yardarmv1.Bundle, number uint32) *Assigner {
	return newAssigner(bundle, r.Revision(bundle.GetMetadata().GetUid(), number))
}

// NewDraft makes the Assigner of a revision of a bundle that has no row yet.
func NewDraft(bundle *yardarmv1.Bundle, spec *yardarmv1.RevisionSpec) *Assigner {
	return newAssigner(bundle, &yardarmv1.Revision{Spec: spec})
}

func newAssigner(bundle *yardarmv1.Bundle, revision *yardarmv1.Revision) *Assigner {
	return &Assigner{bundle: bundle, revision: revision, merged: map[int]*merged{}, customizations: map[sharing]*yardarmv1.Customization{}, hashes: map[string][]byte{}}
}

// Assign derives the assignment of a cluster, which the bundle targets; nil where there is no such revision, or it has no variant for the cluster. What
// is read of the cluster may be of a later snapshot, as long as that has the same bundle.
func (s *Assigner) Assign(r Reader, cluster *yardarmv1.Cluster) *yardarmv1.AssignmentSpec {
	if s.revision == nil {
		return nil
	}
	uid, spec := cluster.Metadata.Uid, s.revision.Spec
	labels, groups := cluster.Metadata.Labels, r.GroupsOf
	if before := r.Before(s.bundle.Metadata.Uid, uid); before != nil && RevisionFor(r, uid, s.bundle) == spec.Number {
		labels, groups = before.Labels, func(string) []string { return before.Groups }
	}
	target := noTarget
	if len(spec.Targets) > 0 {
		target = targetOf(spec, groups(uid))
	}
	artifact := artifactOf(spec, target)
	if artifact == nil {
		return nil
	}
	customization, shared := s.customization(target, cluster.Metadata.Name)
	a := &yardarmv1.AssignmentSpec{
		Cluster:           cluster.Metadata.Name,
		Bundle:            s.bundle.Metadata.Name,
		BundleUid:         s.bundle.Metadata.Uid,
		Revision:          spec.Number,
		Variant:           artifact.Name,
		Digest:            artifact.Digest,
		Size:              artifact.Size,
		Delivery:          spec.Delivery,
		AcceptedDeletions: s.accepted(r, uid, artifact.Digest),
		Customization:     customization,
		Labels:            labelsUsed(spec.Labels, labels),
		Reconcile:         r.Reconciliations(uid, s.bundle.Metadata.Uid),
	}
	a.Hash = s.hash(a, shared)
	return a
}

// accepted are the deletions on the way to an artifact that operators have accepted. Each counts for the one step it was given for, so that it does
// not make another assignment of the next revision.
func (s *Assigner) accepted(r Reader, clusterUID, digest string) []*yardarmv1.AcceptedDeletion {
	var out []*yardarmv1.AcceptedDeletion
	for acc := range r.Acceptances(clusterUID, s.bundle.Metadata.Uid) {
		if d := acc.Deletion; d != nil && d.ToDigest == digest {
			out = append(out, d)
		}
	}
	return out
}

// targetOf is the first of the revision's targets that a cluster of these groups belongs to.
func targetOf(spec *yardarmv1.RevisionSpec, groups []string) int {
	for i, t := range spec.GetTargets() {
		if slices.Contains(groups, t.Group) {
			return i
		}
	}
	return noTarget
}

// artifactOf is what the clusters of a target get of a revision; nil for nothing.
func artifactOf(spec *yardarmv1.RevisionSpec, target int) *yardarmv1.RevisionVariant {
	switch {
	case len(spec.GetVariants()) == 0:
		return spec.Variant("")
	case target == noTarget:
		return nil // which variant is meant, only a target says
	}
	return spec.Variant(spec.Targets[target].Variant)
}

// ArtifactFor is what a cluster of these groups gets of a revision, which may be nil; nil for nothing.
func ArtifactFor(spec *yardarmv1.RevisionSpec, groups []string) *yardarmv1.RevisionVariant {
	return artifactOf(spec, targetOf(spec, groups))
}

// Alike tells whether a revision comes to the same for a cluster that was one thing and is another.
func Alike(revision *yardarmv1.Revision, was, is *storev1.Before) bool {
	spec := revision.Spec
	own := func(b *storev1.Before) (*yardarmv1.Customization, string) {
		i := targetOf(spec, b.Groups)
		digest := artifactOf(spec, i).GetDigest()
		if i == noTarget {
			return nil, digest
		}
		return spec.Targets[i].Customization, digest
	}
	before, held := own(was)
	after, wanted := own(is)
	return held == wanted && proto.Equal(before, after) && maps.Equal(labelsUsed(spec.Labels, was.Labels), labelsUsed(spec.Labels, is.Labels))
}

// Same tells whether two assignments of a bundle, either of which may be nil, put the same into the cluster.
func Same(a, b *yardarmv1.AssignmentSpec) bool {
	return a != nil && b != nil && a.Digest == b.Digest && maps.Equal(a.Labels, b.Labels) && proto.Equal(a.Delivery, b.Delivery) && proto.Equal(a.Customization, b.Customization)
}

// customization is that of a cluster that goes by a target, and what other clusters share it by.
func (s *Assigner) customization(target int, cluster string) (*yardarmv1.Customization, sharing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.merged[target]
	if m == nil {
		var own *yardarmv1.Customization
		if target != noTarget {
			own = s.revision.Spec.Targets[target].Customization
		}
		m = &merged{customization: Merge(s.revision.Spec.Customization, own), own: map[string]string{}}
		for i, p := range m.customization.GetPatches() {
			for _, name := range p.GetClusters() {
				m.own[name] += fmt.Sprint(" ", i)
			}
		}
		s.merged[target] = m
	}
	by := sharing{target, m.own[cluster]}
	customization, ok := s.customizations[by]
	if !ok {
		customization = In(m.customization, cluster)
		s.customizations[by] = customization
	}
	return customization, by
}

func (s *Assigner) hash(a *yardarmv1.AssignmentSpec, by sharing) []byte {
	if len(a.AcceptedDeletions) > 0 {
		return holdings.AssignmentHash(a)
	}
	key := differences(s.revision.Spec.Labels, a, by)
	s.mu.Lock()
	defer s.mu.Unlock()
	hash := s.hashes[key]
	if hash == nil {
		hash = holdings.AssignmentHash(a)
		if len(s.hashes) < maxHashes {
			s.hashes[key] = hash
		}
	}
	return hash
}

// differences is all in which an assignment without accepted deletions may differ from others of its revision.
func differences(used []string, a *yardarmv1.AssignmentSpec, by sharing) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d%s,%d", by.target, by.own, a.Reconcile)
	for _, key := range used {
		if value, ok := a.Labels[key]; ok {
			fmt.Fprintf(&b, " %q", value)
		} else {
			b.WriteString(" -")
		}
	}
	return b.String()
}

// labelsUsed are those labels of a cluster whose keys a revision refers to.
func labelsUsed(used []string, labels map[string]string) map[string]string {
	var out map[string]string
	for _, key := range used {
		if value, ok := labels[key]; ok {
			if out == nil {
				out = make(map[string]string, len(used))
			}
			out[key] = value
		}
	}
	return out
}
