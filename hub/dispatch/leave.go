package dispatch

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// Leave begins to delete the caller's cluster, as DeleteCluster does for people, and answers whether it is gone. A spoke can so end itself, and
// nothing else: it could as well remove all that it has applied.
func (s *Server) Leave(ctx context.Context, _ *spokev1.LeaveRequest) (*spokev1.LeaveResponse, error) {
	p, err := s.peer(ctx)
	if err != nil {
		return nil, err
	}
	err = s.CA.Authorize(s.Store.Read(), p)
	if errors.Is(err, ca.ErrDeletedCluster) {
		return &spokev1.LeaveResponse{Gone: true}, nil
	}
	if err != nil {
		return nil, authError(err)
	}
	if s.Store.Read().Cluster(p.UID).GetSpec().GetRemoval() != nil {
		return &spokev1.LeaveResponse{}, nil // it is asked for
	}
	now := s.Clock()
	if _, err := s.Store.Update(ctx, func(tx *store.Tx) error { return leave(tx, p.UID, now) }); err != nil {
		return nil, storeError(err)
	}
	return &spokev1.LeaveResponse{}, nil
}

func leave(tx *store.Tx, uid string, now time.Time) error {
	row := tx.Cluster(uid)
	if row == nil || row.GetSpec().GetRemoval() != nil {
		return nil
	}
	next := proto.CloneOf(row)
	if next.Spec == nil {
		next.Spec = &yardarmv1.ClusterSpec{}
	}
	at, name := timestamppb.New(now), row.GetMetadata().GetName()
	next.Spec.Removal = &yardarmv1.Removal{Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE, Time: at, Actor: "spoke of " + name}
	next.Metadata.DeletionTimestamp = at
	next.Metadata.Generation++
	if err := tx.PutCluster(next); err != nil {
		return err
	}
	return tx.AddEvent(&yardarmv1.Event{
		Time: at, Type: yardarmv1.EventNormal, Reason: "ClusterDeleting", Cluster: name, Actor: next.Spec.Removal.Actor,
		Message: "its spoke is being uninstalled, and is to remove the workloads first",
	})
}
