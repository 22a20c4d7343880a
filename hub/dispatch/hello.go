package dispatch

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// check refuses a Hello that this hub cannot or must not serve.
func (s *session) check(h *spokev1.Hello) error {
	if h.Protocol < minProtocol {
		return status.Errorf(codes.FailedPrecondition, "the spoke speaks protocol %d and the hub %d to %d: upgrade the spoke", h.Protocol, minProtocol, maxProtocol)
	}
	if h.Protocol > maxProtocol {
		return status.Errorf(codes.FailedPrecondition, "the spoke speaks protocol %d and the hub %d to %d: upgrade the hub", h.Protocol, minProtocol, maxProtocol)
	}
	tx := s.Store.Read()
	if id := tx.Identity(s.uid); id.GetKubeUid() != h.KubeUid {
		return status.Error(codes.FailedPrecondition,
			"the spoke runs in another cluster than the one that was enrolled (its kube-system namespace has another uid): it may be a clone; enrol it under a name of its own")
	}
	return s.checkCursor(tx, h.Cursor)
}

// checkCursor compares the hub's place in its history with the one that the spoke has seen. A spoke that is ahead proves
// that the database was put back by hand: nothing that it says can be trusted to be new any more.
func (s *session) checkCursor(tx *store.ReadTx, c *spokev1.Cursor) error {
	if c == nil {
		return nil
	}
	if !s.CA.VerifyCursor(c) {
		return status.Error(codes.FailedPrecondition, "the spoke's cursor was not made by this hub")
	}
	epoch := s.Store.Epoch()
	newerEpoch := bytes.Compare(c.Epoch, epoch)
	if newerEpoch > 0 || newerEpoch == 0 && c.Index > tx.Index() {
		reason := fmt.Sprintf("the database was rolled back: cluster %s has seen %x/%d, and the database is at %x/%d; "+
			"restore a backup with yardarm-hub restore, which begins a new epoch", s.name, c.Epoch, c.Index, epoch, tx.Index())
		if s.Store.ReadOnly() == "" {
			s.Logger.Error("going read-only", "reason", reason)
			s.Store.SetReadOnly(reason)
		}
		return status.Error(codes.FailedPrecondition, reason)
	}
	return nil
}

// predates tells whether an assignment may have reached its cluster before the database was restored last: its revision was there then.
func (s *session) predates(tx *store.ReadTx, a *yardarmv1.AssignmentSpec) bool {
	past := s.Store.Meta().Past
	if len(past) == 0 {
		return false
	}
	made, err := strconv.ParseUint(tx.Revision(a.BundleUid, a.Revision).GetMetadata().GetResourceVersion(), 10, 64)
	return err != nil || made <= past[len(past)-1].Index
}

// welcome answers Hello, and asks for what the hub does not know.
func (s *session) welcome(h *spokev1.Hello, factsHash []byte, confirmed bool) error {
	tx := s.Store.Read()
	epoch := s.Store.Epoch()
	desired := s.placer.Desired(tx, s.uid)
	all := make([]holding, 0, len(desired))
	for _, a := range desired {
		all = append(all, holding{
			bundle: a.Bundle, uid: a.BundleUid, hash: a.Hash, revision: a.Revision, digest: a.Digest,
			epoch: epoch, index: tx.Index(), hasContent: true, dated: s.predates(tx, a),
		})
	}
	held := setOf(all)
	// Equal hashes under one epoch say all, where nothing is being removed: the spoke holds just what it should.
	if !h.Removing && holdings.Same(setHash(held, nil), h.HoldingsHash) && bytes.Equal(h.Cursor.GetEpoch(), epoch) {
		s.held, s.known = held, true
	}
	cursor := s.CA.SignCursor(epoch, tx.Index())
	if s.brief, s.epoch = h.Brief, h.Cursor.GetEpoch(); s.brief && bytes.Equal(s.epoch, epoch) {
		cursor = &spokev1.Cursor{Index: tx.Index()} // it is compared and not kept
	}
	w := &spokev1.Welcome{
		Session: s.id, Cursor: cursor, Brief: s.brief,
		HeartbeatInterval: durationpb.New(s.HeartbeatInterval),
		HubAddresses:      s.Addresses, MaxArtifactSize: s.MaxArtifactSize,
		SendHoldings: !s.known, SendReports: !confirmed,
		SendFacts: !holdings.Same(factsHash, h.FactsHash),
		ReadOnly:  s.Store.ReadOnly(),
	}
	// Rows and not sessions: who is welcomed early comes back with all others, too.
	if within := s.spread(tx.Rows(store.Clusters), 0).Truncate(time.Second); within > 0 {
		w.ReconnectWithin = durationpb.New(within)
	}
	if trust := s.CA.TrustBundle(); !holdings.Same(certs.BundleHash(trust), h.TrustHash) {
		w.TrustBundle = trust
	}
	return s.stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Welcome{Welcome: w}})
}
