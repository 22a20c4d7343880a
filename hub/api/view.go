package api

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// view computes what a caller sees, status included, from one snapshot at one time. Resources in it are clones: rows are shared.
type view struct {
	*store.ReadTx
	now    time.Time
	access *authz.Access
	// all says that there is nothing about clusters, groups, bundles and assignments that the caller may not see.
	all bool
	// index may have derived what the snapshot comes to; nil where that was never committed, or the index is being read.
	index *index.Index
}

func newView(tx *store.ReadTx, now time.Time, access *authz.Access) view {
	return view{ReadTx: tx, now: now, access: access, all: seesAll(access)}
}

// view is that of whoever calls. A credential that has ended meanwhile sees nothing.
func (s *Server) view(ctx context.Context) view {
	v := s.viewOf(ctx, s.store.Read())
	v.index = s.index
	return v
}

func (s *Server) viewOf(ctx context.Context, tx *store.ReadTx) view {
	now := s.cfg.Clock()
	access, err := authz.AccessOf(tx, callOf(ctx).who, now)
	if err != nil {
		access = &authz.Access{}
	}
	return newView(tx, now, access)
}

// read calls fn with the index and the view of the same snapshot, which it answers, too.
func (s *Server) read(ctx context.Context, fn func(view, *index.State)) (v view) {
	s.index.Read(func(state *index.State) {
		v = s.viewOf(ctx, state.Tx)
		fn(v, state)
	})
	return v
}

// cluster shows a row, status derived from the others of its snapshot.
func (v view) cluster(row *yardarmv1.Cluster) *yardarmv1.Cluster {
	return v.showCluster(v.clusterPart(v.entry(row)))
}

// entry is that of a row: the index's, where it has one of just this row, which spares to derive it twice for each change.
func (v view) entry(row *yardarmv1.Cluster) *index.Cluster {
	if v.index != nil {
		if c := v.index.Entry(row.GetMetadata().GetUid()); c != nil && c.Row == row {
			return c
		}
	}
	return index.ClusterOf(v.ReadTx, row)
}

// showCluster shows an entry, which may be of the index.
func (v view) showCluster(c *index.Cluster) *yardarmv1.Cluster {
	out := proto.CloneOf(c.Row)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindCluster
	st := &yardarmv1.ClusterStatus{
		Presence:          presenceOf(c),
		CertificateExpiry: c.Identity.GetNotAfter(),
		Groups:            c.Groups,
		Phase:             c.Phase,
		State:             c.State,
		Bundles:           c.Bundles,
	}
	if o := c.Observed; o != nil {
		st.Facts, st.SpokeVersion, st.LastSeen = o.Facts, o.SpokeVersion, o.LastSeen
	}
	if p := c.Presence; p != nil {
		st.Confirmed, st.PresenceSince = p.Confirmed, stamp(p.Since)
		switch {
		case p.State == yardarmv1.PresenceConnected:
			// Heartbeats are noted by its session alone. Being connected means that the last one is not long ago.
			st.LastSeen = stamp(v.now)
		case !p.LastSeen.IsZero():
			st.LastSeen = stamp(p.LastSeen)
		}
	}
	out.Status = st
	return out
}

func presenceOf(c *index.Cluster) string {
	if c.Presence == nil {
		return yardarmv1.PresenceNeverConnected
	}
	return c.Presence.State
}

// group shows a row, what it counts derived from the others of its snapshot.
func (v view) group(row *yardarmv1.ClusterGroup) *yardarmv1.ClusterGroup {
	g := &index.Group{Row: row}
	name := row.GetMetadata().GetName()
	for range v.Members(name) {
		g.Clusters++
	}
	for range v.MatchErrors(name) {
		g.Failing++
	}
	for b := range v.BundlesTargeting(name) {
		g.Bundles = append(g.Bundles, b.GetMetadata().GetName())
	}
	slices.Sort(g.Bundles)
	return v.showGroup(v.groupPart(g))
}

func (v view) showGroup(g *index.Group) *yardarmv1.ClusterGroup {
	out := proto.CloneOf(g.Row)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindClusterGroup
	out.Status = &yardarmv1.ClusterGroupStatus{Clusters: g.Clusters, Bundles: g.Bundles}
	if g.Failing > 0 {
		out.Status.Conditions = v.groupConditions(g)
	}
	return out
}

// groupConditions tells where a group's expression gives no answer. Such clusters are no members, which the number of members does not tell.
func (v view) groupConditions(g *index.Group) []*yardarmv1.Condition {
	const named = 3 // enough to see what they have in common
	var lines []string
	for uid, problem := range v.MatchErrors(g.Name()) {
		if len(lines) == named {
			lines = append(lines, fmt.Sprintf("and %d more", g.Failing-named))
			break
		}
		lines = append(lines, v.Cluster(uid).GetMetadata().GetName()+": "+problem)
	}
	return []*yardarmv1.Condition{{
		Type: "Evaluable", Status: yardarmv1.ConditionFalse, Reason: "ExpressionFails",
		Message: fmt.Sprintf("the expression gives no answer for %d of the clusters, which are no members therefore; ask with has() for what may be missing; %s",
			g.Failing, strings.Join(lines, "; ")),
	}}
}

// bundle shows a row, what it counts derived from the others of its snapshot.
func (v view) bundle(row *yardarmv1.Bundle) *yardarmv1.Bundle {
	return showBundle(index.BundleOf(v.ReadTx, row, v.countBundle(row)))
}

func showBundle(b *index.Bundle) *yardarmv1.Bundle {
	out := proto.CloneOf(b.Row)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindBundle
	if out.Status == nil {
		out.Status = &yardarmv1.BundleStatus{}
	}
	out.Status.Revision, out.Status.Digest = b.Settled, b.Digest
	out.Status.Clusters, out.Status.Rollout = b.Clusters, rollout.Summary(b.Row, b.Rollout)
	if b.Row.GetSpec().GetSource() != nil {
		out.Status.Source = b.Source
		out.Status.Conditions = append(out.Status.Conditions, sourceConditions(b.Source)...)
	}
	return out
}

func revisionView(r *yardarmv1.Revision) *yardarmv1.Revision {
	out := proto.CloneOf(r)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindRevision
	return out
}

// assignment shows an item of a cluster.
func (v view) assignment(row *yardarmv1.Cluster, it index.Item) *yardarmv1.Assignment {
	cluster := row.GetMetadata()
	spec := index.Spec(v.ReadTx, row, it)
	out := &yardarmv1.Assignment{
		ApiVersion: yardarmv1.APIVersion,
		Kind:       yardarmv1.KindAssignment,
		Metadata:   &yardarmv1.ObjectMeta{Name: assignmentName(cluster.GetName(), it.Bundle), Uid: assignmentName(cluster.GetUid(), it.BundleUID)},
		Spec:       spec,
		Status:     index.Judge(v.ReadTx, row, it, spec, v.now),
	}
	if spec == nil {
		r := v.ObservedBundle(cluster.GetUid(), it.BundleUID).GetReport()
		out.Spec = &yardarmv1.AssignmentSpec{
			Cluster: cluster.GetName(), Bundle: it.Bundle, BundleUid: it.BundleUID, Revision: r.GetRevision(),
			Digest: r.GetDigest(), Hash: r.GetAssignmentHash(),
		}
	}
	if r := out.Status.Report; r != nil {
		out.Status.Report = v.files(it.BundleUID, r.GetRevision(), r.GetDigest()).name(r)
	}
	return out
}

func isEmpty[T any](seq iter.Seq[T]) bool {
	for range seq {
		return false
	}
	return true
}

// assignmentName is unique: neither part has a dot in it.
func assignmentName(cluster, bundle string) string { return cluster + "." + bundle }

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
