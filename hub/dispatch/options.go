package dispatch

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxReceive bounds one message of a spoke: gRPC's own default, said aloud because reports and lists are cut into parts by it. In bytes.
	maxReceive = 4 << 20
	// maxStreams of one connection: a session, a fetch, a renewal, and as much again for a session that is being replaced.
	maxStreams = 16
	// pingsAtLeast is how often spokes may ping. They do so every 30 s; gRPC's own limit of 5 min would end their connections.
	pingsAtLeast = 10 * time.Second
	// pingAfter and pingTimeout find spokes whose connection has gone half-open: heartbeats say so later and for presence only.
	pingAfter   = 45 * time.Second
	pingTimeout = 15 * time.Second
)

// ServerOptions are what the gRPC server that serves spokes needs besides its credentials.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsAtLeast, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
	}
}
