package source

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/yardarm-dev/yardarm/hub/api"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// queue is a publisher that takes note of whose turn it was, and has the first one wait.
type queue struct {
	Publisher
	first  sync.Once
	wait   func()
	mu     sync.Mutex
	order  []string
	within atomic.Int32
}

func (q *queue) PublishSource(ctx context.Context, p api.SourcePublication) (string, error) {
	defer q.within.Add(-1)
	if q.within.Add(1) > 1 {
		return "", fmt.Errorf("%s was rendered while another one was", p.Bundle)
	}
	q.mu.Lock()
	q.order = append(q.order, p.Bundle)
	q.mu.Unlock()
	q.first.Do(q.wait)
	return q.Publisher.PublishSource(ctx, p)
}

// TestTurns has a repository of several bundles rendered before one of a single bundle comes to wait: that one is next, rather than last.
func TestTurns(t *testing.T) {
	w := newWorld(t)
	w.stop()
	many, served := w.another("many")
	many.Commit("many", "apps/web/a.yaml", configMap("a", "one"))
	w.Commit("one", "apps/web/a.yaml", configMap("b", "one"))
	w.apply(nil)
	for i := range 4 {
		w.bundle(fmt.Sprintf("many-%d", i), "many", served.Repo)
	}
	begun := make(chan struct{})
	w.server.Allow = func(*http.Request) bool { <-begun; return true }
	registry := prometheus.NewRegistry()
	q := &queue{Publisher: w.hub.API}
	q.wait = func() {
		close(begun)
		for deadline := time.Now().Add(20 * time.Second); figure(t, registry, "yardarm_source_waiting", "render") != 1; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Error("nobody waits for a turn")
				return
			}
		}
	}
	w.configure = func(c *Config) { c.Renders, c.Publisher, c.Registerer = 1, q, registry }
	w.run()
	w.untilBundle("many-3", "a revision", func(b *yardarmv1.Bundle) bool { return b.Status.LatestRevision == 1 })
	w.stop()
	if want := []string{"many-0", "web", "many-1", "many-2", "many-3"}; !slices.Equal(q.order, want) {
		t.Errorf("turns were had by %v, and not by %v", q.order, want)
	}
}

// figure is the value of a metric with these values of labels; of a histogram, how much it has seen.
func figure(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Error(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if slices.Equal(values, labels) {
				return value(m)
			}
		}
	}
	return 0
}

func value(m *dto.Metric) float64 {
	switch {
	case m.GetHistogram() != nil:
		return float64(m.GetHistogram().GetSampleCount())
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return m.GetCounter().GetValue()
}

// TestMetrics counts what is fetched, rendered and heard, and what fails.
func TestMetrics(t *testing.T) {
	w := newHeardWorld(t)
	registry := prometheus.NewRegistry()
	w.configure = func(c *Config) { c.Registerer = registry }
	w.run()
	first := w.Commit("one", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	w.untilCommit(first)
	w.Commit("bad", "apps/web/a.yaml", "oops: [\n")
	w.ring()
	w.untilProblem(yardarmv1.SourceNotRendered)
	if code, _ := w.post("git", "X-Yardarm-Signature", "sha256=00", nil); code != http.StatusUnauthorized {
		t.Errorf("a webhook that is not signed: %d", code)
	}
	if n := figure(t, registry, "yardarm_source_failing", yardarmv1.SourceNotRendered); n != 1 {
		t.Errorf("%v sources fail by what they hold", n)
	}
	w.server.Allow = func(*http.Request) bool { return false }
	w.ring()
	w.untilProblem(yardarmv1.SourceDenied)
	for _, test := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"yardarm_source_fetches_total", []string{"git", "ok"}, 2},
		{"yardarm_source_fetches_total", []string{"git", yardarmv1.SourceDenied}, 1},
		{"yardarm_source_fetch_seconds", []string{"git"}, 3},
		{"yardarm_source_renders_total", nil, 2},
		{"yardarm_source_render_seconds", nil, 2},
		{"yardarm_source_waiting", []string{"fetch"}, 0},
		{"yardarm_source_webhooks_total", []string{"heard"}, 2},
		{"yardarm_source_webhooks_total", []string{"refused"}, 1},
		{"yardarm_source_failing", []string{yardarmv1.SourceDenied}, 1},
		{"yardarm_source_failing", []string{yardarmv1.SourceNotRendered}, 0},
	} {
		if n := figure(t, registry, test.name, test.labels...); n != test.want {
			t.Errorf("%s %v is %v, and should be %v", test.name, test.labels, n, test.want)
		}
	}
}
