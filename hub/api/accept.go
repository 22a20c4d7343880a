package api

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxAcceptEvents is how many acceptances of one call have an event each: a hundredth of all events that are kept.
const maxAcceptEvents = 100

// Accept implements FleetService. Each acceptance is bound to what its cluster holds now, so one that comes too late does nothing.
func (s *Server) Accept(ctx context.Context, req *hubv1.AcceptRequest) (*hubv1.AcceptResponse, error) {
	if req.GetCluster() == "" && req.GetBundle() == "" {
		return nil, invalid("cluster", "is missing, and so is bundle; name one of them, or both")
	}
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.AcceptResponse, error) {
		clusters := c.Clusters()
		if name := req.GetCluster(); name != "" {
			cluster := c.ClusterByName(name)
			if cluster == nil {
				return nil, clusterNotFound(name)
			}
			clusters = func(yield func(*yardarmv1.Cluster) bool) { yield(cluster) }
		}
		resp := &hubv1.AcceptResponse{}
		for cluster, report := range c.held(clusters, req.GetBundle()) {
			acceptance := c.acceptance(cluster, report)
			if acceptance == nil {
				continue
			}
			if err := c.PutAcceptance(acceptance); err != nil {
				return nil, err
			}
			if len(resp.Accepted) < maxAcceptEvents {
				if err := c.event(&yardarmv1.Event{Reason: "Accepted", Cluster: cluster.Metadata.Name, Bundle: report.GetBundle(),
					Message: fmt.Sprintf("what was held is let go (%s)", report.GetReason())}); err != nil {
					return nil, err
				}
			}
			resp.Accepted = append(resp.Accepted, assignmentName(cluster.Metadata.Name, report.GetBundle()))
		}
		if len(resp.Accepted) == 0 {
			return nil, nothingHeld(req)
		}
		var err error
		if more := len(resp.Accepted) - maxAcceptEvents; more > 0 {
			err = c.event(&yardarmv1.Event{Reason: "Accepted", Bundle: req.GetBundle(), Message: fmt.Sprintf("what was held is let go elsewhere, too (%d)", more)})
		}
		slices.Sort(resp.Accepted)
		resp.Accepted = slices.Compact(resp.Accepted)
		return as(resp), err
	})
}

// held yields what is reported as held and is the caller's to let go. A bundle is sought by its name in the report: the hub may not know it.
func (c *change) held(clusters iter.Seq[*yardarmv1.Cluster], bundle string) iter.Seq2[*yardarmv1.Cluster, *yardarmv1.Report] {
	return func(yield func(*yardarmv1.Cluster, *yardarmv1.Report) bool) {
		for cluster := range clusters {
			for o := range c.ObservedBundles(cluster.Metadata.Uid) {
				r := o.GetReport()
				if r.GetPhase() != yardarmv1.PhaseHeld || heldByPolicy(r) || bundle != "" && r.GetBundle() != bundle {
					continue
				}
				if !c.view().mayItem(c.need.verb, cluster, r.GetBundle(), r.GetBundleUid()) {
					continue
				}
				if !yield(cluster, r) {
					return
				}
			}
		}
	}
}

// heldByPolicy tells whether the cluster's own policy holds it, which is for those who run the cluster to end.
func heldByPolicy(r *yardarmv1.Report) bool {
	return r.GetReason() == yardarmv1.ReasonFrozen || r.GetReason() == yardarmv1.ReasonReadOnly
}

// acceptance is the operator's answer to a report; nil where there is nothing to answer any more.
func (c *change) acceptance(cluster *yardarmv1.Cluster, r *yardarmv1.Report) *storev1.Acceptance {
	out := &storev1.Acceptance{ClusterUid: cluster.Metadata.Uid, BundleUid: r.GetBundleUid(), Actor: c.actor, Time: c.time()}
	if r.GetReason() != yardarmv1.ReasonMassDeletion {
		if len(r.GetAssignmentHash()) == 0 {
			return nil
		}
		out.HoldingHash = r.GetAssignmentHash()
		return out
	}
	d := &yardarmv1.AcceptedDeletion{FromDigest: r.GetDigest()}
	if b := c.Bundle(r.GetBundleUid()); b != nil && cluster.Spec.GetRemoval() == nil && c.targets(b, cluster) {
		// The step that the spoke has asked about, which the hub may have gone beyond: then this answers nothing.
		d.FromDigest, d.ToDigest = r.GetRenderedDigest(), r.GetDigest()
	}
	if d.FromDigest == "" || d.FromDigest == d.ToDigest {
		return nil // nothing to be deleted
	}
	out.Deletion = d
	return out
}

// targets tells whether a bundle goes to a cluster.
func (c *change) targets(b *yardarmv1.Bundle, cluster *yardarmv1.Cluster) bool {
	for other := range c.BundlesOf(cluster.Metadata.Uid) {
		if other.Metadata.Uid == b.Metadata.Uid {
			return true
		}
	}
	return false
}

func nothingHeld(req *hubv1.AcceptRequest) error {
	var where []string
	if req.GetCluster() != "" {
		where = append(where, fmt.Sprintf("in cluster %q", req.GetCluster()))
	}
	if req.GetBundle() != "" {
		where = append(where, fmt.Sprintf("of bundle %q", clip(req.GetBundle())))
	}
	return refuse(codes.NotFound, reasonNothingHeld, nil,
		"nothing is held "+strings.Join(where, " ")+", as far as the hub has heard; `yardarm status` shows what waits for whom (what is Frozen or ReadOnly is held by its cluster's own policy, and let go there)")
}
