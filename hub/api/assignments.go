package api

import (
	"context"
	"fmt"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ListAssignments implements FleetService: by cluster, then bundle. What a cluster still holds though nothing assigns it is among them.
func (s *Server) ListAssignments(_ context.Context, req *hubv1.ListAssignmentsRequest) (*hubv1.ListAssignmentsResponse, error) {
	v := s.view()
	clusters := v.Clusters()
	if name := req.GetCluster(); name != "" {
		c := v.ClusterByName(name)
		if c == nil {
			return nil, clusterNotFound(name)
		}
		clusters = func(yield func(*yardarmv1.Cluster) bool) { yield(c) }
	}
	all := func(yield func(string, item) bool) {
		for c := range clusters {
			for _, it := range v.items(c) {
				if req.GetBundle() != "" && it.bundle != req.GetBundle() {
					continue
				}
				// The separator is below every character of a name, so that positions compare as pairs do.
				if !yield(c.Metadata.Name+"\x00"+it.bundle, it) {
					return
				}
			}
		}
	}
	list := fmt.Sprintf("assignments %q %q", req.GetCluster(), req.GetBundle())
	p, err := paginate(pageRequest{req.GetPageSize(), req.GetPageToken(), list}, all, v.assignmentView)
	if err != nil {
		return nil, err
	}
	// A bundle that is gone may still be held somewhere; one that never was is a slip.
	if p.total == 0 && req.GetBundle() != "" && v.BundleByName(req.GetBundle()) == nil {
		return nil, bundleNotFound(req.GetBundle())
	}
	return &hubv1.ListAssignmentsResponse{Assignments: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetAssignment implements FleetService.
func (s *Server) GetAssignment(_ context.Context, req *hubv1.GetAssignmentRequest) (*yardarmv1.Assignment, error) {
	v := s.view()
	it, err := v.item(req.GetCluster(), req.GetBundle())
	if err != nil {
		return nil, err
	}
	return v.assignmentView(it), nil
}

// item finds what a cluster is to run, or still holds, of a bundle.
func (v view) item(cluster, bundle string) (item, error) {
	c := v.ClusterByName(cluster)
	if c == nil {
		return item{}, clusterNotFound(cluster)
	}
	for _, it := range v.items(c) {
		if it.bundle == bundle {
			return it, nil
		}
	}
	b := v.BundleByName(bundle)
	switch {
	case b == nil:
		return item{}, bundleNotFound(bundle)
	case b.GetStatus().GetRevision() == 0:
		return item{}, notFound(yardarmv1.KindAssignment, assignmentName(cluster, bundle), "the bundle has no revision yet; publish one")
	}
	return item{}, notFound(yardarmv1.KindAssignment, assignmentName(cluster, bundle),
		"no group that the bundle targets has the cluster; `yardarm describe bundle` shows its groups")
}
