package api

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/protoadapt"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/requestid"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// streamKey marks the headers of a stream that was accepted and may have nothing to say for long: hub/gateway passes them on at once.
const streamKey = "x-yardarm-stream"

// call is what the interceptors know of a call.
type call struct {
	id     string
	method string
	who    authz.Identity
	need   need
	// key is the caller's idempotency key; empty for none.
	key string
	// fields are those that the caller wants of an answer; none for all.
	fields mask
	// asked says that a stream's first message is in.
	asked bool
}

type callKey struct{}

// callOf is the call that a handler is in.
func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// permit refuses a request that its caller may not make.
func (s *Server) permit(c call, req any) error {
	tx, now := s.store.Read(), s.cfg.Clock()
	access, err := authz.AccessOf(tx, c.who, now)
	if err != nil {
		return errEnded
	}
	return c.need.check(newView(tx, now, access), c.who, req)
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	if info.FullMethod == healthv1.Health_Check_FullMethodName {
		return handler(ctx, req) // load balancers have no credential, and learn nothing
	}
	c := call{id: s.requestID(ctx), method: info.FullMethod, need: needs[info.FullMethod]}
	_ = grpc.SetHeader(ctx, metadata.Pairs(requestid.Header, c.id)) // fails only when the call is over
	mark(ctx, c)
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(r, debug.Stack())
		}
		if err != nil {
			resp, err = nil, s.answer(ctx, c, err)
		}
	}()
	if err := s.admit(ctx, &c); err != nil {
		return nil, err
	}
	if err := s.permit(c, req); err != nil {
		return nil, err
	}
	if c.key, err = idempotencyKey(ctx); err != nil {
		return nil, err
	}
	if c.fields, err = maskOf(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(withAuthor(context.WithValue(ctx, callKey{}, c), c), s.cfg.Limits.CallTimeout)
	defer cancel()
	resp, err = handler(ctx, req)
	return c.fields.cut(resp), err
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	ctx := ss.Context()
	c := call{id: s.requestID(ctx), method: info.FullMethod, need: needs[info.FullMethod]}
	_ = ss.SetHeader(metadata.Pairs(requestid.Header, c.id))
	mark(ctx, c)
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(r, debug.Stack())
		}
		if err != nil {
			err = s.answer(ctx, c, err)
		}
	}()
	if err := s.admit(ctx, &c); err != nil {
		return err
	}
	if c.key, err = idempotencyKey(ctx); err != nil {
		return err
	}
	if c.fields, err = maskOf(ctx, info.FullMethod); err != nil {
		return err
	}
	ctx = withAuthor(context.WithValue(ctx, callKey{}, c), c)
	switch info.FullMethod {
	case hubv1.FleetService_Watch_FullMethodName, hubv1.FleetService_WatchOverview_FullMethodName, hubv1.FleetService_WatchEvents_FullMethodName,
		hubv1.FleetService_WatchRollout_FullMethodName:
		// These end when the caller goes, or the hub.
	default:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.cfg.Limits.StreamTimeout)
		defer cancel()
	}
	ctx, end := context.WithCancelCause(ctx)
	guarded := &serverStream{ServerStream: ss, server: s, call: c, ctx: ctx, cancel: end, patience: s.cfg.Limits.CallTimeout}
	defer guarded.guarded.Wait()
	defer end(nil)
	return guarded.ended(handler(srv, guarded))
}

// open tells the caller that its stream is accepted, before there is anything to send.
func open(ss grpc.ServerStream) error { return ss.SendHeader(metadata.Pairs(streamKey, "open")) }

func (s *Server) requestID(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return requestid.Of(md.Get(requestid.Header), s.cfg.Rand)
}

// mark has a call's span, if there is one, say which request it is of.
func mark(ctx context.Context, c call) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.String("yardarm.request", c.id))
	}
}

// answer makes the status that a caller sees, counts what was denied, and logs what is the hub's fault.
func (s *Server) answer(ctx context.Context, c call, err error) error {
	st, forCaller := toStatus(err, c.id)
	s.countDenied(ctx, c, st)
	level := slog.LevelDebug
	if !forCaller {
		level = slog.LevelError
	}
	log := s.log
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		log = log.With("trace", span.TraceID().String())
	}
	log.Log(context.Background(), level, "call failed", "method", c.method, "request", c.id, "actor", c.who.Actor(), "code", st.Code().String(), "error", err)
	return withDetails(withHelp(st), []protoadapt.MessageV1{&errdetails.RequestInfo{RequestId: c.id}}).Err()
}

// panicError is a defect of the hub, caught so that it costs one call.
type panicError struct{ what string }

func (e *panicError) Error() string { return "panic: " + e.what }

// panicked logs where it happened. A panic's value may hold what a caller sent, so only those of the runtime are written out.
func (s *Server) panicked(r any, stack []byte) error {
	what := fmt.Sprintf("%T", r)
	if err, ok := r.(runtime.Error); ok {
		what = err.Error()
	}
	s.log.Error("panic in a call", "panic", what, "stack", string(stack))
	return &panicError{what: what}
}
