package index

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/status"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Bundle is a bundle and how it stands in its clusters.
type Bundle struct {
	Row *yardarmv1.Bundle
	// Clusters counts its assignments by phase.
	Clusters *yardarmv1.PhaseCounts
	// Rollout is nil where there was none. Settled is the revision that its clusters run of which the rollout says nothing, with its digest.
	Rollout *storev1.Rollout
	Settled uint32
	Digest  string
	// Source is what was seen of its source; nil where there is none, or nothing was seen yet.
	Source *yardarmv1.SourceStatus
}

// BundleOf is a bundle of which these clusters are counted.
func BundleOf(tx *store.ReadTx, row *yardarmv1.Bundle, clusters *yardarmv1.PhaseCounts) *Bundle {
	uid, settled := row.GetMetadata().GetUid(), placement.Settled(tx, row)
	return &Bundle{Row: row, Clusters: clusters, Rollout: tx.Rollout(uid), Settled: settled, Digest: tx.Revision(uid, settled).GetSpec().GetDigest(),
		Source: tx.Source(uid)}
}

// UID is the bundle's.
func (b *Bundle) UID() string { return b.Row.GetMetadata().GetUid() }

func (b *Bundle) targets() []*yardarmv1.Target {
	if b == nil {
		return nil
	}
	return slices.Clip(b.Row.GetSpec().GetTargets())
}

// Same tells whether a caller would see no difference, but for until when something is known.
func (b *Bundle) Same(other *Bundle) bool {
	return b.Row == other.Row && b.Rollout == other.Rollout && proto.Equal(b.Clusters, other.Clusters) && sameSource(b.Source, other.Source)
}

func sameSource(a, b *yardarmv1.SourceStatus) bool {
	if a == nil || b == nil || a == b {
		return a == b
	}
	a = proto.CloneOf(a)
	a.AsOf = b.AsOf
	return proto.Equal(a, b)
}

// Group is a group, how many clusters belong to it, and which bundles target it.
type Group struct {
	Row      *yardarmv1.ClusterGroup
	Clusters uint32
	// Failing is for how many clusters its expression gives no answer.
	Failing uint32
	// Bundles are the names of those that target it, sorted.
	Bundles []string

	// failures counts changes of what Failing counts: which clusters, and why.
	failures uint64
}

// Name is the group's.
func (g *Group) Name() string { return g.Row.GetMetadata().GetName() }

// Same tells whether a caller would see no difference.
func (g *Group) Same(other *Group) bool {
	return g.Row == other.Row && g.Clusters == other.Clusters && g.failures == other.failures && slices.Equal(g.Bundles, other.Bundles)
}

// membership counts a group's clusters. There may be one for a group that is no more, or not yet there.
type membership struct {
	clusters, failing uint32
	failures          uint64
}

// recount takes the assignments and memberships of a cluster's old entry out of the counts, and puts those of the new one in.
func (st *step) recount(old, next *Cluster) {
	if old != nil && next != nil {
		for i, a := range old.Assignments {
			// Most are the very same.
			if i >= len(next.Assignments) || next.Assignments[i] != a {
				st.countAssignment(a, -1)
			}
		}
		for i, a := range next.Assignments {
			if i >= len(old.Assignments) || old.Assignments[i] != a {
				st.countAssignment(a, 1)
			}
		}
		if !slices.Equal(old.Groups, next.Groups) || !slices.Equal(old.failing, next.failing) {
			st.countMemberships(old, -1)
			st.countMemberships(next, 1)
		}
		return
	}
	for c, n := range map[*Cluster]int{old: -1, next: 1} {
		if c == nil {
			continue
		}
		for _, a := range c.Assignments {
			st.countAssignment(a, n)
		}
		st.countMemberships(c, n)
	}
}

func (st *step) countAssignment(a *Assignment, n int) {
	counts := st.counts[a.BundleUID]
	if counts == nil {
		counts = &yardarmv1.PhaseCounts{}
		st.counts[a.BundleUID] = counts
	}
	status.Add(counts, a.Phase, a.Drifted, n)
	st.touchedBundles[a.BundleUID] = true
}

func (st *step) countMemberships(c *Cluster, n int) {
	for _, group := range c.Groups {
		st.membership(group).clusters += uint32(n) // wraps around, and so subtracts
	}
	for _, f := range c.failing {
		m := st.membership(f.group)
		m.failing += uint32(n)
		m.failures++
	}
}

func (st *step) membership(group string) *membership {
	st.touchedGroups[group] = true
	if st.members[group] == nil {
		st.members[group] = &membership{}
	}
	return st.members[group]
}

// compareBundle makes a bundle's entry anew where it differs.
func (st *step) compareBundle(uid string) {
	old, row := st.bundles[uid], st.Tx.Bundle(uid)
	counts := st.counts[uid]
	if counts.GetTotal() == 0 && row == nil {
		delete(st.counts, uid)
	}
	var next *Bundle
	switch {
	case row == nil && old == nil:
		return
	case row == nil:
		delete(st.bundles, uid)
	default:
		shown := &yardarmv1.PhaseCounts{}
		if counts != nil {
			shown = proto.CloneOf(counts)
		}
		next = BundleOf(st.Tx, row, shown)
		if old != nil && old.Same(next) {
			return
		}
		st.bundles[uid] = next
	}
	st.Seq++
	st.bundleLog.add(st.Seq, Change[Bundle]{old, next})
}

// compareGroup makes a group's entry anew where it differs.
func (st *step) compareGroup(name string) {
	old, row := st.groups[name], st.Tx.Group(name)
	m := st.members[name]
	if m != nil && m.clusters == 0 && m.failing == 0 && row == nil {
		delete(st.members, name)
	}
	var next *Group
	switch {
	case row == nil && old == nil:
		return
	case row == nil:
		delete(st.groups, name)
	default:
		next = &Group{Row: row}
		if m != nil {
			next.Clusters, next.Failing, next.failures = m.clusters, m.failing, m.failures
		}
		for b := range st.Tx.BundlesTargeting(name) {
			next.Bundles = append(next.Bundles, b.GetMetadata().GetName())
		}
		slices.Sort(next.Bundles)
		if old != nil && old.Same(next) {
			return
		}
		st.groups[name] = next
	}
	st.Seq++
	st.groupLog.add(st.Seq, Change[Group]{old, next})
}
