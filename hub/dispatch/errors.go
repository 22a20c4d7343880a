package dispatch

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// Reasons of ErrorInfo, for spokes.
const (
	domain = "yardarm.dev"
	// reasonDeleted tells a spoke that its identity is over.
	reasonDeleted = "CLUSTER_DELETED"
	reasonBanned  = "CLUSTER_BANNED"
)

// authError maps what the CA says of a caller to a status; nil stays nil.
func authError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ca.ErrDeletedCluster):
		return failure(codes.PermissionDenied, "the cluster was deleted at the hub; enrol it anew to manage it again",
			&errdetails.ErrorInfo{Reason: reasonDeleted, Domain: domain})
	case errors.Is(err, ca.ErrBanned):
		return failure(codes.PermissionDenied, "the cluster is banned; an operator can lift that with: yardarm unban cluster NAME",
			&errdetails.ErrorInfo{Reason: reasonBanned, Domain: domain})
	case errors.Is(err, ca.ErrExpired):
		return status.Error(codes.Unauthenticated, "the certificate has expired; it can only be renewed")
	}
	return status.Error(codes.PermissionDenied, err.Error())
}

// storeError maps an error of an update.
func storeError(err error) error {
	switch {
	case errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrClosed):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, errSuperseded):
		return status.Error(codes.Aborted, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Internal, err.Error())
}

// retryLater refuses for now.
func retryLater(message string, after time.Duration) error {
	return failure(codes.ResourceExhausted, message, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
}

func failure(code codes.Code, message string, detail protoadapt.MessageV1) error {
	st := status.New(code, message)
	if with, err := st.WithDetails(detail); err == nil {
		st = with
	}
	return st.Err()
}
