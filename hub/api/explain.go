package api

import (
	"context"

	"github.com/yardarm-dev/yardarm/hub/why"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Deliveries tell how far bundles are on their way to spokes.
type Deliveries interface {
	// Delivery answers nil where there is no session, or it does not say. It does not block for long.
	Delivery(ctx context.Context, clusterUID, bundleUID string) *why.Delivery
}

// GetExplanation implements FleetService.
func (s *Server) GetExplanation(ctx context.Context, req *hubv1.GetExplanationRequest) (*yardarmv1.Explanation, error) {
	v := s.view(ctx)
	c := v.ClusterByName(req.GetCluster())
	if c == nil {
		return nil, clusterNotFound(req.GetCluster())
	}
	_, it, err := v.item(req.GetCluster(), req.GetBundle())
	b := v.BundleByName(req.GetBundle())
	if err != nil && b == nil {
		return nil, err
	}
	bundleUID := it.BundleUID
	if err != nil {
		bundleUID = b.GetMetadata().GetUid()
	}
	in := why.Input{Cluster: c, Bundle: req.GetBundle()}
	if s.cfg.Deliveries != nil {
		in.Delivery = s.cfg.Deliveries.Delivery(ctx, c.GetMetadata().GetUid(), bundleUID)
		v = s.view(ctx) // not older than what the session said
	}
	in.Tx, in.Now = v.ReadTx, v.now
	in.Sees = func(group string) bool { return v.all || v.access.Group(yardarmv1.VerbGet, group) }
	return why.Of(in), nil
}
