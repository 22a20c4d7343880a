// Package gateway serves FleetService on one TLS port: gRPC as it comes, and REST by translating it. REST calls go through an
// in-memory connection to the same gRPC server, so that interceptors, streams and errors are those of gRPC.
//
//	          ┌─ content-type: application/grpc ─▶ grpc.Server ◀──┐
//	TLS port ─┤                                                  │ in-memory connection
//	          └─ everything else ─▶ REST ─▶ grpc-gateway ─────────┘
//	                     ├─ /openapi.json, /api (the same to read), /.well-known/yardarm (how to sign in)
//	                     ├─ /livez, /readyz?verbose
//	                     ├─ /webhooks/source/NAME (webhook.go: servers of Git, which are nobody otherwise)
//	                     └─ /session (signin.go: by an identity provider), and the pages
//
// It holds no rule of its own about who may do what: the Authorization header and the client certificate travel on, and the interceptors
// judge them. That the port counts those who have shown one apart from strangers gives them no call. Only for the hub's own pages it makes
// that header, of a sealed cookie (session.go).
// The composition root makes it and calls Run.
package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/yardarm-dev/yardarm/hub/admission"
	"github.com/yardarm-dev/yardarm/pkg/login"
	"github.com/yardarm-dev/yardarm/pkg/run"
)

const (
	// pipeSize is the in-memory connection's buffer in bytes: a few of the largest messages that streams send.
	pipeSize = 1 << 20
	// maxMessage is what one answer to a REST call may have, in bytes. Pages are cut far below it.
	maxMessage = 64 << 20
	// maxHeader bounds the headers of a request, in bytes: a bearer token and what proxies add fit many times.
	maxHeader = 64 << 10
	// headerTimeout is for a client that opens a connection and says nothing.
	headerTimeout = 10 * time.Second
	// idleTimeout closes kept connections; longer than the 60 s of common load balancers, so that they close first.
	idleTimeout = 2 * time.Minute
	// pingAfter is how long a connection may be silent before it is asked whether it is there; watches beat every 15 s.
	pingAfter = 30 * time.Second
	// maxStreams is how many calls one connection may have open: a page has a few watches, a pipeline one call.
	maxStreams = 128
	// eachCredential is how many connections one credential may have: many pipelines and pages share one.
	eachCredential = 4096
	// defaultDrain is how long calls in flight may take after the hub was asked to stop.
	defaultDrain = 5 * time.Second
	// defaultMaxArtifact is the hub's own default, in bytes.
	defaultMaxArtifact = 64 << 20
)

// Config is what a Gateway is made of.
type Config struct {
	// GRPC has FleetService registered. The gateway serves it and stops it; nothing else may.
	GRPC *grpc.Server
	// Listener is the port, without TLS; the gateway closes it.
	Listener net.Listener
	// TLS has the certificate. It need not name protocols.
	TLS *tls.Config
	// ClientCAs are those of client certificates whose users may call. Default: none, and nobody is asked for one.
	ClientCAs *ClientCAs
	// Providers are the identity providers by which people sign in. Default: none.
	Providers Providers
	// Who answers who shows an Authorization header's values, or else a client certificate (nil for none); empty for nobody. By it the port knows
	// its connections by more than their address; it decides about no call. May be nil.
	Who func(ctx context.Context, authorization []string, certificate *x509.Certificate) string
	// Ready answers /readyz. Default: no checks, and so always ready.
	Ready http.Handler
	// Webhook hears what a server of sources sends to source credentials of a name, with the errors of package webhook among others. May be nil: none is heard.
	Webhook func(ctx context.Context, name string, header http.Header, body io.Reader) error
	// Stranger counts a request that shows no credential, by where it comes from (host:port), with the calls that do not; the error refuses one too many. May be nil.
	Stranger func(remote string) error
	// Stopping is called when Run is about to end, and makes endless streams end. May be nil.
	Stopping func()
	// MaxArtifactSize bounds the body of a publication, in bytes. Default 64 MiB.
	MaxArtifactSize int64
	// WriteStall is how long a client may take nothing of what is sent to it. Default 30 s.
	WriteStall time.Duration
	// Drain is how long calls in flight may go on once Run's context has ended. Default 5 s.
	Drain time.Duration
	// Sealer seals the sessions of pages; nobody can sign in to them when nil.
	Sealer Sealer
	// Pages serves the web UI; there is none when nil.
	Pages http.Handler
	// Logger defaults to discarding.
	Logger *slog.Logger
	// Registerer takes the metrics of the port; nil for none.
	Registerer prometheus.Registerer
}

// Providers are identity providers, as they are known at the moment.
type Providers interface {
	// Login are those by which people sign in to programs on their machines, for whoever asks, and Pages those for the hub's own pages.
	Login() []login.Provider
	Pages() []login.Provider
}

// Gateway serves one port.
type Gateway struct {
	cfg  Config
	log  *slog.Logger
	pipe *bufconn.Listener
	conn *grpc.ClientConn
	http *http.Server
	door *admission.Listener
	// providers are those by which people sign in to the pages.
	providers *providers
}

// New makes a Gateway, which then owns the listener.
func New(cfg Config) (*Gateway, error) {
	if cfg.GRPC == nil || cfg.Listener == nil || cfg.TLS == nil {
		return nil, errors.New("gateway: a gRPC server, a listener and TLS are needed")
	}
	if cfg.MaxArtifactSize <= 0 {
		cfg.MaxArtifactSize = defaultMaxArtifact
	}
	if cfg.WriteStall <= 0 {
		cfg.WriteStall = defaultWriteStall
	}
	if cfg.Drain <= 0 {
		cfg.Drain = defaultDrain
	}
	if cfg.Ready == nil {
		cfg.Ready = run.Checks{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{cfg: cfg, log: cfg.Logger, pipe: bufconn.Listen(pipeSize), providers: newProviders(cfg.Providers)}
	var err error
	g.conn, err = grpc.NewClient("passthrough:///hub",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return g.pipe.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the connection never leaves the process
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	rest, err := newREST(cfg, g.conn, g.providers)
	if err != nil {
		return nil, errors.Join(err, g.conn.Close())
	}
	// Base64 makes four bytes of three; chunks' paths and quotes come on top.
	p := patience{writeStall: cfg.WriteStall, publish: cfg.MaxArtifactSize/3*4 + cfg.MaxArtifactSize/4 + maxBody, other: maxBody}
	g.http = &http.Server{
		Handler: g.introduce(split(p.grpc(cfg.GRPC), p.rest(rest))),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		TLSConfig:         cfg.TLS.Clone(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// Handshakes that fail and clients that vanish are no news of the hub's.
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      pingAfter,
			WriteByteTimeout:     cfg.WriteStall,
		},
	}
	g.http.TLSConfig.NextProtos = []string{"h2", "http/1.1"}
	if cfg.ClientCAs != nil {
		g.http.TLSConfig, g.http.Handler = cfg.ClientCAs.ask(g.http.TLSConfig), cfg.ClientCAs.wrap(g.http.Handler)
	}
	// Only a call shows who it is: until then all are strangers, and stay as long as the server lets them.
	g.door, err = admission.Listen(admission.Config{
		Port: cfg.Listener, TLS: g.http.TLSConfig, Name: "api", Logger: g.log, Registerer: cfg.Registerer, Handshake: headerTimeout, Each: eachCredential,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gateway: %w", err), g.conn.Close())
	}
	return g, nil
}

// Run serves until ctx ends, then lets calls in flight end and returns nil; or it returns why it could not serve.
func (g *Gateway) Run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error {
		if err := g.cfg.GRPC.Serve(g.pipe); err != nil {
			return fmt.Errorf("gateway: serve REST calls: %w", err)
		}
		return nil
	})
	tasks.Go(func() error {
		if err := g.http.Serve(g.door); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("gateway: serve %s: %w", g.cfg.Listener.Addr(), err)
		}
		return nil
	})
	tasks.Go(func() error {
		<-ctx.Done()
		g.stop()
		return nil
	})
	return tasks.Wait()
}

// stop lets calls in flight end for as long as Drain, and cuts the rest.
func (g *Gateway) stop() {
	if g.cfg.Stopping != nil {
		g.cfg.Stopping()
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Drain)
	defer cancel()
	if err := g.http.Shutdown(ctx); err != nil {
		g.log.Warn("calls did not end in time and are cut", "error", err)
		_ = g.http.Close()
	}
	_ = g.conn.Close()
	g.providers.close()
	g.cfg.GRPC.Stop()
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// introduce tells the port whose a connection is, by the first credential that is shown on it.
func (g *Gateway) introduce(next http.Handler) http.Handler {
	if g.cfg.Who == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			admission.Introduce(conn, func() string { return g.cfg.Who(r.Context(), r.Header.Values("Authorization"), verified(r)) })
		}
		next.ServeHTTP(w, r)
	})
}

// split hands gRPC calls to the gRPC server and everything else to REST.
func split(rpc, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGRPC(r) {
			rpc.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

func isGRPC(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	rest, ok := strings.CutPrefix(kind, "application/grpc")
	return r.ProtoMajor == 2 && ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
