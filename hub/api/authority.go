package api

import (
	"context"
	"crypto/x509"
	"errors"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxLacking is how many clusters that lack a CA are named in an answer.
const maxLacking = 100

// Authority is the hub's CA; *ca.CA is one.
type Authority interface {
	// Roots are its certificates, the newest first, and Lacking the clusters that need the older one of two.
	Roots() []*x509.Certificate
	Lacking() []ca.Lack
	// Rotate makes a second one; the error is ca.ErrRotating if there are two. CanRotate only answers that.
	Rotate(context.Context) error
	CanRotate() error
	// Retire ends the older of two; the error is ca.ErrNotRotating, or a *ca.LackingError, if that cannot be. CanRetire only answers that.
	Retire(context.Context) error
	CanRetire() error
}

// GetAuthority implements FleetService.
func (s *Server) GetAuthority(context.Context, *hubv1.GetAuthorityRequest) (*hubv1.Authority, error) {
	return s.authority(), nil
}

// RotateAuthority implements FleetService.
func (s *Server) RotateAuthority(ctx context.Context, req *hubv1.RotateAuthorityRequest) (*hubv1.Authority, error) {
	if req.GetDryRun() {
		return s.authority(), authorityRefusal(s.cfg.Authority.CanRotate())
	}
	if err := s.cfg.Authority.Rotate(ctx); err != nil {
		return nil, authorityRefusal(err)
	}
	return s.noteAuthority(ctx, req, "CARotating", "the CA is being rotated: there is a new one")
}

// RetireAuthority implements FleetService.
func (s *Server) RetireAuthority(ctx context.Context, req *hubv1.RetireAuthorityRequest) (*hubv1.Authority, error) {
	if req.GetDryRun() {
		return s.authority(), authorityRefusal(s.cfg.Authority.CanRetire())
	}
	if err := s.cfg.Authority.Retire(ctx); err != nil {
		return nil, authorityRefusal(err)
	}
	return s.noteAuthority(ctx, req, "CARetired", "the old CA is retired")
}

// noteAuthority adds an event. What it is about has been done before: it is on disk.
func (s *Server) noteAuthority(ctx context.Context, req mutation, reason, message string) (*hubv1.Authority, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.Authority, error) {
		return as(s.authority()), c.event(&yardarmv1.Event{Reason: reason, Message: message})
	})
}

func (s *Server) authority() *hubv1.Authority {
	a := &hubv1.Authority{}
	for _, root := range s.cfg.Authority.Roots() {
		a.Roots = append(a.Roots, &hubv1.Root{
			Pin: certs.PinOf(root).String(), Expires: stamp(root.NotAfter), Certificate: string(certs.EncodeChain([][]byte{root.Raw})),
		})
	}
	lacking := s.cfg.Authority.Lacking()
	a.LackingTotal = uint32(len(lacking))
	for _, l := range lacking[:min(len(lacking), maxLacking)] {
		a.Lacking = append(a.Lacking, &hubv1.Lack{Cluster: l.Cluster, Why: l.Why})
	}
	return a
}

// authorityRefusal is a precondition where the fleet's state is the reason.
func authorityRefusal(err error) error {
	var lacking *ca.LackingError
	if errors.As(err, &lacking) || errors.Is(err, ca.ErrRotating) || errors.Is(err, ca.ErrNotRotating) {
		return refuse(codes.FailedPrecondition, reasonState, nil, err.Error())
	}
	return err
}
