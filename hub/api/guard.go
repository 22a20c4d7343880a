package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// errEnded ends the streams of a caller whose credential has ended.
var errEnded = status.Error(codes.Unauthenticated, "the credential has been revoked, or has expired")

// serverStream has the context with who calls, waits for a caller's messages only so long, and ends when the caller may no longer what it does.
type serverStream struct {
	grpc.ServerStream
	server   *Server
	call     call
	ctx      context.Context
	cancel   context.CancelCauseFunc
	patience time.Duration
	guarded  sync.WaitGroup
}

func (s *serverStream) Context() context.Context { return s.ctx }

// RecvMsg gives up on a caller that sends nothing, which gRPC itself does not. The goroutine that still receives ends with the stream, which
// the error ends. What is received is refused if the caller may not ask for it, and from the first message on the stream is guarded.
func (s *serverStream) RecvMsg(m any) error {
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(m) }()
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case err := <-received:
		if err != nil {
			return err
		}
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-timer.C:
		return status.Error(codes.DeadlineExceeded, "the caller has sent nothing for too long; send the rest without pauses")
	}
	if err := s.server.permit(s.call, m); err != nil {
		return err
	}
	if !s.call.asked {
		s.call.asked = true
		sub := s.server.store.Subscribe(store.Credentials, store.Roles, store.RoleBindings)
		s.guarded.Go(func() { s.guard(sub, m) })
		return s.server.permit(s.call, m) // what has changed before the guard looked
	}
	return nil
}

// SendMsg sends nothing more once the stream is to end.
func (s *serverStream) SendMsg(m any) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.ServerStream.SendMsg(s.call.fields.cut(m))
}

// guard ends the stream as soon as its caller may no longer ask for what was asked first.
func (s *serverStream) guard(sub *store.Subscription, asked any) {
	defer sub.Close()
	var expired <-chan time.Time
	if !s.call.who.Expires.IsZero() {
		timer := time.NewTimer(s.call.who.Expires.Sub(s.server.cfg.Clock()))
		defer timer.Stop()
		expired = timer.C
	}
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-expired:
			s.cancel(errEnded)
			return
		case <-s.call.who.Ended:
			s.cancel(errEnded)
			return
		case <-sub.C():
			sub.Take()
			if err := s.server.permit(s.call, asked); err != nil {
				s.cancel(err)
				return
			}
		}
	}
}

// ended is why the stream has ended: what the guard has against it goes before what a handler makes of that.
func (s *serverStream) ended(err error) error {
	cause := context.Cause(s.ctx)
	if err != nil && cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return err
}
