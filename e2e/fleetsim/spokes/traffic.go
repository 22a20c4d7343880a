package spokes

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/stats"
)

// traffic counts what goes over sockets, TLS and all, and of that gRPC's messages with their frames.
type traffic struct {
	in, out, messages atomic.Int64
	// stalled is locked for writing while nothing is to be read.
	stalled sync.RWMutex
}

// TagRPC implements stats.Handler.
func (t *traffic) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (t *traffic) HandleRPC(_ context.Context, s stats.RPCStats) {
	switch s := s.(type) {
	case *stats.InPayload:
		t.messages.Add(int64(s.WireLength))
	case *stats.OutPayload:
		t.messages.Add(int64(s.WireLength))
	}
}

// TagConn implements stats.Handler.
func (t *traffic) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (t *traffic) HandleConn(context.Context, stats.ConnStats) {}

// countedConn is a connection that counts.
type countedConn struct {
	net.Conn
	traffic *traffic
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.traffic.stalled.RLock()
	defer c.traffic.stalled.RUnlock()
	c.traffic.in.Add(int64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.traffic.out.Add(int64(n))
	return n, err
}

// dialTimeout bounds one attempt to connect: the kernel tries again after 1, 3 and 7 s where a storm makes it drop some.
const dialTimeout = 20 * time.Second

// dialer dials from a source address of this machine's loopback network, so that ports last, and counts.
func dialer(source net.IP, t *traffic) func(context.Context, string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source}, Timeout: dialTimeout}
	return func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return countedConn{conn, t}, nil
	}
}
