package dispatch

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/hub/ca"
)

// Enroll trades a token for a certificate.
func (s *Server) Enroll(ctx context.Context, req *spokev1.EnrollRequest) (*spokev1.EnrollResponse, error) {
	id, err := s.CA.Redeem(withAuthor(ctx, "enrolment"), req.Token, req.Csr, req.KubeUid)
	if err != nil {
		return nil, enrolError(err)
	}
	s.Logger.Info("enrolled", "cluster", id.Cluster, "spoke_version", clip(req.SpokeVersion, maxReason))
	id.HubAddresses = s.Addresses
	return &spokev1.EnrollResponse{Identity: id}, nil
}

// Renew answers a new certificate for the caller's key, which may have expired.
func (s *Server) Renew(ctx context.Context, req *spokev1.RenewRequest) (*spokev1.RenewResponse, error) {
	p, err := s.peer(ctx)
	if err != nil {
		return nil, err
	}
	id, err := s.CA.Renew(withAuthor(ctx, clusterAuthor(p.UID)), p, req.Csr, req.Trusts)
	if err != nil {
		return nil, enrolError(err)
	}
	id.HubAddresses = s.Addresses
	return &spokev1.RenewResponse{Identity: id}, nil
}

func enrolError(err error) error {
	switch {
	case errors.Is(err, ca.ErrTokenUnknown), errors.Is(err, ca.ErrTokenForeign), errors.Is(err, ca.ErrTokenExpired), errors.Is(err, ca.ErrTokenUsed):
		return status.Error(codes.Unauthenticated, err.Error())
	case errors.Is(err, ca.ErrBadToken), errors.Is(err, ca.ErrBadCSR):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, ca.ErrCloned), errors.Is(err, ca.ErrEnrolled):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, ca.ErrDeletedCluster), errors.Is(err, ca.ErrBanned), errors.Is(err, ca.ErrExpired),
		errors.Is(err, ca.ErrUnknownCluster), errors.Is(err, ca.ErrKeyMismatch):
		return authError(err)
	}
	return storeError(err)
}
