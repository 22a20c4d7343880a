package api

import (
	"context"
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
	// Standing is how it stands.
	Standing() ca.Standing
	// Rotate makes a second one; the step's error is ca.ErrRotating if there are two.
	Rotate(commit func(ca.Step) error) error
	// Retire ends the older of two; the step's error is ca.ErrNotRotating, or a *ca.LackingError, if that cannot be.
	Retire(commit func(ca.Step) error) error
}

// GetAuthority implements FleetService.
func (s *Server) GetAuthority(context.Context, *hubv1.GetAuthorityRequest) (*hubv1.Authority, error) {
	return authorityOf(s.cfg.Authority.Standing()), nil
}

// RotateAuthority implements FleetService.
func (s *Server) RotateAuthority(ctx context.Context, req *hubv1.RotateAuthorityRequest) (*hubv1.Authority, error) {
	return s.changeAuthority(ctx, req, s.cfg.Authority.Rotate, &yardarmv1.Event{Reason: "CARotating", Message: "the CA is being rotated: there is a new one"})
}

// RetireAuthority implements FleetService.
func (s *Server) RetireAuthority(ctx context.Context, req *hubv1.RetireAuthorityRequest) (*hubv1.Authority, error) {
	return s.changeAuthority(ctx, req, s.cfg.Authority.Retire, &yardarmv1.Event{Reason: "CARetired", Message: "the old CA is retired"})
}

// changeAuthority takes the CA a step on, in the transaction that tells of it. A dry run shows the CA as it is: the new one would be another.
func (s *Server) changeAuthority(ctx context.Context, req mutation, take func(func(ca.Step) error) error, event *yardarmv1.Event) (answer *hubv1.Authority, err error) {
	now := s.cfg.Authority.Standing()
	err = take(func(step ca.Step) (err error) {
		answer, err = transact(ctx, s, req, func(c *change) (func(view) *hubv1.Authority, error) {
			standing, err := step(c.Tx)
			if err != nil {
				return nil, authorityRefusal(err)
			}
			if req.GetDryRun() {
				standing = now
			}
			return as(authorityOf(standing)), c.event(event)
		})
		return err
	})
	return answer, err
}

func authorityOf(standing ca.Standing) *hubv1.Authority {
	a := &hubv1.Authority{LackingTotal: uint32(len(standing.Lacking))}
	for _, root := range standing.Roots {
		a.Roots = append(a.Roots, &hubv1.Root{
			Pin: certs.PinOf(root).String(), Expires: stamp(root.NotAfter), Certificate: string(certs.EncodeChain([][]byte{root.Raw})),
		})
	}
	for _, l := range standing.Lacking[:min(len(standing.Lacking), maxLacking)] {
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
