package stream

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// kind is how a connection breaks.
type kind int

const (
	cut   kind = iota // it is closed
	reset             // it is reset
	deaf              // nothing more reaches the hub, and nobody is told
	mute              // nothing more reaches the spoke, and nobody is told
)

// fault is what becomes of one connection; of the zero one, nothing.
type fault struct {
	kind kind
	// after is how many bytes come from the hub before it breaks, in the midst of whatever they are; within, how long it takes
	// at most. Zero is never.
	after  int64
	within time.Duration
	// delay is how long each piece is held up at most, and idle ends the connection when nothing has passed for so long.
	delay, idle time.Duration
}

// path is how a spoke reaches its hub: TCP connections, each with a fault of its own.
type path struct {
	listener net.Listener
	to       string
	next     func() fault
	accepted atomic.Int64
	broken   atomic.Int64
	closed   chan struct{}
	running  sync.WaitGroup
}

// newPath asks next, from one goroutine, for the fault of each connection.
func newPath(t *testing.T, to string, next func() fault) *path {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &path{listener: listener, to: to, next: next, closed: make(chan struct{})}
	p.running.Go(p.serve)
	t.Cleanup(func() { close(p.closed); listener.Close(); p.running.Wait() })
	return p
}

func (p *path) address() string { return p.listener.Addr().String() }

func (p *path) serve() {
	for {
		down, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		up, err := net.Dial("tcp", p.to)
		if err != nil {
			down.Close()
			continue
		}
		p.carry(down.(*net.TCPConn), up.(*net.TCPConn), p.next())
	}
}

// carried is one connection.
type carried struct {
	*path
	fault
	down, up *net.TCPConn // to the spoke and to the hub
	idling   *time.Timer
	// lostUp and lostDown tell of a direction that is silent now.
	lostUp, lostDown atomic.Bool
	end, breaks      func()
}

func (p *path) carry(down, up *net.TCPConn, f fault) {
	const never = time.Duration(1<<63 - 1)
	if f.within == 0 {
		f.within = never
	}
	if f.idle == 0 {
		f.idle = never
	}
	c := &carried{path: p, fault: f, down: down, up: up}
	over := make(chan struct{})
	c.end = sync.OnceFunc(func() { down.Close(); up.Close(); close(over) })
	c.breaks = sync.OnceFunc(c.doBreak)
	within := time.AfterFunc(f.within, c.breaks)
	c.idling = time.AfterFunc(f.idle, c.end)
	p.running.Go(func() {
		select {
		case <-over:
		case <-p.closed:
			c.end()
		}
		within.Stop()
		c.idling.Stop()
	})
	p.running.Go(func() { defer c.end(); c.copy(up, down, &c.lostUp, 0) })
	p.running.Go(func() { defer c.end(); c.copy(down, up, &c.lostDown, f.after) })
}

func (c *carried) doBreak() {
	c.broken.Add(1)
	switch c.kind {
	case reset:
		_ = c.down.SetLinger(0)
		_ = c.up.SetLinger(0)
		c.end()
	case deaf:
		c.lostUp.Store(true)
	case mute:
		c.lostDown.Store(true)
	default:
		c.end()
	}
}

// copy carries one direction, and breaks the connection after so many bytes; 0 is never.
func (c *carried) copy(to, from net.Conn, lost *atomic.Bool, after int64) {
	piece := make([]byte, 16<<10)
	for passed := int64(0); ; {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		if c.delay > 0 {
			select {
			case <-time.After(rand.N(c.delay)):
			case <-c.closed:
				return
			}
		}
		last := after > 0 && passed < after && passed+int64(n) >= after
		passed += int64(n)
		if last {
			n -= int(passed - after)
		}
		if lost.Load() {
			continue
		}
		c.idling.Reset(c.idle)
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
		if last {
			c.breaks()
		}
	}
}
