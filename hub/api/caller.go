package api

import (
	"context"
	"crypto/x509"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/authz"
)

const (
	// maxBearer is how long a token may be, in bytes; beyond it nothing is even looked up. ID tokens that name hundreds of groups are shorter.
	maxBearer = 16 << 10
	// certificateKey is the metadata in which hub/gateway passes on the client certificate of a REST call. It is read of the gateway's connection in
	// memory alone: of any other, the certificate is the connection's own.
	certificateKey = "x-yardarm-certificate-bin"
)

// authenticate answers who calls: by the Authorization header, or else by the client certificate. Every method needs one of them.
func (s *Server) authenticate(ctx context.Context) (authz.Identity, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	who, err := s.identify(ctx, md.Get("authorization"), func() *x509.Certificate { return clientCertificate(ctx, md) })
	if err != nil {
		s.log.Debug("caller refused", "error", err)
		return authz.Identity{}, unidentified(err)
	}
	return who, nil
}

// Who answers who shows an Authorization header's values, or else a client certificate; empty for nobody. It allows nothing.
func (s *Server) Who(ctx context.Context, authorization []string, certificate *x509.Certificate) string {
	who, err := s.identify(ctx, authorization, func() *x509.Certificate { return certificate })
	if err != nil {
		return ""
	}
	return who.Actor()
}

func (s *Server) identify(ctx context.Context, authorization []string, certificate func() *x509.Certificate) (authz.Identity, error) {
	if len(authorization) > 0 {
		scheme, token, ok := strings.Cut(authorization[0], " ")
		token = strings.TrimSpace(token)
		if !ok || len(authorization) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxBearer {
			return authz.Identity{}, status.Error(codes.Unauthenticated, "the Authorization header must be `Bearer TOKEN`")
		}
		return s.cfg.Authenticator.Authenticate(ctx, token)
	}
	if leaf := certificate(); leaf != nil {
		return authz.OfCertificate(leaf)
	}
	return authz.Identity{}, status.Error(codes.Unauthenticated, "a credential is needed; send it as `Authorization: Bearer TOKEN`")
}

// clientCertificate is the verified one that the caller has shown, or nil.
func clientCertificate(ctx context.Context, md metadata.MD) *x509.Certificate {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	if info, ok := from.AuthInfo.(credentials.TLSInfo); ok {
		if len(info.State.VerifiedChains) == 0 {
			return nil
		}
		return info.State.VerifiedChains[0][0]
	}
	passed := md.Get(certificateKey)
	if from.Addr.Network() != "bufconn" || len(passed) != 1 {
		return nil
	}
	leaf, err := x509.ParseCertificate([]byte(passed[0]))
	if err != nil {
		return nil // the gateway passes on none but those that were parsed before
	}
	return leaf
}
