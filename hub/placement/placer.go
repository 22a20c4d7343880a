package placement

import (
	"iter"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/simplelru"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxAssigners bounds how many revisions a Placer keeps the Assigners of: most bundles have one in use, and two or three while a rollout is under way.
// A fleet with more of them pays for deriving anew.
const maxAssigners = 1024

// Placer derives what clusters are to run, from one snapshot after another, and keeps what clusters and snapshots share: a
// revision's Assigner serves as long as its rows are the same ones. Safe for concurrent use.
type Placer struct {
	mu        sync.Mutex
	assigners *simplelru.LRU // revisionOf → *Assigner
}

// revisionOf is a revision of a bundle.
type revisionOf struct {
	bundleUID string
	number    uint32
}

// NewPlacer makes a Placer that keeps nothing yet.
func NewPlacer() *Placer {
	assigners, err := simplelru.NewLRU(maxAssigners, nil)
	if err != nil {
		panic("placement: " + err.Error()) // only for a size below one
	}
	return &Placer{assigners: assigners}
}

// Desired derives what a cluster is to run, one assignment a bundle, in the order of the bundles' names. A cluster that is
// unknown or being deleted is to run nothing, and none has a bundle without a revision for it.
func (p *Placer) Desired(r Reader, clusterUID string) []*yardarmv1.AssignmentSpec {
	return p.desired(r, clusterUID, r.BundlesOf(clusterUID))
}

// DesiredAmong is the part of Desired that is about the bundles with the uids, in their order.
func (p *Placer) DesiredAmong(r Reader, clusterUID string, bundleUIDs []string) []*yardarmv1.AssignmentSpec {
	return p.desired(r, clusterUID, func(yield func(*yardarmv1.Bundle) bool) {
		groups := r.GroupsOf(clusterUID)
		for _, uid := range bundleUIDs {
			if bundle := r.Bundle(uid); Targets(bundle, groups) && !yield(bundle) {
				return
			}
		}
	})
}

func (p *Placer) desired(r Reader, clusterUID string, bundles iter.Seq[*yardarmv1.Bundle]) []*yardarmv1.AssignmentSpec {
	cluster := r.Cluster(clusterUID)
	if cluster == nil || cluster.Spec.GetRemoval() != nil {
		return nil
	}
	var out []*yardarmv1.AssignmentSpec
	for bundle := range bundles {
		if a := p.Assigner(r, bundle, RevisionFor(r, clusterUID, bundle)).Assign(r, cluster); a != nil {
			out = append(out, a)
		}
	}
	return out
}

// Assigner answers that of a bundle's revision with the number. Rows are never changed, so the same ones say the same.
func (p *Placer) Assigner(r Reader, bundle *yardarmv1.Bundle, number uint32) *Assigner {
	uid := bundle.Metadata.Uid
	revision := r.Revision(uid, number)
	p.mu.Lock()
	defer p.mu.Unlock()
	if kept, ok := p.assigners.Get(revisionOf{uid, number}); ok {
		if a := kept.(*Assigner); a.bundle == bundle && a.revision == revision {
			return a
		}
	}
	a := newAssigner(bundle, revision)
	p.assigners.Add(revisionOf{uid, number}, a)
	return a
}

// Targets tells whether a bundle, which may be nil, targets any of the groups.
func Targets(bundle *yardarmv1.Bundle, groups []string) bool {
	return slices.ContainsFunc(bundle.GetSpec().GetTargets(), func(t *yardarmv1.Target) bool { return slices.Contains(groups, t.GetGroup()) })
}
