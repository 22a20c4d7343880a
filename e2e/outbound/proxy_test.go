//go:build linux

package outbound

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// gate stands between a cluster and the hub, in the hub's namespace. It carries bytes and terminates no TLS.
type gate struct {
	listener net.Listener
	to       string
	// connect has it expect HTTP's CONNECT first, and pass that alone on.
	connect bool
	// idle is how long a connection may be without a byte in either direction before it is killed; 0: for ever.
	idle time.Duration

	work   sync.WaitGroup
	mu     sync.Mutex
	open   map[net.Conn]bool
	asked  []string // by CONNECT
	killed atomic.Int32
}

// newGate starts a gate; its fields are as in gate.
func newGate(address, to string, connect bool, idle time.Duration) (*gate, error) {
	listener, err := listen(hubSpace, address)
	if err != nil {
		return nil, err
	}
	g := &gate{listener: listener, to: to, connect: connect, idle: idle, open: map[net.Conn]bool{}}
	g.work.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			g.work.Go(func() { g.serve(near) })
		}
	})
	return g, nil
}

func (g *gate) serve(near net.Conn) {
	defer g.hold(near)()
	from := bufio.NewReader(near)
	if g.connect {
		request, err := http.ReadRequest(from)
		if err != nil || request.Method != http.MethodConnect {
			fmt.Fprint(near, "HTTP/1.1 405 Method Not Allowed\r\n\r\n")
			return
		}
		g.mu.Lock()
		g.asked = append(g.asked, request.Host)
		g.mu.Unlock()
		fmt.Fprint(near, "HTTP/1.1 200 OK\r\n\r\n")
	}
	far, err := dial(hubSpace, g.to)
	if err != nil {
		return
	}
	defer g.hold(far)()
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	var copies sync.WaitGroup
	carry := func(to io.Writer, from io.Reader) {
		defer near.Close()
		defer far.Close()
		_, err := io.Copy(to, &watched{from, &last})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			g.killed.Add(1)
		}
	}
	copies.Go(func() { carry(far, from) })
	copies.Go(func() { carry(near, far) })
	ended := make(chan struct{})
	go func() { copies.Wait(); close(ended) }()
	for g.idle > 0 {
		left := g.idle - time.Since(time.Unix(0, last.Load()))
		if left <= 0 {
			now := time.Now()
			_ = errors.Join(near.SetDeadline(now), far.SetDeadline(now)) // fails if it is closed, which is as good
			break
		}
		select {
		case <-ended:
			return
		case <-time.After(left):
		}
	}
	<-ended
}

// watched notes when something was read.
type watched struct {
	io.Reader
	last *atomic.Int64
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if n > 0 {
		w.last.Store(time.Now().UnixNano())
	}
	return n, err
}

// hold keeps a connection for close to end; it ends when the result is called.
func (g *gate) hold(c net.Conn) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[c] = true
	return func() {
		c.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.open, c)
	}
}

// seen answers what CONNECT has asked for.
func (g *gate) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.asked...)
}

func (g *gate) close() error {
	err := g.listener.Close()
	g.mu.Lock()
	for c := range g.open {
		c.Close()
	}
	g.mu.Unlock()
	g.work.Wait()
	return err
}
