package apitest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Settle plays that every rollout has come to its end, and that everybody has had their turn: all clusters are to run the latest revisions.
func Settle(t testing.TB, st *store.Store) {
	var due []string
	var turns []*storev1.Turn
	for b := range st.Read().Bundles() {
		turns = slices.AppendSeq(turns, st.Read().TurnsOf(b.Metadata.Uid))
		if st.Read().Rollout(b.Metadata.Uid).GetRevision() < b.GetStatus().GetLatestRevision() {
			due = append(due, b.Metadata.Uid)
		}
	}
	if len(due)+len(turns) == 0 {
		return
	}
	if _, err := st.Update(context.Background(), func(tx *store.Tx) error {
		var err error
		for _, turn := range turns {
			err = errors.Join(err, tx.TakeTurn(turn))
		}
		for _, uid := range due {
			latest := tx.Bundle(uid).GetStatus().GetLatestRevision()
			err = errors.Join(err, tx.PutRollout(&storev1.Rollout{BundleUid: uid, Revision: latest, Settled: latest, Phase: 2,
				Strategy: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{}}}, Stages: []*storev1.RolloutStage{{Name: "all"}}}))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// settling settles after each call and each message, before the caller has its answer.
func settling(t testing.TB, st *store.Store) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			err := invoke(ctx, method, req, reply, cc, opts...)
			if err == nil {
				Settle(t, st)
			}
			return err
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			stream, err := open(ctx, desc, cc, method, opts...)
			return settled{stream, t, st}, err
		}),
	}
}

type settled struct {
	grpc.ClientStream
	t  testing.TB
	st *store.Store
}

func (s settled) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		Settle(s.t, s.st)
	}
	return err
}
