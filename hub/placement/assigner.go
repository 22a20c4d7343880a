package placement

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// maxCommon bounds how many hashes, and the labels that they are of, an Assigner keeps. More differ only where most clusters have labels of their own that the
// revision refers to, and then one is hashed for each all the same.
const maxCommon = 1024

// Assigner derives the assignments of one revision of a bundle, as they are in their rows. Most clusters get the same as others do: what is merged
// and hashed for one is kept for the next. Safe for concurrent use.
type Assigner struct {
	bundle *yardarmv1.Bundle
	// revision is nil where there is none.
	revision *yardarmv1.Revision

	mu sync.Mutex // guards the rest
	// merged are by target, customizations by what shares them, and common by all in which the assignments of clusters differ.
	merged         map[int]*merged
	customizations map[sharing]*yardarmv1.Customization
	common         map[string]common
}

// common is what clusters have in common that nothing tells apart.
type common struct {
	labels map[string]string
	hash   []byte
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
	return &Assigner{bundle: bundle, revision: revision, merged: map[int]*merged{}, customizations: map[sharing]*yardarmv1.Customization{}, common: map[string]common{}}
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
		Reconcile:         r.Reconciliations(uid, s.bundle.Metadata.Uid),
	}
	s.finish(a, labels, shared)
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

// finish gives an assignment the labels that it uses of the cluster's, and its hash.
func (s *Assigner) finish(a *yardarmv1.AssignmentSpec, labels map[string]string, by sharing) {
	used := s.revision.Spec.Labels
	if len(a.AcceptedDeletions) > 0 {
		a.Labels = labelsUsed(used, labels)
		a.Hash = holdings.AssignmentHash(a)
		return
	}
	var room [128]byte // of most
	key := differences(room[:0], used, labels, a.Reconcile, by)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.common[string(key)]
	if known {
		a.Labels, a.Hash = c.labels, c.hash
		return
	}
	a.Labels = labelsUsed(used, labels)
	a.Hash = holdings.AssignmentHash(a)
	if len(s.common) < maxCommon {
		s.common[string(key)] = common{a.Labels, a.Hash}
	}
}

// differences adds to a text all in which an assignment without accepted deletions may differ from others of its revision.
func differences(to []byte, used []string, labels map[string]string, reconcile uint64, by sharing) []byte {
	to = append(strconv.AppendInt(to, int64(by.target), 10), by.own...)
	to = strconv.AppendUint(append(to, ','), reconcile, 10)
	for _, key := range used {
		to = append(to, ' ')
		if value, ok := labels[key]; ok {
			to = strconv.AppendQuote(to, value)
		} else {
			to = append(to, '-')
		}
	}
	return to
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
