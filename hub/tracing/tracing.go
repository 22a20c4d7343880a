// Package tracing sends spans of what the hub does to an OpenTelemetry collector, by OTLP over gRPC or HTTP, where the operator names one. Otherwise nothing of it runs,
// and nobody is dialled.
//
// A span says what was done, for how long, and by which request: never an object, a name or a word of those whom it was done for. A collector that is slow or away costs
// spans, and nobody's time: they wait in a bounded queue, and what finds no place there is counted and dropped.
//
//	call ─▶ Server (a stats handler of gRPC) ─▶ root span ─▶ api: parse, commit     source: look ─▶ fetch, render     drive: advance rollouts
//	                                                 └──────────── queue ─▶ run ─▶ collector
//
// A caller's own trace (traceparent) is linked from the root span, and is not its parent: whoever calls decides neither what is sampled nor to which trace it belongs.
package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	metrics "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	// scope is what the hub's own spans are marked with.
	scope = "github.com/yardarm-dev/yardarm/hub"
	// tracesPath is where collectors take traces over HTTP, where the endpoint says nothing else.
	tracesPath = "/v1/traces"
	// maxValue bounds the texts in a span, in bytes.
	maxValue = 256
)

// The protocols of OTLP.
const (
	GRPC = "grpc"
	HTTP = "http"
)

// Config says where spans go. The zero one is nowhere.
type Config struct {
	// Endpoint is the collector: https://HOST:PORT, or http://HOST:PORT without TLS. Over HTTP it may have a path; default /v1/traces.
	Endpoint string
	// Protocol is GRPC or HTTP. Default: GRPC.
	Protocol string
	// CA is a file with the certificates to know the collector by, in PEM. Default: the system's.
	CA string
	// Ratio is which part of the traces is sent, above 0 and up to 1. Default 1.
	Ratio float64
	// Attributes of all spans' resource, each as name=value. service.name is yardarm-hub, unless they say another.
	Attributes []string
	// Version is the hub's.
	Version string
	Logger  *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Tracing makes spans and sends them. A nil one makes none.
type Tracing struct {
	provider *sdk.TracerProvider
	queue    *queue
}

// New makes a Tracing, which is nil where no collector is named. It dials nobody before Start.
func New(c Config) (*Tracing, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	if c.Ratio == 0 {
		c.Ratio = 1
	}
	if c.Ratio < 0 || c.Ratio > 1 {
		return nil, fmt.Errorf("traces: the ratio %v of them is to be sent; give a number above 0, and up to 1", c.Ratio)
	}
	about, err := c.resource()
	if err != nil {
		return nil, err
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	q, err := newQueue(otlptrace.NewUnstarted(client), c.Logger, c.Registerer)
	if err != nil {
		return nil, err
	}
	limits := sdk.NewSpanLimits()
	limits.AttributeValueLengthLimit = maxValue
	return &Tracing{queue: q, provider: sdk.NewTracerProvider(sdk.WithSpanProcessor(q), sdk.WithResource(about), sdk.WithRawSpanLimits(limits),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Ratio))))}, nil
}

func (c Config) resource() (*resource.Resource, error) {
	about := []attribute.KeyValue{attribute.String("service.name", "yardarm-hub"), attribute.String("service.version", c.Version)}
	for _, text := range c.Attributes {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("traces: the attribute %q is not NAME=VALUE", text)
		}
		about = append(about, attribute.String(name, value)) // the last one of a name counts
	}
	return resource.NewSchemaless(about...), nil
}

func (c Config) client() (otlptrace.Client, error) {
	at, err := url.Parse(c.Endpoint)
	if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return nil, errors.New("traces: the collector is to be https://HOST:PORT, or http://HOST:PORT without TLS")
	}
	secure, known := at.Scheme == "https", &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		if !secure {
			return nil, errors.New("traces: a CA is given, and a collector without TLS; let the endpoint begin with https://")
		}
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("traces: read the collector's CA: %w", err)
		}
		if known.RootCAs = x509.NewCertPool(); !known.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("traces: read the collector's CA: %s holds no certificate in PEM", c.CA)
		}
	}
	path := strings.TrimSuffix(at.Path, "/")
	switch {
	case c.Protocol != "" && c.Protocol != GRPC && c.Protocol != HTTP:
		return nil, fmt.Errorf("traces: the protocol %q is neither %s nor %s", c.Protocol, GRPC, HTTP)
	case c.Protocol == HTTP:
		if path == "" {
			path = tracesPath
		}
		options := []otlptracehttp.Option{otlptracehttp.WithEndpoint(at.Host), otlptracehttp.WithURLPath(path), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
			otlptracehttp.WithInsecure()}
		if secure {
			options[len(options)-1] = otlptracehttp.WithTLSClientConfig(known)
		}
		return otlptracehttp.NewClient(options...), nil
	case path != "":
		return nil, fmt.Errorf("traces: a collector that is spoken with over gRPC has no path; leave %q out, or say that the protocol is %s", at.Path, HTTP)
	}
	options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(at.Host), otlptracegrpc.WithCompressor("gzip"), otlptracegrpc.WithInsecure()}
	if secure {
		options[len(options)-1] = otlptracegrpc.WithTLSCredentials(credentials.NewTLS(known))
	}
	return otlptracegrpc.NewClient(options...), nil
}

// Start begins to send spans. What it returns ends that: it sends what is left, for a moment at most. Nothing but spans is lost by a failure, which is logged and counted.
func (t *Tracing) Start(ctx context.Context) (stop func()) {
	if t == nil {
		return func() {}
	}
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.queue.run(ctx)
	}()
	return func() {
		end()
		<-done
	}
}

// Tracer makes the hub's own spans.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return noop.NewTracerProvider().Tracer(scope)
	}
	return t.provider.Tracer(scope)
}

// Server has the server of FleetService make a span of each call.
func (t *Tracing) Server() []grpc.ServerOption {
	if t == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithMeterProvider(metrics.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.TraceContext{}), otelgrpc.WithPublicEndpoint(), otelgrpc.WithFilter(traced)))}
}

// traced tells calls from those that nobody would look at: questions for health, and watches, which last for hours.
func traced(call *stats.RPCTagInfo) bool {
	method, fleet := strings.CutPrefix(call.FullMethodName, "/"+hubv1.FleetService_ServiceDesc.ServiceName+"/")
	return fleet && !strings.HasPrefix(method, "Watch")
}
