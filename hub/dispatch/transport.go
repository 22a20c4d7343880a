package dispatch

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// What a connection of a spoke may do, and what it takes up. With the three or four connections that admission leaves to a
// cluster, they bound what the spoke of one that is hostile costs.
const (
	// maxStreams bounds the calls that one connection may have open: a session, a fetch, a renewal, and what a newer spoke may
	// want.
	maxStreams = 8
	// idleTimeout closes connections without a call: a spoke's has its session. gRPC has a timer for it on each connection, and one for pings, which wake an idle hub
	// as often as heartbeats do where both are a minute.
	idleTimeout = 5 * time.Minute
	// maxHeaders bounds the headers of a call, in bytes: spokes send a handful of short ones.
	maxHeaders = 16 << 10
	// maxReceived bounds a message, in bytes: a list of ten thousand holdings, or a part of an update of reports.
	maxReceived = 4 << 20
	// readBuffer is none: TLS has a buffer of its own for each connection, and another one of 32 KiB was most of what a spoke
	// cost.
	readBuffer = 0
	// writeBuffer is what a connection takes from a pool while it writes, in bytes. A delta for all has every connection write
	// at once; a large content takes a few writes more.
	writeBuffer = 8 << 10
	// window bounds what a spoke may have under way that nobody has read yet, in bytes, for one call and for all of a
	// connection: a report in some 20 parts over a slow line is no hurry. Being fixed, it needs no pings to find a better one.
	window = 64 << 10
	// pingAtMost is how often a spoke may ping: ours once a minute, and twice before.
	pingAtMost = 15 * time.Second
)

// Options are those of the gRPC server that the service is registered with, but for its credentials.
func (s *Server) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(s.unary),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(encodingproto.Name)}),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(s.HelloTimeout),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxRecvMsgSize(maxReceived),
		grpc.ReadBufferSize(readBuffer),
		grpc.WriteBufferSize(writeBuffer),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingAtMost, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: s.PingAfter, Timeout: s.PingAfter / 3, MaxConnectionIdle: idleTimeout}),
	}
}

// finisher is what gRPC's streams can do beside what [grpc.ServerStream] offers: end with a status while the handler waits for the next message, which then fails, as
// does what is being written. Otherwise only a handler's return ends a stream, and a session would need one goroutine more, just to return.
type finisher interface{ WriteStatus(*status.Status) error }

// finisherOf answers that of the stream with this context.
func finisherOf(ctx context.Context) (finisher, error) {
	f, ok := grpc.ServerTransportStreamFromContext(ctx).(finisher)
	if !ok {
		return nil, errors.New("dispatch: this version of gRPC has no way to end a stream from outside")
	}
	return f, nil
}
