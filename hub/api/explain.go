package api

import (
	"context"
	"time"

	"github.com/yardarm-dev/yardarm/hub/index"
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
	in.Delivery = s.delivery(ctx, c.GetMetadata().GetUid(), bundleUID)
	v = s.view(ctx) // not older than what the session said
	in.Tx, in.Now = v.ReadTx, v.now
	in.Sees = v.seesGroupName
	return why.Of(in), nil
}

func (s *Server) delivery(ctx context.Context, clusterUID, bundleUID string) *why.Delivery {
	if s.cfg.Deliveries == nil {
		return nil
	}
	return s.cfg.Deliveries.Delivery(ctx, clusterUID, bundleUID)
}

// maxExplained is of how many clusters of a rollout it is said what they wait for, as the proto says: more than fit on a screen nobody reads. Their sessions
// have explainWithin for all their answers.
const (
	maxExplained  = 20
	explainWithin = time.Second
)

// explainClusters says of a rollout's clusters that are on their way or have failed what they wait for.
func (s *Server) explainClusters(ctx context.Context, v view, r *yardarmv1.Rollout) {
	ctx, cancel := context.WithTimeout(ctx, explainWithin)
	defer cancel()
	item := index.Item{Bundle: r.GetSpec().GetBundle(), BundleUID: r.GetSpec().GetBundleUid()}
	clusters := r.GetStatus().GetClusters()
	for _, shown := range clusters[:min(len(clusters), maxExplained)] {
		c := v.ClusterByName(shown.Cluster)
		if shown.State == yardarmv1.MemberWaiting || shown.State == yardarmv1.MemberReturned || !v.seesItem(c, item) {
			continue
		}
		e := why.Of(why.Input{Tx: v.ReadTx, Cluster: c, Bundle: item.Bundle, Delivery: s.delivery(ctx, c.GetMetadata().GetUid(), item.BundleUID),
			Sees: v.seesGroupName, Now: v.now})
		shown.Reason, shown.Message = e.Reason, e.Answer
	}
}
