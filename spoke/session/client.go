// Package session keeps a spoke's stream to its hub: it dials, says what the spoke holds, takes deltas into the state,
// fetches contents, and sends the newest reports. It knows nothing of Kubernetes. A session that fails in any way is thrown
// away whole, and the next one begins with the same comparison; nothing is resumed.
package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/report"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// Protocol is the version of the stream that this spoke speaks.
const Protocol = 1

// Customization is the newest version of the customization language that this spoke evaluates: none yet.
const Customization = 0

const (
	// backoffBase and backoffCap bound the random wait before dialling again: quick after a blip, and sparing with a hub
	// that is away. Full jitter: a wait is anything between zero and the bound, so that a fleet does not return as one.
	backoffBase = 500 * time.Millisecond
	backoffCap  = 30 * time.Second
	// refusedCap bounds the wait after the hub has answered that it does not want this spoke: only a person changes that.
	refusedCap = 2 * time.Minute
	// stableAfter is how long a session must have lasted for the backoff to begin anew.
	stableAfter = 10 * time.Second

	// keepaliveTime and keepaliveTimeout find a connection that has gone half-open. Heartbeats are messages of their own,
	// since proxies count only those.
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 15 * time.Second
)

// ErrDeleted means that the hub has deleted this cluster. It is final for this identity.
var ErrDeleted = errors.New("the hub has deleted this cluster")

// Identity is who the spoke is, and where and by what it knows the hub.
type Identity interface {
	// TLS answers the configuration to dial with; its certificate is the newest one at each handshake.
	TLS() *tls.Config
	// Addresses are host:port, in order of preference.
	Addresses() []string
	// Update takes what the hub says about itself.
	Update(ctx context.Context, trustBundle [][]byte, addresses []string) error
}

// Config of a Client. All fields are needed.
type Config struct {
	Identity Identity
	State    *state.State
	Book     *report.Book
	// Facts observes the cluster; it is called every few minutes.
	Facts func(context.Context) (*yardarmv1.Facts, error)
	// Version of the spoke, Instance of its process, KubeUID of its cluster.
	Version  string
	Instance string
	KubeUID  string
	Logger   *slog.Logger
	// Status is told of each change; it must not block.
	Status func(Status)
}

// Status of the stream.
type Status struct {
	Connected bool
	// Since when.
	Since time.Time
	// Err ended the last session, or kept the next one from coming about.
	Err error
	// Hub is the address last dialled.
	Hub string
}

// Client dials, again and again.
type Client struct {
	Config
	facts factsCache
}

// New makes a client; Run does the work.
func New(c Config) *Client { return &Client{Config: c} }

// Run keeps a session until ctx ends or the hub says that the cluster is deleted, which is ErrDeleted.
func (c *Client) Run(ctx context.Context) error {
	var failures int
	for {
		started := time.Now()
		addresses := c.Identity.Addresses()
		address := addresses[failures%len(addresses)]
		err := c.once(ctx, address)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(started) > stableAfter {
			failures = 0
		}
		failures++
		wait, err := c.judge(err, failures)
		if errors.Is(err, ErrDeleted) {
			return err
		}
		c.Status(Status{Since: time.Now(), Err: err, Hub: address})
		c.Logger.Warn("stream to the hub ended", "hub", address, "error", err, "retry_in", wait.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// judge tells how long to wait after an error, and makes it readable.
func (c *Client) judge(err error, failures int) (time.Duration, error) {
	var drain *drained
	if errors.As(err, &drain) {
		return jitter(drain.within), err
	}
	wait := jitter(min(backoffCap, backoffBase<<min(failures-1, 10)))
	st, ok := status.FromError(err)
	if !ok {
		return wait, err
	}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.RetryInfo:
			// The hub admits at a bounded rate and says when there is room; the spread keeps the fleet apart.
			after := d.RetryDelay.AsDuration()
			return after + jitter(after), err
		case *errdetails.ErrorInfo:
			if d.Reason == ReasonClusterDeleted {
				return 0, ErrDeleted
			}
		}
	}
	switch st.Code() {
	case codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition:
		return jitter(refusedCap), fmt.Errorf("refused by the hub: %s", st.Message())
	}
	return wait, err
}

// ReasonClusterDeleted is the reason of the ErrorInfo that tells a spoke that its cluster is deleted.
const ReasonClusterDeleted = "CLUSTER_DELETED"

func jitter(bound time.Duration) time.Duration { return rand.N(max(bound, time.Millisecond)) }

// once dials one address and lives through one session.
func (c *Client) once(ctx context.Context, address string) error {
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewTLS(c.Identity.TLS())),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithUserAgent("yardarm-spoke/"+c.Version),
		// A session has its own backoff; a channel that retries below it would hide the cause.
		grpc.WithDisableRetry(),
	)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	defer conn.Close()
	client := spokev1.NewSpokeServiceClient(conn)
	// Cancelling is what ends a stream at once on this side.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := client.Connect(ctx)
	if err != nil {
		return err
	}
	s := &session{Client: c, client: client, stream: stream, address: address, out: make(chan *spokev1.ConnectRequest, outBuffer)}
	return s.run(ctx, cancel)
}
