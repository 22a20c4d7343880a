package api

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/status"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// view computes what callers see, status included, from one snapshot at one time. Resources in it are clones: rows are shared.
type view struct {
	*store.ReadTx
	now time.Time
}

func (s *Server) view() view { return view{s.store.Read(), s.cfg.Clock()} }

func (v view) cluster(c *yardarmv1.Cluster) *yardarmv1.Cluster {
	out := proto.CloneOf(c)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindCluster
	uid := c.GetMetadata().GetUid()
	identity := v.Identity(uid)
	st := &yardarmv1.ClusterStatus{
		Presence:          yardarmv1.PresenceNeverConnected,
		CertificateExpiry: identity.GetNotAfter(),
		Groups:            slices.Sorted(slices.Values(v.GroupsOf(uid))),
		Phase:             clusterPhase(c, identity != nil),
		Bundles:           &yardarmv1.PhaseCounts{},
	}
	if o := v.Observed(uid); o != nil {
		st.Facts, st.SpokeVersion, st.LastSeen = o.Facts, o.SpokeVersion, o.LastSeen
	}
	if p := v.Presence(uid); p != nil {
		st.Presence, st.Confirmed = p.State, p.Confirmed
		st.PresenceSince = stamp(p.Since)
		switch {
		case p.State == yardarmv1.PresenceConnected:
			// Heartbeats are noted by its session alone. Being connected means that the last one is not long ago.
			st.LastSeen = stamp(v.now)
		case !p.LastSeen.IsZero():
			st.LastSeen = stamp(p.LastSeen)
		}
	}
	for _, it := range v.items(c) {
		status.Count(st.Bundles, v.judge(it, v.spec(it)))
	}
	out.Status = st
	return out
}

func clusterPhase(c *yardarmv1.Cluster, enrolled bool) string {
	switch {
	case c.GetSpec().GetRemoval() != nil:
		return yardarmv1.ClusterDeleting
	case c.GetSpec().GetBan() != nil:
		return yardarmv1.ClusterBanned
	case !enrolled:
		return yardarmv1.ClusterEnrolling
	}
	return yardarmv1.ClusterActive
}

func (v view) group(g *yardarmv1.ClusterGroup) *yardarmv1.ClusterGroup {
	out := proto.CloneOf(g)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindClusterGroup
	st := &yardarmv1.ClusterGroupStatus{}
	for range v.Members(g.GetMetadata().GetName()) {
		st.Clusters++
	}
	for b := range v.BundlesTargeting(g.GetMetadata().GetName()) {
		st.Bundles = append(st.Bundles, b.GetMetadata().GetName())
	}
	slices.Sort(st.Bundles)
	st.Conditions = v.groupConditions(g)
	out.Status = st
	return out
}

// groupConditions tells where a group's expression gives no answer. Such clusters are no members, which the number of members does not tell.
func (v view) groupConditions(g *yardarmv1.ClusterGroup) []*yardarmv1.Condition {
	const named = 3 // enough to see what they have in common
	var lines []string
	count := 0
	for uid, problem := range v.MatchErrors(g.GetMetadata().GetName()) {
		if count++; count <= named {
			lines = append(lines, v.Cluster(uid).GetMetadata().GetName()+": "+problem)
		}
	}
	if count == 0 {
		return nil
	}
	if count > named {
		lines = append(lines, fmt.Sprintf("and %d more", count-named))
	}
	return []*yardarmv1.Condition{{
		Type: "Evaluable", Status: yardarmv1.ConditionFalse, Reason: "ExpressionFails",
		Message: fmt.Sprintf("the expression gives no answer for %d clusters, which are no members therefore; ask with has() for what may be missing; %s",
			count, strings.Join(lines, "; ")),
	}}
}

func (v view) bundle(b *yardarmv1.Bundle) *yardarmv1.Bundle {
	out := proto.CloneOf(b)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindBundle
	if out.Status == nil {
		out.Status = &yardarmv1.BundleStatus{}
	}
	out.Status.Clusters = &yardarmv1.PhaseCounts{}
	for _, st := range v.itemsOf(b) {
		status.Count(out.Status.Clusters, st)
	}
	return out
}

func revisionView(r *yardarmv1.Revision) *yardarmv1.Revision {
	out := proto.CloneOf(r)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindRevision
	return out
}

// item is a pair of a cluster and a bundle: what is assigned, what is still there though nothing assigns it, or both.
type item struct {
	cluster   *yardarmv1.Cluster
	bundle    string
	bundleUID string
	// target is the bundle if it is assigned to the cluster.
	target *yardarmv1.Bundle
	// earlier is the report about another bundle that had the name before, and of which the cluster still holds something.
	earlier *yardarmv1.Report
}

// items is everything that a cluster is to run or still holds, in the order of the bundles' names, each name once.
func (v view) items(c *yardarmv1.Cluster) []item {
	uid := c.GetMetadata().GetUid()
	var out []item
	place := make(map[string]int) // in out, by uid and by name
	if c.GetSpec().GetRemoval() == nil {
		for b := range v.BundlesOf(uid) {
			bundleUID := b.GetMetadata().GetUid()
			if v.Revision(bundleUID, b.GetStatus().GetRevision()) == nil {
				continue
			}
			place[bundleUID], place[b.GetMetadata().GetName()] = len(out), len(out)
			out = append(out, item{cluster: c, bundle: b.GetMetadata().GetName(), bundleUID: bundleUID, target: b})
		}
	}
	for o := range v.ObservedBundles(uid) {
		r := o.GetReport()
		if _, assigned := place[r.GetBundleUid()]; assigned {
			continue
		}
		if i, taken := place[r.GetBundle()]; taken {
			out[i].earlier = r
			continue
		}
		place[r.GetBundleUid()], place[r.GetBundle()] = len(out), len(out)
		out = append(out, item{cluster: c, bundle: r.GetBundle(), bundleUID: r.GetBundleUid()})
	}
	slices.SortFunc(out, func(a, b item) int { return strings.Compare(a.bundle, b.bundle) })
	return out
}

// itemsOf is every cluster that is to run a bundle, and every one that still holds it, with its status.
func (v view) itemsOf(b *yardarmv1.Bundle) iter.Seq2[item, *yardarmv1.AssignmentStatus] {
	return func(yield func(item, *yardarmv1.AssignmentStatus) bool) {
		uid, name := b.GetMetadata().GetUid(), b.GetMetadata().GetName()
		assigner := placement.NewAssigner(v, b)
		assigned := make(map[string]bool)
		for c := range v.ClustersOf(uid) {
			clusterUID := c.GetMetadata().GetUid()
			if c.GetSpec().GetRemoval() != nil {
				continue
			}
			spec := assigner.Assign(v, c)
			if spec == nil {
				continue
			}
			assigned[clusterUID] = true
			it := item{cluster: c, bundle: name, bundleUID: uid, target: b}
			if !yield(it, v.judge(it, spec)) {
				return
			}
		}
		for o := range v.ObservedOfBundle(uid) {
			c := v.Cluster(o.GetClusterUid())
			if c == nil || assigned[o.GetClusterUid()] {
				continue
			}
			it := item{cluster: c, bundle: name, bundleUID: uid}
			if !yield(it, v.judge(it, nil)) {
				return
			}
		}
	}
}

// spec derives what is assigned; nil if nothing is.
func (v view) spec(it item) *yardarmv1.AssignmentSpec {
	if it.target == nil {
		return nil
	}
	return placement.DesiredOf(v, it.cluster, it.target)
}

func isEmpty[T any](seq iter.Seq[T]) bool {
	for range seq {
		return false
	}
	return true
}

// judge tells what is known of an item, given what is assigned.
func (v view) judge(it item, spec *yardarmv1.AssignmentSpec) *yardarmv1.AssignmentStatus {
	uid := it.cluster.GetMetadata().GetUid()
	in := status.Input{Assignment: spec, Report: v.ObservedBundle(uid, it.bundleUID).GetReport(), Now: v.now}
	if p := v.Presence(uid); p != nil {
		in.Presence, in.LastSeen, in.Confirmed = p.State, p.LastSeen, p.Confirmed
	}
	if in.LastSeen.IsZero() {
		if o := v.Observed(uid); o.GetLastSeen() != nil {
			in.LastSeen = o.LastSeen.AsTime()
		}
	}
	st := status.Of(in)
	if spec == nil && st.Phase == in.Report.GetPhase() {
		v.judgeLeaving(it, st)
	}
	if r := it.earlier; r != nil {
		st.Message = strings.TrimPrefix(st.Message+fmt.Sprintf("; of an earlier bundle of this name the cluster still holds something (%s)", r.GetPhase()), "; ")
	}
	return st
}

// judgeLeaving corrects the status of what nothing assigns any more: its spoke has not heard so yet, and may still call it ready.
func (v view) judgeLeaving(it item, st *yardarmv1.AssignmentStatus) {
	switch st.Phase {
	case yardarmv1.PhaseHeld, yardarmv1.PhaseRemoving, yardarmv1.PhaseFailed:
		return
	}
	st.Phase = yardarmv1.PhaseRemoving
	switch {
	case it.cluster.GetSpec().GetRemoval() != nil:
		st.Reason, st.Message = yardarmv1.ReasonClusterDeleted, "the cluster is being deleted, and its spoke has not let go of the bundle yet"
	case v.DeletedBundle(it.bundleUID) != nil:
		st.Reason, st.Message = yardarmv1.ReasonBundleDeleted, "the bundle was deleted, and the spoke has not let go of it yet"
	case v.Bundle(it.bundleUID) == nil:
		st.Phase, st.Reason = yardarmv1.PhaseHeld, yardarmv1.ReasonUnknownToHub
		st.Message = "the hub knows no such bundle; the cluster keeps what it has of it"
	default:
		st.Reason, st.Message = yardarmv1.ReasonNoLongerTargeted, "the bundle no longer targets the cluster, and the spoke has not let go of it yet"
	}
}

// assignmentView is what callers see of an item.
func (v view) assignmentView(it item) *yardarmv1.Assignment {
	cluster := it.cluster.GetMetadata()
	spec := v.spec(it)
	out := &yardarmv1.Assignment{
		ApiVersion: yardarmv1.APIVersion,
		Kind:       yardarmv1.KindAssignment,
		Metadata:   &yardarmv1.ObjectMeta{Name: assignmentName(cluster.GetName(), it.bundle), Uid: assignmentName(cluster.GetUid(), it.bundleUID)},
		Spec:       spec,
		Status:     v.judge(it, spec),
	}
	if spec == nil {
		r := v.ObservedBundle(cluster.GetUid(), it.bundleUID).GetReport()
		out.Spec = &yardarmv1.AssignmentSpec{
			Cluster: cluster.GetName(), Bundle: it.bundle, BundleUid: it.bundleUID, Revision: r.GetRevision(),
			Digest: r.GetDigest(), Hash: r.GetAssignmentHash(),
		}
	}
	if r := out.Status.Report; r != nil {
		out.Status.Report = v.files(it.bundleUID, r.GetRevision()).name(r)
	}
	return out
}

// assignmentName is unique: neither part has a dot in it.
func assignmentName(cluster, bundle string) string { return cluster + "." + bundle }

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
