package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/index"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ListClusterGroups implements FleetService.
func (s *Server) ListClusterGroups(ctx context.Context, req *hubv1.ListClusterGroupsRequest) (*hubv1.ListClusterGroupsResponse, error) {
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "clustergroups"}
	var v view
	p, err := paginate(list, groupFields, func(add func(*index.Group)) {
		v = s.read(ctx, func(v view, state *index.State) {
			for g := range state.Groups() {
				if v.seesGroup(g.Row) {
					add(v.groupPart(g))
				}
			}
		})
	}, func(g *index.Group) *yardarmv1.ClusterGroup { return v.showGroup(g) })
	if err != nil {
		return nil, err
	}
	return &hubv1.ListClusterGroupsResponse{ClusterGroups: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetClusterGroup implements FleetService.
func (s *Server) GetClusterGroup(ctx context.Context, req *hubv1.GetClusterGroupRequest) (*yardarmv1.ClusterGroup, error) {
	v := s.view(ctx)
	g := v.Group(req.GetName())
	if g == nil {
		return nil, groupNotFound(req.GetName())
	}
	return v.group(g), nil
}

// DeleteClusterGroup implements FleetService.
func (s *Server) DeleteClusterGroup(ctx context.Context, req *hubv1.DeleteClusterGroupRequest) (*hubv1.DeleteClusterGroupResponse, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteClusterGroupResponse, error) {
		g := c.Group(req.GetName())
		if g == nil {
			return nil, groupNotFound(req.GetName())
		}
		if err := checkVersion(yardarmv1.KindClusterGroup, g.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		var names []string
		for b := range c.BundlesTargeting(req.GetName()) {
			names = append(names, b.GetMetadata().GetName())
		}
		if len(names) > 0 {
			slices.Sort(names)
			return nil, precondition(reasonInUse, yardarmv1.KindClusterGroup, req.GetName(), fmt.Sprintf(
				"cluster group %q is targeted by bundles (%s); let them target other groups first, or delete them", req.GetName(), strings.Join(names, ", ")))
		}
		if gates := c.gatesNaming(req.GetName()); len(gates) > 0 {
			return nil, precondition(reasonInUse, yardarmv1.KindClusterGroup, req.GetName(), fmt.Sprintf(
				"cluster group %q is what gates are about (%s); let them be about others first, or delete them", req.GetName(), strings.Join(gates, ", ")))
		}
		if names := c.stagesNaming(req.GetName()); len(names) > 0 {
			return nil, precondition(reasonInUse, yardarmv1.KindClusterGroup, req.GetName(), fmt.Sprintf(
				"cluster group %q is what stages are for (%s); let them be for others first", req.GetName(), strings.Join(names, ", ")))
		}
		if err := c.DeleteGroup(req.GetName()); err != nil {
			return nil, err
		}
		return as(&hubv1.DeleteClusterGroupResponse{}), c.event(&yardarmv1.Event{Reason: "ClusterGroupDeleted", Message: fmt.Sprintf("cluster group %q deleted", req.GetName())})
	})
}

func groupNotFound(name string) error {
	return notFound(yardarmv1.KindClusterGroup, clip(name), "`yardarm get clustergroups` lists them")
}
