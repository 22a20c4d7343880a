package floor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// method is the one of the bare service: a stream on which either side says bytes.
const method = "/floor.Echo/Stream"

// EchoServer is a bare gRPC server: it holds streams, sends one message to all of them, and counts what they answer. It is
// tuned as far as gRPC's options go, and does nothing else.
type EchoServer struct {
	grpc *grpc.Server

	mu      sync.Mutex
	streams map[grpc.ServerStream]struct{}
	acks    atomic.Int64
}

// ServeEcho serves on a listener until Stop.
func ServeEcho(listener net.Listener, id Identity) (*EchoServer, error) {
	config, err := id.server()
	if err != nil {
		return nil, err
	}
	s := &EchoServer{streams: map[grpc.ServerStream]struct{}{}}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(config)),
		grpc.MaxConcurrentStreams(16),
		// Read straight from the connection, which has a buffer for TLS as it is: what costs most. Written buffers are shared by default.
		grpc.ReadBufferSize(0),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingAfter / 2}),
	)
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: "floor.Echo", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Stream", ServerStreams: true, ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error { return s.serve(stream) }}},
	}, s)
	go func() { _ = s.grpc.Serve(listener) }() // ends with Stop
	return s, nil
}

func (s *EchoServer) serve(stream grpc.ServerStream) error {
	s.mu.Lock()
	s.streams[stream] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.streams, stream)
		s.mu.Unlock()
	}()
	for {
		if err := stream.RecvMsg(&wrapperspb.BytesValue{}); err != nil {
			return nil
		}
		s.acks.Add(1)
	}
}

// Streams is how many there are.
func (s *EchoServer) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// broadcasters is how many goroutines send: one for each of two cores.
const broadcasters = 2

// Broadcast sends size bytes to all streams, encoded once, and returns when it began once all have answered.
func (s *EchoServer) Broadcast(ctx context.Context, size int) (began time.Time, err error) {
	s.mu.Lock()
	streams := make([]grpc.ServerStream, 0, len(s.streams))
	for stream := range s.streams {
		streams = append(streams, stream)
	}
	s.mu.Unlock()
	want := s.acks.Load() + int64(len(streams))
	began = time.Now()
	message := &grpc.PreparedMsg{}
	if len(streams) > 0 {
		if err := message.Encode(streams[0], wrapperspb.Bytes(make([]byte, size))); err != nil {
			return began, err
		}
	}
	var group errgroup.Group
	for b := range broadcasters {
		group.Go(func() error {
			for i := b; i < len(streams); i += broadcasters {
				if err := streams[i].SendMsg(message); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return began, fmt.Errorf("send to bare streams: %w", err)
	}
	for s.acks.Load() < want {
		select {
		case <-ctx.Done():
			return began, fmt.Errorf("%d of %d bare streams have not answered: %w", want-s.acks.Load(), len(streams), ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return began, nil
}

// Stop ends it.
func (s *EchoServer) Stop() { s.grpc.Stop() }

// pingAfter is how often spokes find out whether a connection is half-open, which costs a server some processor time, and pingTimeout how long a bare client
// waits for the answer. Spokes give up sooner. A bare stream is not to break since handshakes and fan-outs have taken the machine for a while: nobody dials again.
const (
	pingAfter   = time.Minute
	pingTimeout = 5 * time.Minute
)

// EchoClients are streams to an EchoServer, each on a connection of its own, that answer what comes.
type EchoClients struct {
	answer  *wrapperspb.BytesValue
	conns   []*grpc.ClientConn
	streams []grpc.ClientStream

	mu   sync.Mutex
	came []time.Time
	// lost counts the streams that have ended, and why says how the first of them has.
	lost   int
	why    error
	closed bool
}

// DialEcho opens n streams, from addresses of 127.NETWORK.0.0/16; each answers with size bytes.
func DialEcho(address string, id Identity, network, n, size int) (*EchoClients, error) {
	config, err := id.client(nil)
	if err != nil {
		return nil, err
	}
	c := &EchoClients{answer: wrapperspb.Bytes(make([]byte, size)), conns: make([]*grpc.ClientConn, n), streams: make([]grpc.ClientStream, n)}
	var group errgroup.Group
	group.SetLimit(shaking)
	for i := range n {
		group.Go(func() error {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(network), byte(i/200/250), byte(1+i/200%250))}, Timeout: shakeTimeout}
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
				grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
				grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }))
			if err != nil {
				return err
			}
			c.conns[i] = conn
			return c.open(i)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(fmt.Errorf("open bare streams: %w", err), c.Close())
	}
	return c, nil
}

func (c *EchoClients) open(i int) error {
	// Close ends the stream.
	stream, err := c.conns[i].NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	c.streams[i] = stream
	go func() {
		var m wrapperspb.BytesValue
		for {
			if err := stream.RecvMsg(&m); err != nil {
				c.lose(err)
				return
			}
			at := time.Now()
			c.mu.Lock()
			c.came = append(c.came, at)
			c.mu.Unlock()
			if err := stream.SendMsg(c.answer); err != nil {
				c.lose(err)
				return
			}
		}
	}()
	return nil
}

// Beat has each stream say its answer once in every, unasked and evenly spread, until Close. It excludes broadcasts: a stream is one goroutine's to send on.
func (c *EchoClients) Beat(every time.Duration) {
	go func() {
		ticks := time.NewTicker(max(every/time.Duration(len(c.streams)), time.Microsecond))
		defer ticks.Stop()
		for i := 0; ; i++ {
			<-ticks.C
			if err := c.streams[i%len(c.streams)].SendMsg(c.answer); err != nil {
				return // closed
			}
		}
	}()
}

// Take answers when messages have come since the last Take.
func (c *EchoClients) Take() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	came := c.came
	c.came = nil
	return came
}

func (c *EchoClients) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.lost++; c.lost == 1 {
		c.why = err
	}
}

// Lost answers how many streams have ended before Close, and how the first of them has.
func (c *EchoClients) Lost() (n int, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost, c.why
}

// Close ends all streams.
func (c *EchoClients) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	var err error
	for _, conn := range c.conns {
		if conn != nil {
			err = errors.Join(err, conn.Close())
		}
	}
	return err
}
