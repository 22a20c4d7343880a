package stream

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/yardarm-dev/yardarm/hub/dispatch"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// link is a TCP connection to a hub that breaks after so many bytes from the hub, each time anew.
type link struct {
	listener net.Listener
	to       string
	limit    int64
	breaks   atomic.Int64
	closed   chan struct{}
	running  sync.WaitGroup
}

func newLink(t *testing.T, to string, limit int64) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, to: to, limit: limit, closed: make(chan struct{})}
	l.running.Go(l.serve)
	t.Cleanup(func() { close(l.closed); listener.Close(); l.running.Wait() })
	return l
}

func (l *link) serve() {
	for {
		down, err := l.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", l.to)
		if err != nil {
			down.Close()
			continue
		}
		over := make(chan struct{})
		end := sync.OnceFunc(func() { down.Close(); up.Close(); close(over) })
		l.running.Go(func() {
			select {
			case <-over:
			case <-l.closed:
				end()
			}
		})
		l.running.Go(func() { defer end(); _, _ = io.Copy(up, down) })
		l.running.Go(func() {
			defer end()
			if _, err := io.CopyN(down, up, l.limit); err == nil {
				l.breaks.Add(1)
			}
		})
	}
}

// counter reads one metric.
func counter(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// A large content comes over a link that breaks long before it could be had in one go, and what has come does not come again.
// Regression: each session began anew, and none came to an end.
func TestFetchGoesOnWhereItBroke(t *testing.T) {
	metrics := prometheus.NewRegistry()
	h := newHub(t, func(c *dispatch.Config) { c.Registerer = metrics })
	h.group("prod", prod, "")
	const size = 6_000_000
	digest := h.publish("web", text(size, "x"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	l := newLink(t, h.address, 2_300_000)
	s.id.dial(l.listener.Addr().String())
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	if got, err := s.state.Content(t.Context(), digest); err != nil || !bytes.Equal(got, text(size, "x")) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	sent := counter(t, metrics, "yardarm_fetch_bytes_total")
	if l.breaks.Load() < 2 || sent > size*3/2 {
		t.Errorf("%d breaks, %.0f bytes sent for %d", l.breaks.Load(), sent, size)
	}
}

// Content that is damaged on the spoke's disk is fetched again, by the session that is open. Regression: nothing asked for it
// before the next change.
func TestDamagedContentIsFetchedAgain(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	digest := h.publish("web", text(5_000, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	s.awaitConnected(h)
	session := h.presence("edge-1").Session
	keys, err := s.backend.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, "artifact/") {
			path := filepath.Join(s.dir, filepath.FromSlash(key))
			if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, _ = s.state.Content(t.Context(), digest) // as a reconciler does now and then
	eventually(t, "it is here again", func() bool {
		got, err := s.state.Content(t.Context(), digest)
		return err == nil && bytes.Equal(got, text(5_000, "one"))
	})
	if h.presence("edge-1").Session != session {
		t.Error("by another session")
	}
}
