package tracing_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, c tracing.Config) (*tracing.Tracing, *prometheus.Registry, func()) {
	t.Helper()
	metrics := prometheus.NewRegistry()
	c.Logger, c.Registerer = slog.New(slog.NewTextHandler(t.Output(), nil)), metrics
	traces, err := tracing.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return traces, metrics, traces.Start(t.Context())
}

// counted checks how many spans have come to what.
func counted(t *testing.T, metrics *prometheus.Registry, want map[string]float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(families[0].Metric); n != len(want) {
		t.Errorf("there are %d outcomes", n)
	}
	for _, m := range families[0].Metric {
		outcome := m.Label[0].GetValue()
		if n, ok := want[outcome]; !ok || m.Counter.GetValue() != n {
			t.Errorf("%s: %v spans, want %v", outcome, m.Counter.GetValue(), n)
		}
	}
}

// TestOff: where no collector is named, nothing runs, and a span costs next to nothing.
func TestOff(t *testing.T) {
	traces, err := tracing.New(tracing.Config{})
	if err != nil || traces != nil || traces.Server() != nil {
		t.Fatalf("there is %v, %v", traces, err)
	}
	defer traces.Start(t.Context())()
	tracer := traces.Tracer()
	if n := testing.AllocsPerRun(100, func() { _, span := tracer.Start(t.Context(), "commit"); span.End() }); n > 2 {
		t.Errorf("a span that nobody makes costs %v allocations", n)
	}
}

// TestBadConfig says what is wrong before anything is dialled.
func TestBadConfig(t *testing.T) {
	for name, c := range map[string]struct {
		config tracing.Config
		want   string
	}{
		"no scheme":      {tracing.Config{Endpoint: "collector:4317"}, "https://HOST:PORT"},
		"a password":     {tracing.Config{Endpoint: "https://a:b@collector:4317"}, "https://HOST:PORT"},
		"a protocol":     {tracing.Config{Endpoint: "https://collector:4317", Protocol: "udp"}, `"udp"`},
		"a path":         {tracing.Config{Endpoint: "https://collector:4317/v1/traces"}, "has no path"},
		"a ratio":        {tracing.Config{Endpoint: "https://collector:4317", Ratio: 1.5}, "1.5"},
		"an attribute":   {tracing.Config{Endpoint: "https://collector:4317", Attributes: []string{"prod"}}, "NAME=VALUE"},
		"no CA":          {tracing.Config{Endpoint: "https://collector:4317", CA: filepath.Join(t.TempDir(), "absent")}, "absent"},
		"a useless CA":   {tracing.Config{Endpoint: "http://collector:4317", CA: "ca.pem"}, "https://"},
		"no PEM in a CA": {tracing.Config{Endpoint: "https://collector:4317", CA: "tracing_test.go"}, "no certificate in PEM"},
	} {
		if _, err := tracing.New(c.config); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "a:b") {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// TestSlowCollector: while the collector takes nothing, spans wait, and too many are dropped and counted; nobody else waits. Once it takes them, what waited is sent.
func TestSlowCollector(t *testing.T) {
	r := &receiver{hold: make(chan struct{})}
	address, ca := r.serve(t)
	traces, metrics, stop := start(t, tracing.Config{Endpoint: "https://" + address, CA: ca})
	const many = 20_000
	begun := time.Now()
	for range many {
		_, span := traces.Tracer().Start(t.Context(), "commit")
		span.End()
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("a slow collector has held up spans for %v", took)
	}
	close(r.hold)
	stop()
	sent := float64(len(r.spans()["commit"]))
	if sent == 0 || sent > many/2 {
		t.Errorf("%v spans have come", sent)
	}
	counted(t, metrics, map[string]float64{"sent": sent, "dropped": many - sent, "failed": 0})
}

// TestNoCollector: one that is away does not hold up the end of a hub, and what is lost is counted.
func TestNoCollector(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	traces, metrics, stop := start(t, tracing.Config{Endpoint: "http://" + address})
	_, span := traces.Tracer().Start(t.Context(), "commit")
	span.End()
	begun := time.Now()
	stop()
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("it takes %v to stop", took)
	}
	counted(t, metrics, map[string]float64{"sent": 0, "dropped": 0, "failed": 1})
}

// TestOverHTTP sends to a collector that is spoken with over HTTP, with TLS and without.
func TestOverHTTP(t *testing.T) {
	var spans atomic.Int32
	take := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(text)
		var req collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &req) != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("it gets %s, %v", r.URL.Path, err)
		}
		for _, resource := range req.ResourceSpans {
			spans.Add(int32(len(resource.ScopeSpans[0].Spans)))
		}
	})
	plain, secure := httptest.NewServer(take), httptest.NewUnstartedServer(take)
	defer plain.Close()
	pair, ca := certificate(t)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	secure.StartTLS()
	defer secure.Close()
	for _, c := range []tracing.Config{{Endpoint: plain.URL}, {Endpoint: secure.URL, CA: ca}} {
		spans.Store(0)
		c.Protocol = tracing.HTTP
		traces, metrics, stop := start(t, c)
		ctx, span := traces.Tracer().Start(t.Context(), "call")
		_, within := traces.Tracer().Start(ctx, "commit")
		within.End()
		span.End()
		stop()
		if spans.Load() != 2 {
			t.Errorf("%d spans have come to %s", spans.Load(), c.Endpoint)
		}
		counted(t, metrics, map[string]float64{"sent": 2, "dropped": 0, "failed": 0})
	}
}

// TestRatio sends about as many traces as are wanted, each whole.
func TestRatio(t *testing.T) {
	r := &receiver{}
	address, ca := r.serve(t)
	traces, _, stop := start(t, tracing.Config{Endpoint: "https://" + address, CA: ca, Ratio: 0.25})
	for range 1000 {
		ctx, span := traces.Tracer().Start(context.Background(), "call")
		_, within := traces.Tracer().Start(ctx, "commit")
		within.End()
		span.End()
	}
	stop()
	spans := r.spans()
	if n := len(spans["call"]); n < 150 || n > 350 || n != len(spans["commit"]) {
		t.Errorf("of 1,000 traces, %d have come, with %d spans within", n, len(spans["commit"]))
	}
}
