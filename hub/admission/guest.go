package admission

import (
	"container/list"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// guest is one connection, below its TLS.
type guest struct {
	net.Conn
	from *Listener
	// place in a queue is where it waits, and since when; who is who it is. guests guards them.
	place *list.Element
	queue *list.List
	since time.Time
	who   string
	// until is when it has to go, in Unix nanoseconds; zero for never.
	until    atomic.Int64
	handedOn atomic.Bool
	closed   atomic.Bool

	// These belong to the goroutine that shakes hands, until it has handed the connection on. answered: something has been computed and
	// said, which would be lost. heard: it has said something that is not read yet, and its turn has come.
	shaking, computing, answered, heard bool
}

func newGuest(l *Listener, conn net.Conn) *guest {
	return &guest{Conn: conn, from: l, shaking: true}
}

// begin waits until the client has said something, and then for its turn, before anything is made for its handshake.
func (g *guest) begin() error {
	if err := g.stay(g.from.Handshake); err != nil {
		return err
	}
	said, err := g.speaks()
	if err != nil || !said {
		return err
	}
	g.from.guests.heard(g)
	began := time.Now()
	g.from.line.take(g.address(), false)
	g.computing, g.heard = true, true
	switch {
	case g.closed.Load():
		return net.ErrClosed
	case time.Since(began) > g.from.Line:
		return fmt.Errorf("it waited in line for more than %s", g.from.Line)
	}
	return g.stay(g.from.Handshake)
}

// speaks waits until there is something to read, and reads nothing: what waits in the kernel needs no buffer here. It is false where that cannot be seen.
func (g *guest) speaks() (bool, error) {
	conn, ok := g.Conn.(syscall.Conn)
	if !ok {
		return false, nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false, err
	}
	var n int
	var peekErr error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, peekErr = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return peekErr != syscall.EAGAIN && peekErr != syscall.EINTR
	})
	switch {
	case err != nil:
		return false, err
	case peekErr != nil:
		return false, os.NewSyscallError("recvfrom", peekErr)
	case n == 0:
		return false, io.EOF
	}
	return true, nil
}

// Read implements net.Conn. While hands are shaken, what follows on it is computing, and takes a core.
func (g *guest) Read(p []byte) (int, error) {
	if !g.shaking || g.heard {
		g.heard = false
		return g.Conn.Read(p)
	}
	g.rest()
	g.from.guests.awaits(g)
	n, err := g.Conn.Read(p)
	if err != nil {
		return n, err
	}
	g.from.guests.heard(g)
	g.from.line.take(g.address(), g.answered)
	g.computing = true
	switch {
	case g.closed.Load():
		return 0, net.ErrClosed
	case time.Now().UnixNano() > g.until.Load():
		return 0, os.ErrDeadlineExceeded // it could not be answered any more
	}
	return n, nil
}

// Write implements net.Conn.
func (g *guest) Write(p []byte) (int, error) {
	if g.shaking {
		g.answered = true
	}
	return g.Conn.Write(p)
}

// rest gives the core back.
func (g *guest) rest() {
	if g.computing {
		g.from.line.give()
		g.computing = false
	}
}

// shaken ends what is particular about a handshake.
func (g *guest) shaken() {
	g.rest()
	g.shaking, g.heard = false, false
}

// stay lets it stay for a time; zero for as long as it likes.
func (g *guest) stay(d time.Duration) error {
	var until int64
	if d > 0 {
		until = time.Now().Add(d).UnixNano()
	}
	g.until.Store(until)
	return g.SetDeadline(time.Time{})
}

// SetDeadline implements net.Conn. Nobody can let a guest stay longer than it may.
func (g *guest) SetDeadline(t time.Time) error { return g.Conn.SetDeadline(g.atMost(t)) }

// SetReadDeadline implements net.Conn.
func (g *guest) SetReadDeadline(t time.Time) error { return g.Conn.SetReadDeadline(g.atMost(t)) }

// SetWriteDeadline implements net.Conn.
func (g *guest) SetWriteDeadline(t time.Time) error { return g.Conn.SetWriteDeadline(g.atMost(t)) }

func (g *guest) atMost(t time.Time) time.Time {
	until := g.until.Load()
	if until != 0 && (t.IsZero() || t.UnixNano() > until) {
		return time.Unix(0, until)
	}
	return t
}

// Close implements net.Conn.
func (g *guest) Close() error {
	if g.closed.Swap(true) {
		return net.ErrClosed
	}
	g.from.guests.leave(g)
	return g.Conn.Close()
}

// address is what counts as one: an IPv4 address, or a /64 of IPv6, which any machine has the whole of.
func (g *guest) address() netip.Prefix {
	tcp, ok := g.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	prefix, _ := addr.Prefix(min(64, addr.BitLen())) // of any address
	return prefix
}
