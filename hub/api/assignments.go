package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// pair is an assignment and its cluster.
type pair struct {
	cluster *index.Cluster
	*index.Assignment
}

func (p pair) name() string { return assignmentName(p.cluster.Name(), p.Bundle) }

// ListAssignments implements FleetService: by cluster, then bundle. What a cluster still holds though nothing assigns it is among them.
func (s *Server) ListAssignments(ctx context.Context, req *hubv1.ListAssignmentsRequest) (*hubv1.ListAssignmentsResponse, error) {
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), fmt.Sprintf("assignments %q %q", req.GetCluster(), req.GetBundle())}
	if list.orderBy == "" {
		list.orderBy = byClusterAndBundle
	}
	var v view
	p, err := paginate(list, assignmentFields, func(add func(pair)) {
		v = s.read(ctx, func(v view, state *index.State) {
			eachPair(state, req.GetCluster(), req.GetBundle(), func(p pair) {
				if v.seesItem(p.cluster.Row, p.Item) {
					add(pair{v.clusterPart(p.cluster), p.Assignment})
				}
			})
		})
	}, func(p pair) *yardarmv1.Assignment { return v.assignment(p.cluster.Row, p.Item) })
	if err != nil {
		return nil, err
	}
	// What is gone may still be held somewhere; what never was is a slip.
	switch cluster, bundle := req.GetCluster(), req.GetBundle(); {
	case cluster != "" && v.ClusterByName(cluster) == nil:
		return nil, clusterNotFound(cluster)
	case bundle != "" && p.total == 0 && list.filter == "" && v.BundleByName(bundle) == nil:
		return nil, bundleNotFound(bundle)
	}
	return &hubv1.ListAssignmentsResponse{Assignments: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// byClusterAndBundle is the order of assignments where none is asked for.
const byClusterAndBundle = "cluster,bundle"

// eachPair calls add for all assignments, or those of the cluster and of the bundle, where they are named.
func eachPair(state *index.State, cluster, bundle string, add func(pair)) {
	clusters := state.Clusters()
	if cluster != "" {
		c := state.Cluster(state.Tx.ClusterByName(cluster).GetMetadata().GetUid())
		if c == nil {
			return
		}
		clusters = slices.Values([]*index.Cluster{c})
	}
	for c := range clusters {
		if bundle != "" {
			if a := c.Assignment(bundle); a != nil {
				add(pair{c, a})
			}
			continue
		}
		for _, a := range c.Assignments {
			add(pair{c, a})
		}
	}
}

// GetAssignment implements FleetService.
func (s *Server) GetAssignment(ctx context.Context, req *hubv1.GetAssignmentRequest) (*yardarmv1.Assignment, error) {
	v := s.view(ctx)
	c, it, err := v.item(req.GetCluster(), req.GetBundle())
	if err != nil {
		return nil, err
	}
	return v.assignment(c, it), nil
}

// isMember tells whether a bundle's rollout says what a cluster is to run.
func isMember(tx *store.ReadTx, b *yardarmv1.Bundle, c *yardarmv1.Cluster) bool {
	_, ok := tx.Assigned(b.GetMetadata().GetUid(), c.GetMetadata().GetUid())
	return ok
}

// item finds what a cluster is to run, or still holds, of a bundle.
func (v view) item(cluster, bundle string) (*yardarmv1.Cluster, index.Item, error) {
	c := v.ClusterByName(cluster)
	if c == nil {
		return nil, index.Item{}, clusterNotFound(cluster)
	}
	for _, it := range index.ItemsOf(v.ReadTx, c) {
		if it.Bundle == bundle {
			return c, it, nil
		}
	}
	b := v.BundleByName(bundle)
	hint := "no group that the bundle targets has the cluster; `yardarm describe bundle` shows its groups"
	switch {
	case b == nil:
		return nil, index.Item{}, bundleNotFound(bundle)
	case b.GetStatus().GetLatestRevision() == 0:
		hint = "the bundle has no revision yet; publish one"
	case isMember(v.ReadTx, b, c):
		hint = "the bundle's first rollout has yet to reach the cluster; `yardarm rollout status` shows how far it is"
	}
	return nil, index.Item{}, notFound(yardarmv1.KindAssignment, assignmentName(cluster, bundle), hint)
}
