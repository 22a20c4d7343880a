// Package admission stands before a port of the hub: it takes connections, shakes hands with them, and hands on those that
// have done so, to gRPC or to net/http. Whoever has not shown yet who it is costs little, for a bounded time, and cannot keep
// the others out, however many come at once. What a caller may do is nothing to it.
//
//	port ─▶ room ─▶ line ─▶ handshake ─┬─▶ known: out of the room, the newest few of each ─▶ server
//	         │                         └─▶ stranger: stays in the room, and not for long ──▶ server
//	         └─ full: the address that takes most of it gives way, by whoever of it has been silent longest
//
// A storm waits in the room before it costs a handshake: what a client has said first stays unread in the kernel until its turn comes, so that
// who waits costs little more than its file. Addresses take turns in the line, and a client that says nothing, or not all, is not in it. Before
// a handshake there is no way to tell a client when to come back; one that is turned away comes back by its own backoff, with a key exchange begun for nothing. So the
// room has place for a whole fleet.
package admission

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

const (
	// defaultRoom is as many as are served while clients are patient, on two cores; each that waits costs some 6 KB.
	defaultRoom = 16384
	// defaultHandshake is long for any network.
	defaultHandshake = 15 * time.Second
	// defaultLine is well within a spoke's patience, which has the handshake before it still.
	defaultLine = 20 * time.Second
	// acceptAgain is the pause after the port could not be read, most of all because all files are open.
	acceptAgain = 50 * time.Millisecond
)

// Config of a Listener. Port, TLS and Logger are needed.
type Config struct {
	// Port is without TLS; the listener closes it.
	Port net.Listener
	TLS  *tls.Config
	// Name of the port, in metrics.
	Name   string
	Logger *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
	// Room is how many connections may be there of which nobody knows who they are. Default 16384.
	Room int
	// Handshake bounds how long one may take until it says something, and then, from its turn on, to shake hands. Default 15 s.
	Handshake time.Duration
	// Line bounds how long one waits for its turn: whom it comes for later has given up. Default 20 s.
	Line time.Duration
	// AtOnce is how many handshakes may compute at a time, so that a core is left for those who are in. Waiting for a client
	// counts as none. Default: one less than there are cores, at least one.
	AtOnce int
	// Who answers who has shaken hands, empty for a stranger. Nil: all are strangers.
	Who func(tls.ConnectionState) string
	// Stranger bounds how long a stranger may stay. Zero: as long as it likes.
	Stranger time.Duration
	// Each is how many connections one who is known may have; the newest stay. Default 4: one, one that it does not know to
	// be dead, and one to renew with, and one to spare.
	Each int
}

func (c *Config) setDefaults() error {
	if c.Port == nil || c.TLS == nil || c.Logger == nil {
		return errors.New("admission: a port, TLS and a logger are needed")
	}
	if c.Room <= 0 {
		c.Room = defaultRoom
	}
	if c.Handshake <= 0 {
		c.Handshake = defaultHandshake
	}
	if c.Line <= 0 {
		c.Line = defaultLine
	}
	if c.AtOnce <= 0 {
		c.AtOnce = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if c.Each <= 0 {
		c.Each = 4
	}
	return nil
}

// Listener is a net.Listener whose connections are TLS connections that have shaken hands.
type Listener struct {
	Config
	guests  *guests
	line    *line
	ready   chan net.Conn
	metrics *metrics

	// closing ends when the listener does, with the reason.
	closing context.Context
	close   context.CancelCauseFunc
	running sync.WaitGroup
}

// Listen begins to take connections. Close ends that.
func Listen(c Config) (*Listener, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	l := &Listener{
		Config: c, guests: newGuests(c.Room, c.Each), line: newLine(c.AtOnce), ready: make(chan net.Conn),
	}
	l.metrics = newMetrics(c.Registerer, c.Name, l.guests.waiting)
	l.closing, l.close = context.WithCancelCause(context.Background())
	l.running.Go(l.run)
	return l, nil
}

// Accept answers the next connection that has shaken hands, a *tls.Conn.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.ready:
		return conn, nil
	case <-l.closing.Done():
		return nil, context.Cause(l.closing)
	}
}

// Addr is the port's.
func (l *Listener) Addr() net.Addr { return l.Port.Addr() }

// Close closes the port, and the connections that have not been handed on; the others are whose they are.
func (l *Listener) Close() error {
	l.close(net.ErrClosed)
	err := l.Port.Close()
	for _, g := range l.guests.shaking() {
		g.Close()
	}
	l.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// run takes connections until the port is closed.
func (l *Listener) run() {
	for {
		conn, err := l.Port.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			l.close(net.ErrClosed)
			return
		case err != nil:
			l.Logger.Warn("cannot take a connection", "port", l.Name, "error", err)
			select {
			case <-l.closing.Done():
				return
			case <-time.After(acceptAgain):
			}
			continue
		}
		g := newGuest(l, conn)
		out := l.guests.enter(g)
		if out != nil {
			l.metrics.turnedAway.Inc()
			out.Close()
		}
		if out != g {
			l.running.Go(func() { l.receive(g) })
		}
	}
}

// receive shakes hands with a guest and hands it on. Its goroutine ends with that, and with it the large stack that a
// handshake leaves.
func (l *Listener) receive(g *guest) {
	conn, err := l.shake(g)
	if err != nil {
		g.Close()
		l.metrics.failed.Inc()
		level := slog.LevelDebug
		if errors.Is(err, certs.ErrRefused) {
			level = slog.LevelWarn
		}
		l.Logger.Log(context.Background(), level, "a connection did not shake hands", "port", l.Name, "remote", g.RemoteAddr().String(), "error", err)
		return
	}
	g.handedOn.Store(true)
	select {
	case l.ready <- conn:
	case <-l.closing.Done():
		g.Close()
	}
}

// shake shakes hands, and finds out who it is.
func (l *Listener) shake(g *guest) (*tls.Conn, error) {
	if l.closing.Err() != nil {
		return nil, net.ErrClosed // it came too late for Close to see it
	}
	if err := g.begin(); err != nil {
		g.shaken() // its turn may have come, and has to go on to the next
		return nil, err
	}
	conn := tls.Server(g, l.TLS)
	err := conn.Handshake()
	g.shaken()
	if err != nil {
		return nil, err
	}
	state := conn.ConnectionState()
	if state.DidResume {
		l.metrics.resumed.Inc()
	} else {
		l.metrics.full.Inc()
	}
	who := ""
	if l.Who != nil {
		who = l.Who(state)
	}
	if who == "" {
		l.guests.awaits(g)
		return conn, g.stay(l.Stranger)
	}
	if old := l.guests.know(g, who); old != nil {
		old.Close()
	}
	return conn, g.stay(0)
}

// Introduce lets a connection that a Listener has handed on out of the room, once who answers who it is: a call can show that where the
// handshake did not. Only of strangers is that asked.
func Introduce(conn net.Conn, who func() string) {
	shaken, ok := conn.(*tls.Conn)
	if !ok {
		return
	}
	g, ok := shaken.NetConn().(*guest)
	if !ok || !g.from.guests.stranger(g) {
		return
	}
	if name := who(); name != "" {
		if old := g.from.guests.know(g, name); old != nil {
			old.Close()
		}
	}
}
