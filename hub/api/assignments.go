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
	c := v.ClusterByName(req.GetCluster())
	if c == nil {
		return nil, clusterNotFound(req.GetCluster())
	}
	for _, it := range v.items(c) {
		if it.bundle == req.GetBundle() {
			return v.assignmentView(it), nil
		}
	}
	b := v.BundleByName(req.GetBundle())
	switch {
	case b == nil:
		return nil, bundleNotFound(req.GetBundle())
	case b.GetStatus().GetRevision() == 0:
		return nil, notFound(yardarmv1.KindAssignment, assignmentName(req.GetCluster(), req.GetBundle()), "the bundle has no revision yet; publish one")
	}
	return nil, notFound(yardarmv1.KindAssignment, assignmentName(req.GetCluster(), req.GetBundle()),
		"no group that the bundle targets has the cluster; `yardarm describe bundle` shows its groups")
}
