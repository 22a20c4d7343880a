// Package client is the Go client of FleetService, the hub's admin API.
//
// A [Client] is the generated client with what every caller needs around it: TLS and the bearer token, a time limit for each call, retries of
// calls that only read, lists that page ([Client.Clusters] and its like), watches that survive a lost connection ([Client.Watch],
// [Client.Events]) and uploads in chunks ([Client.Publish]). The CLI and tools are built on it.
//
// It keeps no cache and retries no call that writes, since whether such a call took effect is not known when its answer is lost: only an upload, whose
// idempotency key has the hub do it once, and what the hub has refused for now, and so has not begun.
package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	// defaultRequestTimeout bounds one call that is not a stream: long enough for the largest page over a slow line, short enough that a person
	// still looks at the screen.
	defaultRequestTimeout = 30 * time.Second
	// connectTimeout bounds one attempt to connect, TLS included: a firewall that drops packets is noticed in it.
	connectTimeout = 10 * time.Second
	// reconnectBase and reconnectMax pace attempts to connect: a hub that restarts is back within a second or two.
	reconnectBase = 200 * time.Millisecond
	reconnectMax  = 5 * time.Second
	// keepaliveTime is after how much silence the connection is probed, and keepaliveTimeout how long the answer may take. Watches hear
	// from the hub every 15 s, so only event streams on a quiet hub ever need it.
	keepaliveTime    = time.Minute
	keepaliveTimeout = 20 * time.Second
	// maxMessage is the largest answer accepted, in bytes: a page of 1,000 assignments, each with ten problems of 2 KiB.
	maxMessage = 32 << 20
)

// ErrNoServer says that the configuration names no hub.
var ErrNoServer = errors.New("no hub address is given")

// Config says how to reach a hub and as whom.
type Config struct {
	// Server is the address of the hub's API, as HOST:PORT; "https://" in front of it is ignored.
	Server string
	// TLS says how to know the hub. Default: by the system's roots and the host of Server.
	TLS *tls.Config
	// Token is the bearer credential. Calls are made without one when it is empty: by a client certificate in TLS, if the hub takes those.
	Token string
	// Renewed, if set, answers the bearer credential in place of Token. It is asked at each call, from any goroutine, and a watch that the hub ends because
	// its credential has expired goes on with the next one.
	Renewed func(context.Context) (string, error)
	// UserAgent names the program to the hub, as in "yardarm/1.2".
	UserAgent string
	// RequestTimeout bounds each call that is not a stream, and how long an upload may stand still. Default 30 s.
	RequestTimeout time.Duration
	// DialOptions are added to the client's own.
	DialOptions []grpc.DialOption
}

// FromContext returns the configuration for a context of the CLI's file.
func FromContext(context clientconfig.Context) (Config, error) {
	server, err := context.Host()
	if err != nil {
		return Config{}, fmt.Errorf("context %q: server: %w", context.Name, err)
	}
	tlsConfig, err := context.TLS()
	if err != nil {
		return Config{}, fmt.Errorf("context %q: ca: %w", context.Name, err)
	}
	return Config{Server: server, TLS: tlsConfig, Token: context.Token}, nil
}

// Client is a connection to one hub. It is safe for concurrent use.
type Client struct {
	hubv1.FleetServiceClient

	conn    *grpc.ClientConn
	timeout time.Duration
	renewed bool
}

// New makes a client. It connects with the first call, not before.
func New(cfg Config) (*Client, error) {
	target, host, err := parseServer(cfg.Server)
	if err != nil {
		return nil, err
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLS != nil {
		tlsConfig = cfg.TLS.Clone()
	}
	if tlsConfig.ServerName == "" {
		tlsConfig.ServerName = host
	}
	timeout := cfg.RequestTimeout
	if timeout <= 0 {
		timeout = defaultRequestTimeout
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)),
		grpc.WithUserAgent(cfg.UserAgent),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		// What a DNS TXT record says about retries is not for us.
		grpc.WithDisableServiceConfig(),
		grpc.WithChainUnaryInterceptor(limitTime(timeout), comeBack),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: reconnectBase, Multiplier: 2, Jitter: 0.2, MaxDelay: reconnectMax},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
	}
	renewed := cfg.Renewed != nil
	if token := cfg.Token; !renewed && token != "" {
		cfg.Renewed = func(context.Context) (string, error) { return token, nil }
	}
	if cfg.Renewed != nil {
		options = append(options, grpc.WithPerRPCCredentials(bearer(cfg.Renewed)))
	}
	conn, err := grpc.NewClient(target, append(options, cfg.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("hub %s: %w", cfg.Server, err)
	}
	return &Client{FleetServiceClient: hubv1.NewFleetServiceClient(conn), conn: conn, timeout: timeout, renewed: renewed}, nil
}

// Close ends the connection and every call on it.
func (c *Client) Close() error { return c.conn.Close() }

// parseServer returns what gRPC dials and the host that the certificate must be for.
func parseServer(server string) (target, host string, err error) {
	address := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(server), "https://"), "/")
	if address == "" {
		return "", "", ErrNoServer
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || strings.Contains(address, "/") {
		return "", "", fmt.Errorf("hub address %q is not HOST:PORT", server)
	}
	return "dns:///" + address, host, nil
}

// bearer sends a token with each call. gRPC refuses to send it over a connection without TLS.
type bearer func(context.Context) (string, error)

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// limitTime bounds calls that have no limit of their own.
func limitTime(limit time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return invoke(ctx, method, req, reply, conn, opts...)
	}
}

// serviceConfig has gRPC retry calls that read, with jitter, while the hub cannot be reached: four attempts, which takes up to two seconds.
func serviceConfig() string {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var names []name
	service := hubv1.File_yardarm_hub_v1_fleet_proto.Services().ByName("FleetService")
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		reads := strings.HasPrefix(string(method.Name()), "Get") || strings.HasPrefix(string(method.Name()), "List")
		if reads && !method.IsStreamingServer() {
			names = append(names, name{Service: string(service.FullName()), Method: string(method.Name())})
		}
	}
	text, err := json.Marshal(map[string]any{"methodConfig": []any{map[string]any{
		"name": names,
		"retryPolicy": map[string]any{
			"maxAttempts": 4, "initialBackoff": "0.2s", "maxBackoff": "1s", "backoffMultiplier": 2,
			"retryableStatusCodes": []string{"UNAVAILABLE"},
		},
	}}})
	if err != nil {
		panic(err) // the values are constants
	}
	return string(text)
}
