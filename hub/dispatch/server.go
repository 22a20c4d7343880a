// Package dispatch serves the spokes: it enrols them, keeps one session for each, sends each what it should have and does
// not hold yet, and takes what it reports into the store. It derives everything from the store and from what spokes say;
// what it keeps in memory ends with a session. It never speaks to hub/api: they meet in the store.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// Protocol versions of the stream that this hub speaks.
const (
	minProtocol = 1
	maxProtocol = 1
)

// Config of a Server. Store, CA and Logger are needed.
type Config struct {
	Store  *store.Store
	CA     *ca.CA
	Logger *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
	// Clock tells what time it is, for what is written down; nothing is waited for by it, since it can be set. Default: time.Now.
	Clock func() time.Time
	// Addresses are where spokes dial: told to them in Welcome.
	Addresses []string
	// MaxArtifactSize is the largest artifact that the hub assigns, in bytes. Default 64 MiB.
	MaxArtifactSize uint64
	// HeartbeatInterval is how often a silent spoke says that it is alive. Default 30 s.
	HeartbeatInterval time.Duration
	// StaleAfter is how long a spoke with an open stream may be silent before it counts as stale. Default 2.5 heartbeats.
	StaleAfter time.Duration
	// ReconnectGrace is how long a spoke whose stream has ended still counts as connected. Default 5 s: long enough for a
	// reconnect, short enough for the truth.
	ReconnectGrace time.Duration
	// RestartGrace is how long after the hub's start a spoke that has not come back yet is unknown rather than stale.
	// Default 1 min, twice the longest backoff of a spoke.
	RestartGrace time.Duration
	// HelloTimeout bounds how long a connection that has shaken hands may take to speak HTTP/2, and a stream to say Hello.
	// Default 15 s.
	HelloTimeout time.Duration
	// PingAfter is how long nothing may come over a connection before the hub asks whether anybody is there, and cuts it unless
	// that is answered within a third of the time. Default 5 min, long after its cluster is shown as stale: what it costs is a look at each connection as often.
	// At least 1 s.
	PingAfter time.Duration
	// AdmitPerSecond bounds how many sessions may begin. Default 500 for each core.
	AdmitPerSecond float64
	// AgainEvery is how often the spoke of one cluster may begin a session, after the first few: one that reconnects in a loop takes no
	// turns from the others. Default 5 s, which no backoff of ours gets below for long.
	AgainEvery time.Duration
	// AdmitWait is how long a spoke may stand in line for that; beyond, it is told when to come back. Default 10 s, which is
	// well within a spoke's patience.
	AdmitWait time.Duration
}

func (c *Config) setDefaults() error {
	if c.Store == nil || c.CA == nil || c.Logger == nil {
		return errors.New("dispatch: store, CA and logger are needed")
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	fill(&c.HeartbeatInterval, 30*time.Second)
	fill(&c.StaleAfter, c.HeartbeatInterval*5/2)
	fill(&c.ReconnectGrace, 5*time.Second)
	fill(&c.RestartGrace, time.Minute)
	fill(&c.HelloTimeout, 15*time.Second)
	fill(&c.PingAfter, 5*time.Minute)
	fill(&c.AdmitPerSecond, 500*float64(runtime.GOMAXPROCS(0)))
	fill(&c.AgainEvery, 5*time.Second)
	fill(&c.AdmitWait, 10*time.Second)
	fill(&c.MaxArtifactSize, 64<<20)
	return nil
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server is SpokeService.
type Server struct {
	spokev1.UnimplementedSpokeServiceServer
	Config
	sessions  *registry
	placer    *placement.Placer
	contents  *contents
	revisions *revisions
	shared    *shared
	intake    *intake
	trials    *trials
	admit     *rate.Limiter
	again     *again
	metrics   *metrics
	// deltas are those of all sessions.
	deltas sendings
	// elapsed is how long the server has been there, by a clock that nobody sets: presence goes by it.
	elapsed func() time.Duration
}

// New makes a server; Register it and Run it.
func New(c Config) (*Server, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	started := time.Now()
	s := &Server{
		Config:  c,
		elapsed: func() time.Duration { return time.Since(started) },
		admit:   rate.NewLimiter(rate.Limit(c.AdmitPerSecond), max(1, int(c.AdmitPerSecond))),
		again:   newAgain(c.AgainEvery),
		metrics: newMetrics(c.Registerer),
		placer:  placement.NewPlacer(),
		trials:  newTrials(),
	}
	s.contents = newContents(s.loadContent)
	s.revisions = newRevisions(s.contents)
	s.shared = newShared(s.loadContent)
	s.sessions = newRegistry(s, newComeback(c.Store.Read()))
	s.intake = newIntake(s)
	return s, nil
}

// Register adds the service to a gRPC server. That server's TLS is the CA's configuration for spokes.
func (s *Server) Register(r grpc.ServiceRegistrar) { spokev1.RegisterSpokeServiceServer(r, s) }

// Run watches the store, keeps presence, and takes in reports, until ctx ends. Sessions need it.
func (s *Server) Run(ctx context.Context) error {
	if err := s.sessions.begin(ctx); err != nil {
		return fmt.Errorf("note the clusters that were connected before: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.wake(ctx) })
	group.Go(func() error { return s.sessions.sweep(ctx) })
	group.Go(func() error { return s.intake.run(ctx) })
	group.Go(func() error { return s.recall(ctx) })
	return group.Wait()
}

// Drain asks all spokes to come back, spread over at least the time given, and returns when they have gone or ctx ends.
func (s *Server) Drain(ctx context.Context, atLeast time.Duration) { s.sessions.drain(ctx, atLeast) }

// Sessions is the number of sessions now.
func (s *Server) Sessions() int { return s.sessions.len() }

// loadContent answers an artifact's size and its compressed bytes.
func (s *Server) loadContent(digest string) (uint64, []byte, error) {
	artifact := s.Store.Read().Artifact(digest)
	if artifact == nil {
		return 0, nil, errNoArtifact(digest)
	}
	encoded, err := s.Store.Content(digest)
	return artifact.Size, encoded, err
}

// caller answers who is calling, by its certificate, if it may call at all. Each call asks the store, so that a ban holds
// for connections and TLS sessions that are older than it.
func (s *Server) caller(ctx context.Context) (ca.Peer, error) {
	p, err := s.peer(ctx)
	if err != nil {
		return p, err
	}
	return p, authError(s.CA.Authorize(s.Store.Read(), p))
}

func (s *Server) peer(ctx context.Context) (ca.Peer, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ca.Peer{}, status.Error(codes.Unauthenticated, "the connection has no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return ca.Peer{}, status.Error(codes.Unauthenticated, "the connection has no TLS")
	}
	who, err := s.CA.ClusterFromState(info.State)
	if errors.Is(err, ca.ErrNotYetValid) {
		s.Logger.Warn("refused a call", "remote", p.Addr.String(), "error", err)
		return ca.Peer{}, status.Error(codes.Unauthenticated, err.Error())
	}
	if err != nil {
		return ca.Peer{}, status.Error(codes.Unauthenticated, "a spoke's certificate is needed: enrol first")
	}
	return who, nil
}
