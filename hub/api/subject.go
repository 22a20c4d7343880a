package api

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// subject is what a watch is about: one kind of resource, cut into units that are computed and compared as a whole. A unit is named by
// its row's key in the store.
type subject interface {
	kind() watchKind
	// tables are those whose changes may matter.
	tables() []store.Table
	// units yields all units there are.
	units(v view) iter.Seq[string]
	exists(v view, unit string) bool
	// resources computes those of a unit that were asked for; none if it is no more.
	resources(v view, unit string) []resource
	// affected names the units that a change may concern, or says that it may concern any.
	affected(v view, c store.Changed) (units map[string]bool, all bool)
}

// subjectOf makes the subject of a request, which is then checked.
func subjectOf(req *hubv1.WatchRequest) (subject, error) {
	if req.GetKind() != yardarmv1.KindAssignment {
		for field, value := range map[string]string{"cluster": req.GetCluster(), "bundle": req.GetBundle()} {
			if value != "" {
				return nil, invalid(field, "goes with assignments only; name the resource instead")
			}
		}
	}
	switch req.GetKind() {
	case yardarmv1.KindCluster:
		return clusterSubject{name: req.GetName()}, nil
	case yardarmv1.KindClusterGroup:
		return groupSubject{name: req.GetName()}, nil
	case yardarmv1.KindBundle:
		return bundleSubject{name: req.GetName()}, nil
	case yardarmv1.KindAssignment:
		return newAssignmentSubject(req)
	}
	return nil, invalid("kind", fmt.Sprintf("is %q; %s, %s, %s and %s can be watched", clip(req.GetKind()),
		yardarmv1.KindCluster, yardarmv1.KindClusterGroup, yardarmv1.KindBundle, yardarmv1.KindAssignment))
}

// resource is one of those that a watcher sees.
type resource struct {
	kind    watchKind
	meta    *yardarmv1.ObjectMeta
	message proto.Message
	// fresh are the fields that only say until when the hub is sure of the rest. They move with its clock, and count as no change.
	fresh **timestamppb.Timestamp
}

// hash identifies what a caller sees.
func (r resource) hash() [32]byte {
	if r.fresh != nil {
		at := *r.fresh
		*r.fresh = nil
		defer func() { *r.fresh = at }()
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.message)
	if err != nil {
		return [32]byte{} // not valid UTF-8, which sending it will say
	}
	return sha256.Sum256(raw)
}

// watchKind makes the messages about one kind.
type watchKind string

func (k watchKind) response(kind string, message proto.Message) *hubv1.WatchResponse {
	out := &hubv1.WatchResponse{Type: kind}
	switch m := message.(type) {
	case *yardarmv1.Cluster:
		out.Resource = &hubv1.WatchResponse_Cluster{Cluster: m}
	case *yardarmv1.ClusterGroup:
		out.Resource = &hubv1.WatchResponse_ClusterGroup{ClusterGroup: m}
	case *yardarmv1.Bundle:
		out.Resource = &hubv1.WatchResponse_Bundle{Bundle: m}
	case *yardarmv1.Assignment:
		out.Resource = &hubv1.WatchResponse_Assignment{Assignment: m}
	}
	return out
}

// deleted is the end of a resource, by its identity.
func (k watchKind) deleted(name, uid string) *hubv1.WatchResponse {
	meta := &yardarmv1.ObjectMeta{Name: name, Uid: uid}
	api, kind := yardarmv1.APIVersion, string(k)
	switch kind {
	case yardarmv1.KindCluster:
		return k.response(watchDeleted, &yardarmv1.Cluster{ApiVersion: api, Kind: kind, Metadata: meta})
	case yardarmv1.KindClusterGroup:
		return k.response(watchDeleted, &yardarmv1.ClusterGroup{ApiVersion: api, Kind: kind, Metadata: meta})
	case yardarmv1.KindBundle:
		return k.response(watchDeleted, &yardarmv1.Bundle{ApiVersion: api, Kind: kind, Metadata: meta})
	}
	cluster, bundle, _ := strings.Cut(name, ".")
	return k.response(watchDeleted, &yardarmv1.Assignment{ApiVersion: api, Kind: kind, Metadata: meta,
		Spec: &yardarmv1.AssignmentSpec{Cluster: cluster, Bundle: bundle}})
}

// clusterUnits is what clusters and assignments share: a cluster is a unit of both.
type clusterUnits struct{}

func (clusterUnits) tables() []store.Table {
	return []store.Table{store.Clusters, store.Identities, store.Members, store.Bundles, store.Acceptances, store.Reconciliations,
		store.Presences, store.Observed, store.ObservedBundles, store.DeletedBundles}
}

func (clusterUnits) exists(v view, unit string) bool { return v.Cluster(unit) != nil }

func (clusterUnits) affected(v view, c store.Changed) (units map[string]bool, all bool) {
	units = make(map[string]bool)
	for _, t := range []store.Table{store.Clusters, store.Identities, store.Members, store.Presences, store.Observed} {
		if c.All(t) {
			return nil, true
		}
		for uid := range c.Keys(t) {
			units[uid] = true
		}
	}
	for _, t := range []store.Table{store.Acceptances, store.ObservedBundles} {
		if c.All(t) {
			return nil, true
		}
		for key := range c.Keys(t) {
			uid, _, _ := strings.Cut(key, "/")
			units[uid] = true
		}
	}
	if c.All(store.Bundles) || c.All(store.DeletedBundles) || c.All(store.Reconciliations) {
		return nil, true
	}
	for key := range c.Keys(store.Reconciliations) {
		bundle, cluster, one := strings.Cut(key, "/")
		if one {
			units[cluster] = true
			continue
		}
		for c := range v.ClustersOf(bundle) {
			units[c.GetMetadata().GetUid()] = true
		}
	}
	// A cluster that a bundle no longer goes to is among Members.
	for _, t := range []store.Table{store.Bundles, store.DeletedBundles} {
		for uid := range c.Keys(t) {
			for cluster := range v.ClustersOf(uid) {
				units[cluster.GetMetadata().GetUid()] = true
			}
			for o := range v.ObservedOfBundle(uid) {
				units[o.GetClusterUid()] = true
			}
		}
	}
	return units, false
}

func (clusterUnits) units(v view) iter.Seq[string] {
	return func(yield func(string) bool) {
		for c := range v.Clusters() {
			if !yield(c.GetMetadata().GetUid()) {
				return
			}
		}
	}
}

// asked tells whether a resource is the one that was asked for; every one is if none was named.
func asked(name string, m *yardarmv1.ObjectMeta) bool { return name == "" || name == m.GetName() }

type clusterSubject struct {
	clusterUnits
	name string
}

func (clusterSubject) kind() watchKind { return yardarmv1.KindCluster }

func (s clusterSubject) resources(v view, unit string) []resource {
	row := v.Cluster(unit)
	if row == nil || !asked(s.name, row.Metadata) || !v.seesCluster(row) {
		return nil
	}
	c := v.cluster(row)
	return []resource{{yardarmv1.KindCluster, c.Metadata, c, &c.Status.LastSeen}}
}

// assignmentSubject has the clusters as units. Only assignments of the cluster and of the bundle are computed, where those are set.
type assignmentSubject struct {
	clusterUnits
	cluster, bundle string
}

// newAssignmentSubject takes CLUSTER.BUNDLE as a name, too.
func newAssignmentSubject(req *hubv1.WatchRequest) (subject, error) {
	s := assignmentSubject{cluster: req.GetCluster(), bundle: req.GetBundle()}
	if req.GetName() == "" {
		return s, nil
	}
	cluster, bundle, ok := strings.Cut(req.GetName(), ".")
	if !ok || s.cluster != "" || s.bundle != "" {
		return nil, invalid("name", "must be CLUSTER.BUNDLE, without cluster and bundle beside it")
	}
	return assignmentSubject{cluster: cluster, bundle: bundle}, nil
}

func (assignmentSubject) kind() watchKind { return yardarmv1.KindAssignment }

func (s assignmentSubject) resources(v view, unit string) []resource {
	row := v.Cluster(unit)
	if row == nil || !asked(s.cluster, row.Metadata) {
		return nil
	}
	var out []resource
	for _, it := range index.ItemsOf(v.ReadTx, row) {
		if s.bundle != "" && s.bundle != it.Bundle || !v.seesItem(row, it) {
			continue
		}
		a := v.assignment(row, it)
		out = append(out, resource{yardarmv1.KindAssignment, a.Metadata, a, &a.Status.AsOf})
	}
	return out
}

type groupSubject struct{ name string }

func (groupSubject) kind() watchKind { return yardarmv1.KindClusterGroup }

func (groupSubject) tables() []store.Table {
	return []store.Table{store.Groups, store.Members, store.Bundles}
}

func (groupSubject) units(v view) iter.Seq[string] {
	return func(yield func(string) bool) {
		for g := range v.Groups() {
			if !yield(g.GetMetadata().GetName()) {
				return
			}
		}
	}
}

func (groupSubject) exists(v view, unit string) bool { return v.Group(unit) != nil }

func (s groupSubject) resources(v view, unit string) []resource {
	row := v.Group(unit)
	if row == nil || !asked(s.name, row.Metadata) || !v.seesGroup(row) {
		return nil
	}
	g := v.group(row)
	return []resource{{yardarmv1.KindClusterGroup, g.Metadata, g, nil}}
}

// affected says any: groups are few, and which ones a membership or a target was of before is not told.
func (groupSubject) affected(view, store.Changed) (units map[string]bool, all bool) { return nil, true }

type bundleSubject struct{ name string }

func (bundleSubject) kind() watchKind { return yardarmv1.KindBundle }

func (bundleSubject) tables() []store.Table {
	return []store.Table{store.Bundles, store.Clusters, store.Members, store.Acceptances, store.Reconciliations,
		store.Presences, store.Observed, store.ObservedBundles}
}

func (bundleSubject) units(v view) iter.Seq[string] {
	return func(yield func(string) bool) {
		for b := range v.Bundles() {
			if !yield(b.GetMetadata().GetUid()) {
				return
			}
		}
	}
}

func (bundleSubject) exists(v view, unit string) bool { return v.Bundle(unit) != nil }

func (s bundleSubject) resources(v view, unit string) []resource {
	row := v.Bundle(unit)
	if row == nil || !asked(s.name, row.Metadata) || !v.seesBundle(row) {
		return nil
	}
	b := v.bundle(row)
	return []resource{{yardarmv1.KindBundle, b.Metadata, b, nil}}
}

func (bundleSubject) affected(v view, c store.Changed) (units map[string]bool, all bool) {
	// What a cluster ran before it left a group is not told.
	if c.Any(store.Clusters) || c.Any(store.Members) || c.All(store.Bundles) || c.All(store.Acceptances) || c.All(store.ObservedBundles) ||
		c.All(store.Presences) || c.All(store.Observed) || c.All(store.Reconciliations) {
		return nil, true
	}
	units = make(map[string]bool)
	for uid := range c.Keys(store.Bundles) {
		units[uid] = true
	}
	for _, t := range []store.Table{store.Acceptances, store.ObservedBundles} {
		for key := range c.Keys(t) {
			_, uid, _ := strings.Cut(key, "/")
			units[uid] = true
		}
	}
	for key := range c.Keys(store.Reconciliations) {
		uid, _, _ := strings.Cut(key, "/")
		units[uid] = true
	}
	for _, t := range []store.Table{store.Presences, store.Observed} {
		for cluster := range c.Keys(t) {
			for b := range v.BundlesOf(cluster) {
				units[b.GetMetadata().GetUid()] = true
			}
			for o := range v.ObservedBundles(cluster) {
				units[o.GetReport().GetBundleUid()] = true
			}
		}
	}
	return units, false
}
