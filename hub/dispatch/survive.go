package dispatch

import (
	"context"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// survive, deferred, makes a bug that one call has met its end, and not the hub's. The logger is made only then: streams last for weeks.
func survive(logger func() *slog.Logger, err *error) {
	if r := recover(); r != nil {
		logger().Error("a spoke's call panicked", "panic", r, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "internal error; the hub's log has more")
	}
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer survive(func() *slog.Logger { return s.Logger.With("method", info.FullMethod) }, &err)
	return handler(ctx, req)
}
