package api

import (
	"context"
	"iter"

	"github.com/yardarm-dev/yardarm/hub/placement"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reconcile implements FleetService. A request is counted, and the count is part of assignments: it cannot be lost on the way, and the first
// report about the new assignment tells that it was done.
func (s *Server) Reconcile(ctx context.Context, req *hubv1.ReconcileRequest) (*hubv1.ReconcileResponse, error) {
	if req.GetCluster() == "" && req.GetBundle() == "" {
		return nil, invalid("cluster", "is missing, and so is bundle; name one of them, or both")
	}
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.ReconcileResponse, error) {
		resp := &hubv1.ReconcileResponse{}
		var err error
		switch {
		case req.GetBundle() == "":
			resp.Assignments, err = c.reconcileCluster(req.GetCluster())
		case req.GetCluster() == "":
			resp.Assignments, err = c.reconcileBundle(req.GetBundle())
		default:
			resp.Assignments, err = c.reconcileOne(req.GetCluster(), req.GetBundle())
		}
		if err != nil {
			return nil, err
		}
		return as(resp), c.event(&yardarmv1.Event{Reason: "ReconcileRequested", Cluster: req.GetCluster(), Bundle: req.GetBundle(),
			Message: "what is there is compared with what should be, and what failed is tried again"})
	})
}

// reconcileCluster has a cluster reconcile all that it is to run.
func (c *change) reconcileCluster(name string) (assignments []string, err error) {
	cluster := c.ClusterByName(name)
	if cluster == nil {
		return nil, clusterNotFound(name)
	}
	for b := range c.running(cluster) {
		if err := c.AddReconciliation(cluster.Metadata.Uid, b.Metadata.Uid); err != nil {
			return nil, err
		}
		assignments = append(assignments, assignmentName(name, b.Metadata.Name))
	}
	if len(assignments) == 0 {
		return nil, precondition(reasonState, yardarmv1.KindCluster, name, "the cluster is to run no bundle; there is nothing to reconcile")
	}
	return assignments, nil
}

// reconcileBundle has all clusters of a bundle reconcile it.
func (c *change) reconcileBundle(name string) (assignments []string, err error) {
	b := c.BundleByName(name)
	if b == nil {
		return nil, bundleNotFound(name)
	}
	for cluster := range c.ClustersOf(b.Metadata.Uid) {
		if c.runs(cluster, b) {
			assignments = append(assignments, assignmentName(cluster.Metadata.Name, name))
		}
	}
	if len(assignments) == 0 {
		return nil, precondition(reasonState, yardarmv1.KindBundle, name, "no cluster is to run the bundle; there is nothing to reconcile")
	}
	return assignments, c.AddReconciliation("", b.Metadata.Uid)
}

// reconcileOne has one cluster reconcile one bundle.
func (c *change) reconcileOne(cluster, bundle string) (assignments []string, err error) {
	row, b := c.ClusterByName(cluster), c.BundleByName(bundle)
	switch {
	case row == nil:
		return nil, clusterNotFound(cluster)
	case b == nil:
		return nil, bundleNotFound(bundle)
	case !c.targets(b, row) || !c.runs(row, b):
		return nil, notFound(yardarmv1.KindAssignment, assignmentName(cluster, bundle), "the cluster is not to run the bundle; `yardarm describe bundle` shows which do")
	}
	return []string{assignmentName(cluster, bundle)}, c.AddReconciliation(row.Metadata.Uid, b.Metadata.Uid)
}

// running yields the bundles that a cluster is to run, as far as the caller may have it reconcile them.
func (c *change) running(cluster *yardarmv1.Cluster) iter.Seq[*yardarmv1.Bundle] {
	return func(yield func(*yardarmv1.Bundle) bool) {
		for b := range c.BundlesOf(cluster.Metadata.Uid) {
			if c.runs(cluster, b) && c.view().mayItem(c.need.verb, cluster, b.Metadata.Name, b.Metadata.Uid) && !yield(b) {
				return
			}
		}
	}
}

// runs tells whether a cluster is to run a bundle that targets it.
func (c *change) runs(cluster *yardarmv1.Cluster, b *yardarmv1.Bundle) bool {
	return cluster.GetSpec().GetRemoval() == nil && c.Revision(b.Metadata.Uid, placement.RevisionFor(c, cluster.Metadata.Uid, b)) != nil
}
