// Package session keeps a spoke's stream to its hub: it dials, says what the spoke holds, takes deltas into the state,
// fetches contents, and sends the newest reports. It knows nothing of Kubernetes. A session that fails in any way is thrown
// away whole, and the next one begins with the same comparison; nothing is resumed.
package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/spoke/report"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// Protocol is the version of the stream that this spoke speaks.
const Protocol = 1

const (
	// backoffBase and backoffCap bound the random wait before dialling again: quick after a blip, and sparing with a hub
	// that is away.
	backoffBase = 500 * time.Millisecond
	backoffCap  = 30 * time.Second
	// refusedCap bounds the wait after the hub has answered that it does not want this spoke: only a person changes that.
	refusedCap = time.Minute
	// waitCap bounds what a hub can make a spoke wait: a drain of a large fleet is spread over minutes, not hours.
	waitCap = 10 * time.Minute
	// stableAfter is how long a session must have lasted for the backoff to begin anew.
	stableAfter = 10 * time.Second

	// connectTimeout bounds how long a connection may take to come about: a hub to which a whole fleet comes back has each wait for its turn, 20 s at most.
	connectTimeout = 30 * time.Second

	// keepaliveTime and keepaliveTimeout find a connection that has gone half-open. Heartbeats are messages of their own, since proxies count only those; and
	// where nothing acknowledges them, the kernel ends the connection after keepaliveTimeout (gRPC sets TCP_USER_TIMEOUT to that). What is left for pings is a
	// proxy between that holds the line of a hub it has lost. Their answers are all that an idle hub writes: each costs it more than a heartbeat.
	keepaliveTime    = 2 * time.Minute
	keepaliveTimeout = 15 * time.Second

	// window bounds what a hub may have under way that nobody has read yet, in bytes, for one call and for all of the connection: 5 MB
	// a second of content over a line of 200 ms. Being fixed, it needs no pings to find a better one, of which each delta brought one.
	window = 1 << 20
)

// ErrDeleted means that the hub has deleted this cluster. It is final for this identity.
var ErrDeleted = errors.New("the hub has deleted this cluster")

// Identity is who the spoke is, and where and by what it knows the hub.
type Identity interface {
	// TLS answers the configuration to dial with; its certificate is the newest one at each handshake.
	TLS() *tls.Config
	// Addresses are host:port, in order of preference.
	Addresses() []string
	// TrustHash is the hash of what the hub is known by, which a hub does not say again then.
	TrustHash() []byte
	// Update takes what the hub says about itself.
	Update(ctx context.Context, trustBundle [][]byte, addresses []string) error
}

// Config of a Client. All fields but Try and DialOptions are needed.
type Config struct {
	Identity Identity
	State    *state.State
	Book     *report.Book
	// Facts observes the cluster; it is called every few minutes.
	Facts func(context.Context) (*yardarmv1.Facts, error)
	// Try answers what would come of an assignment with this content, and changes nothing; nil: the hub is told that nothing is tried. One call at a time.
	Try func(ctx context.Context, a *yardarmv1.AssignmentSpec, content []byte) *yardarmv1.TrialResult
	// Version of the spoke, Instance of its process, KubeUID of its cluster.
	Version  string
	Instance string
	KubeUID  string
	Logger   *slog.Logger
	// Status is told of each change; it must not block.
	Status func(Status)
	// DialOptions are added to those of connections. A dialler here loses HTTPS_PROXY.
	DialOptions []grpc.DialOption
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
	// partial outlives sessions; the fetching goroutine of the one session there is owns it.
	partial partial
	// brief says that the hub's last Welcome was, and within is its reconnect_within; both are set before a session's goroutines start.
	brief  bool
	within time.Duration
}

// New makes a client; Run does the work.
func New(c Config) *Client { return &Client{Config: c} }

// Run keeps a session until ctx ends or the hub says that the cluster is deleted, which is ErrDeleted.
func (c *Client) Run(ctx context.Context) error {
	c.expect()
	retry := backoff.Backoff{Base: backoffBase, Max: backoffCap}
	// missed counts addresses in a row that have not served.
	for next, missed := 0, 0; ; {
		started := time.Now()
		addresses := c.Identity.Addresses()
		if len(addresses) == 0 {
			return errors.New("the spoke's identity names no address of a hub")
		}
		address := addresses[next%len(addresses)]
		connected, err := c.once(ctx, address)
		if ctx.Err() != nil {
			return nil
		}
		if connected {
			missed = 0
		} else {
			missed++
			next++
		}
		if connected && time.Since(started) > stableAfter {
			retry.Reset()
		}
		wait := retry.Next()
		if missed >= len(addresses) {
			wait = c.spread(wait)
		}
		wait, err = c.judge(err, wait)
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

// expect puts what the spoke holds into the book, as not looked at yet: the first report to the hub is said to be complete, and
// what it lacks counts as gone.
func (c *Client) expect() {
	now := timestamppb.Now()
	for _, e := range c.State.Entries() {
		a := e.Assignment
		r := &yardarmv1.Report{
			Bundle: a.Bundle, BundleUid: a.BundleUid, AssignmentHash: a.Hash, Revision: a.Revision, Digest: a.Digest, Since: now, ObservedTime: now,
			Phase: yardarmv1.PhasePending, Reason: "SpokeStarted", Message: "the spoke has started, and has not looked at it yet",
		}
		switch {
		case e.Removal != nil:
			r.Phase = yardarmv1.PhaseRemoving
		case e.Hold != nil:
			r.Phase, r.Reason, r.Message = yardarmv1.PhaseHeld, e.Hold.Reason, e.Hold.Message
		}
		c.Book.Expect(r)
	}
}

// judge tells how long to wait after an error, and makes it readable. wait is what to do without better knowledge.
func (c *Client) judge(err error, wait time.Duration) (time.Duration, error) {
	if drain, ok := errors.AsType[*drained](err); ok {
		return jitter(min(drain.within, waitCap)), err
	}
	if errors.Is(err, io.EOF) {
		return wait, errors.New("the hub has closed the stream")
	}
	st, ok := status.FromError(err)
	if !ok {
		return wait, err
	}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.RetryInfo:
			// The hub admits at a bounded rate and says when there is room; the spread keeps the fleet apart.
			after := min(max(d.RetryDelay.AsDuration(), 0), waitCap)
			return after + jitter(after), err
		case *errdetails.ErrorInfo:
			if d.Reason == ReasonClusterDeleted {
				return 0, ErrDeleted
			}
		}
	}
	switch st.Code() {
	case codes.PermissionDenied, codes.FailedPrecondition:
		return jitter(refusedCap), fmt.Errorf("refused by the hub: %s", st.Message())
	case codes.Unauthenticated:
		// Most of all a certificate that has expired, and is being renewed.
		return wait, fmt.Errorf("refused by the hub: %s", st.Message())
	}
	return wait, err
}

// spread makes a wait long enough for a hub that serves at none of its addresses. It is away, and its whole fleet comes back with it: then more at once than
// it admits in a second would stand in line before it, and give up there. Before that is known, a stream that has ended is begun anew as soon as after any failure.
func (c *Client) spread(wait time.Duration) time.Duration { return max(wait, jitter(c.within)) }

// ReasonClusterDeleted is the reason of the ErrorInfo that tells a spoke that its cluster is deleted.
const ReasonClusterDeleted = "CLUSTER_DELETED"

// jitter answers a time between zero and bound, so that a fleet does not return as one.
func jitter(bound time.Duration) time.Duration { return rand.N(max(bound, time.Millisecond)) }

// once dials one address and lives through one session. It tells whether the hub has welcomed the spoke.
func (c *Client) once(ctx context.Context, address string) (connected bool, err error) {
	conn, err := grpc.NewClient(address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(c.Identity.TLS())),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: grpcbackoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithInitialWindowSize(window),
		grpc.WithInitialConnWindowSize(window),
		grpc.WithUserAgent("yardarm-spoke/" + c.Version),
		// A session has its own backoff; a channel that retries below it would hide the cause.
		grpc.WithDisableRetry(),
	}, c.DialOptions...)...)
	if err != nil {
		return false, fmt.Errorf("dial %s: %w", address, err)
	}
	defer conn.Close()
	client := spokev1.NewSpokeServiceClient(conn)
	// Cancelling is what ends a stream at once on this side.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := client.Connect(ctx)
	if err != nil {
		return false, err
	}
	s := &session{
		Client: c, client: client, stream: stream, address: address, logger: c.Logger.With("hub", address),
		out: make(chan *spokev1.ConnectRequest, outBuffer), list: make(chan struct{}, 1), news: make(chan *yardarmv1.Facts, 1),
		missing: make(chan struct{}, 1), spare: make(chan struct{}, 1), trials: make(chan trial, maxTrials),
	}
	err = s.run(ctx, cancel)
	return s.welcomed, err
}
