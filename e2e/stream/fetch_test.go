package stream

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/yardarm-dev/yardarm/hub/dispatch"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

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
	p := newPath(t, h.address, func() fault { return fault{kind: cut, after: 2_300_000} })
	s.id.dial(p.address())
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	if got, err := s.state.Content(t.Context(), digest); err != nil || !bytes.Equal(got, text(size, "x")) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	sent := counter(t, metrics, "yardarm_fetch_bytes_total")
	if p.broken.Load() < 2 || sent > size*3/2 {
		t.Errorf("%d breaks, %.0f bytes sent for %d", p.broken.Load(), sent, size)
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
