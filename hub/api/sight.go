package api

import (
	"slices"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/status"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// What a caller may get, and so sees in lists, watches, counts and events.

// seesAll is looked at once a call: most callers who list ten thousand clusters may see them all.
func seesAll(a *authz.Access) bool {
	for _, resource := range []string{yardarmv1.ResourceClusters, yardarmv1.ResourceClusterGroups, yardarmv1.ResourceBundles, yardarmv1.ResourceAssignments} {
		if !a.Everywhere(yardarmv1.VerbGet, resource) {
			return false
		}
	}
	return true
}

func (v view) seesCluster(c *yardarmv1.Cluster) bool {
	return v.all || v.access.Cluster(yardarmv1.VerbGet, yardarmv1.ResourceClusters, v.GroupsOf(c.GetMetadata().GetUid()))
}

func (v view) seesGroup(g *yardarmv1.ClusterGroup) bool {
	return v.seesGroupName(g.GetMetadata().GetName())
}

func (v view) seesGroupName(group string) bool {
	return v.all || v.access.Group(yardarmv1.VerbGet, group)
}

func (v view) seesBundle(b *yardarmv1.Bundle) bool {
	return v.all || v.access.BundleAnywhere(yardarmv1.VerbGet, yardarmv1.ResourceBundles, b.GetMetadata(), groupsOf(b.GetSpec().GetTargets()))
}

func (v view) seesGate(g *yardarmv1.Gate) bool {
	return v.access.Gate(yardarmv1.VerbGet, g.GetSpec())
}

func (v view) seesItem(cluster *yardarmv1.Cluster, it index.Item) bool {
	return v.all || v.mayItem(yardarmv1.VerbGet, cluster, it.Bundle, it.BundleUID)
}

// seesEntry and seesPair judge by the groups that an entry has, which may be those of before.
func (v view) seesEntry(c *index.Cluster) bool {
	return v.all || v.access.Cluster(yardarmv1.VerbGet, yardarmv1.ResourceClusters, c.Groups)
}

func (v view) seesPair(p pair) bool {
	return v.all || v.mayPair(yardarmv1.VerbGet, p.cluster.Groups, p.Bundle, p.BundleUID)
}

// mayItem tells whether the caller may do it to an assignment.
func (v view) mayItem(verb string, cluster *yardarmv1.Cluster, bundle, bundleUID string) bool {
	return v.mayPair(verb, v.GroupsOf(cluster.GetMetadata().GetUid()), bundle, bundleUID)
}

// mayPair is mayItem for a cluster of these groups. A bundle that is gone has its name only.
func (v view) mayPair(verb string, groups []string, bundle, bundleUID string) bool {
	const resource = yardarmv1.ResourceAssignments
	if v.access.Everywhere(verb, resource) {
		return true
	}
	meta := v.Bundle(bundleUID).GetMetadata()
	if meta == nil {
		meta = &yardarmv1.ObjectMeta{Name: bundle}
	}
	return v.access.Assignment(verb, resource, meta, groups)
}

// clusterPart is what of a cluster's entry the caller may see: it is filtered, ordered and counted by that alone.
func (v view) clusterPart(c *index.Cluster) *index.Cluster {
	if v.all {
		return c
	}
	return c.Part(func(group string) bool { return v.access.Group(yardarmv1.VerbGet, group) },
		func(a *index.Assignment) bool { return v.seesPair(pair{c, a}) })
}

// groupPart is what of a group's entry the caller may see.
func (v view) groupPart(g *index.Group) *index.Group {
	if v.all {
		return g
	}
	out := *g
	out.Bundles = slices.DeleteFunc(slices.Clone(g.Bundles), func(name string) bool { return !v.seesBundle(v.BundleByName(name)) })
	return &out
}

// bundlePart is what of a bundle's entry the caller may see.
func (v view) bundlePart(b *index.Bundle) *index.Bundle {
	if v.all {
		return b
	}
	out := *b
	out.Clusters = v.countBundle(b.Row)
	return &out
}

// countBundle counts the clusters in which the caller sees a bundle, by how it stands there.
func (v view) countBundle(b *yardarmv1.Bundle) *yardarmv1.PhaseCounts {
	counts := &yardarmv1.PhaseCounts{}
	for c, st := range index.StatusesOf(v.ReadTx, b) {
		if v.seesItem(c, index.Item{Bundle: b.GetMetadata().GetName(), BundleUID: b.GetMetadata().GetUid()}) {
			status.Count(counts, st)
		}
	}
	return counts
}

// seesArtifact tells whether any bundle that the caller may read has, or had, the artifact.
func (v view) seesArtifact(digest string) bool {
	const verb, resource = yardarmv1.VerbGet, yardarmv1.ResourceArtifacts
	if v.access.Everywhere(verb, resource) {
		return true
	}
	for r := range v.RevisionsWith(digest) {
		b := v.Bundle(r.GetSpec().GetBundleUid())
		if v.access.BundleAnywhere(verb, resource, b.GetMetadata(), groupsOf(b.GetSpec().GetTargets())) {
			return true
		}
	}
	return false
}

// seesEvent judges by the names in an event: what they named may be gone.
func (v view) seesEvent(e *yardarmv1.Event) bool {
	const verb, resource = yardarmv1.VerbGet, yardarmv1.ResourceEvents
	if v.access.Everywhere(verb, resource) {
		return true
	}
	groups := v.GroupsOf(v.ClusterByName(e.GetCluster()).GetMetadata().GetUid())
	b := v.BundleByName(e.GetBundle())
	meta := b.GetMetadata()
	if meta == nil {
		meta = &yardarmv1.ObjectMeta{Name: e.GetBundle()}
	}
	switch {
	case e.GetCluster() != "" && e.GetBundle() != "":
		return v.access.Assignment(verb, resource, meta, groups)
	case e.GetCluster() != "":
		return v.access.Cluster(verb, resource, groups)
	case e.GetBundle() != "":
		return v.access.BundleAnywhere(verb, resource, meta, groupsOf(b.GetSpec().GetTargets()))
	}
	return false
}
