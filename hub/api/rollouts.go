package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/drive"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// GetRollout implements FleetService.
func (s *Server) GetRollout(ctx context.Context, req *hubv1.GetRolloutRequest) (*yardarmv1.Rollout, error) {
	return s.explainedRollout(ctx, req.GetBundle())
}

func (s *Server) explainedRollout(ctx context.Context, bundle string) (*yardarmv1.Rollout, error) {
	v := s.view(ctx)
	shown, err := v.rollout(bundle)
	s.explainClusters(ctx, v, shown)
	return shown, err
}

// rollout shows that of a bundle.
func (v view) rollout(bundle string) (*yardarmv1.Rollout, error) {
	b := v.BundleByName(bundle)
	if b == nil {
		return nil, bundleNotFound(bundle)
	}
	shown := drive.Show(v.ReadTx, b, v.now, v.seesCluster)
	if shown == nil {
		return nil, notFound(yardarmv1.KindRollout, bundle, "the bundle has no revision yet; publish one")
	}
	return shown, nil
}

// rolloutTables are what a rollout is shown from, but for presences: that a cluster has come or gone is no news of it by itself.
var rolloutTables = []store.Table{store.Bundles, store.Rollouts, store.RolloutMembers, store.Gates, store.Roles, store.RoleBindings}

// WatchRollout implements FleetService.
func (s *Server) WatchRollout(req *hubv1.WatchRolloutRequest, stream grpc.ServerStreamingServer[yardarmv1.Rollout]) error {
	done, err := s.admitWatch()
	if err != nil {
		return err
	}
	defer done()
	sub := s.store.Subscribe(rolloutTables...)
	defer sub.Close()
	heartbeat := time.NewTicker(s.cfg.Heartbeat)
	defer heartbeat.Stop()
	var sent *yardarmv1.Rollout
	for {
		sub.Take()
		shown, err := s.explainedRollout(stream.Context(), req.GetBundle())
		if err != nil {
			return err
		}
		if !proto.Equal(sent, shown) {
			if err := stream.Send(shown); err != nil {
				return err
			}
			sent = shown
			if err := s.pause(stream.Context()); err != nil {
				return err
			}
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.stopping:
			return errStopping
		case <-heartbeat.C:
			sent = nil // so it is sent again
		case <-sub.C():
		}
	}
}

// PauseRollout implements FleetService.
func (s *Server) PauseRollout(ctx context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return s.steer(ctx, req, yardarmv1.ActionPause, "RolloutPaused")
}

// ResumeRollout implements FleetService.
func (s *Server) ResumeRollout(ctx context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return s.steer(ctx, req, yardarmv1.ActionResume, "RolloutResumed")
}

// ApproveRollout implements FleetService.
func (s *Server) ApproveRollout(ctx context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return s.steer(ctx, req, yardarmv1.ActionApprove, "RolloutApproved")
}

// PromoteRollout implements FleetService.
func (s *Server) PromoteRollout(ctx context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return s.steer(ctx, req, yardarmv1.ActionPromote, "RolloutPromoted")
}

// RetryRollout implements FleetService. Clusters that still are to run the revision try again at once what has failed.
func (s *Server) RetryRollout(ctx context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return s.steer(ctx, req, yardarmv1.ActionRetry, "RolloutRetried")
}

// OverrideGates implements FleetService.
func (s *Server) OverrideGates(ctx context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	if req.GetMessage() == "" {
		return nil, invalid("message", "is missing: say why the gates do not count this time")
	}
	return s.steer(ctx, req, yardarmv1.ActionOverride, "GatesOverridden")
}

// steer does one action to a rollout: it changes the rollout's row, and what follows from that is for hub/rollout, which reads it there.
func (s *Server) steer(ctx context.Context, req *hubv1.SteerRolloutRequest, action, reason string) (*yardarmv1.Rollout, error) {
	var v violations
	checker{v: &v}.text("message", req.GetMessage())
	if err := v.err(); err != nil {
		return nil, err
	}
	return transact(ctx, s, req, func(c *change) (func(view) *yardarmv1.Rollout, error) {
		b := c.BundleByName(req.GetBundle())
		if b == nil {
			return nil, bundleNotFound(req.GetBundle())
		}
		row := proto.CloneOf(c.Rollout(b.Metadata.Uid))
		if err := checkRollout(b, row.GetRevision(), req.GetRevision()); err != nil {
			return nil, err
		}
		did := &yardarmv1.RolloutAction{Action: action, Actor: c.actor, Time: c.time(), Message: req.GetMessage()}
		if err := rollout.Steer(row, did); err != nil {
			return nil, precondition(reasonState, yardarmv1.KindRollout, req.GetBundle(), err.Error())
		}
		err := c.PutRollout(row)
		if action == yardarmv1.ActionRetry {
			for m := range c.RolloutMembers(b.Metadata.Uid) {
				if m.Runs == row.Revision {
					err = errors.Join(err, c.AddReconciliation(m.UID, b.Metadata.Uid))
				}
			}
		}
		if err != nil {
			return nil, err
		}
		shown, err := c.view().rollout(req.GetBundle())
		message := fmt.Sprintf("%s revision %d at stage %s", did.Action, row.Revision, did.Stage)
		if req.GetMessage() != "" {
			message += ": " + clip(req.GetMessage())
		}
		return as(shown), errors.Join(err, c.event(&yardarmv1.Event{Reason: reason, Bundle: req.GetBundle(), Revision: row.Revision, Message: message}))
	})
}

// checkRollout refuses to do something to another rollout than the caller means, or to one that has yet to begin.
func checkRollout(b *yardarmv1.Bundle, have, want uint32) error {
	name, latest := b.Metadata.Name, b.GetStatus().GetLatestRevision()
	switch {
	case latest == 0:
		return notFound(yardarmv1.KindRollout, name, "the bundle has no revision yet; publish one")
	case want != 0 && want != latest:
		return precondition(reasonState, yardarmv1.KindRollout, name, fmt.Sprintf("bundle %q is at revision %d by now, and revision %d was meant", name, latest, want))
	case have < latest:
		return precondition(reasonState, yardarmv1.KindRollout, name, fmt.Sprintf("the rollout of revision %d has yet to begin; try again in a moment", latest))
	}
	return nil
}
