// Package api holds FleetService's handlers: what people, pipelines and pages ask of the hub, one file a resource or verb. A change
// is one transaction of the store; a handler validates before it, checks what only the rows can tell within it, and answers what the rows
// say afterwards. Status is computed when it is read: from presence, from reports, and from what each cluster is to run.
//
// It derives no placement and judges no report (hub/placement, hub/status), speaks to no spoke (hub/dispatch: both meet in the store), and
// opens no port (hub/gateway). gRPC codes are made in errors.go alone. The composition root makes a Server, registers it with a gRPC
// server that has its Options, calls Run, and calls Shutdown before that server is to stop.
package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// Authenticator tells who a caller is.
type Authenticator interface {
	// Authenticate answers whom a bearer token belongs to; errors are those of [authz.Authz.Authenticate].
	Authenticate(ctx context.Context, token string) (authz.Identity, error)
}

// Limits bound what a call may cost. A zero field means its default.
type Limits struct {
	// MaxArtifactSize is the size of one publication's files together, and of the artifact, in bytes. Default 64 MiB.
	MaxArtifactSize int
	// MaxFiles is how many files a publication may have. Default 10,000.
	MaxFiles int
	// Publications is how many may be under way at once; each holds up to MaxArtifactSize in memory. Default 4.
	Publications int
	// Previews is how many may be under way at once; each holds what it shows, up to MaxArtifactSize of it, in memory. Default 2.
	Previews int
	// Downloads is how many bytes artifacts and previews hold in memory together until callers have taken them. Default 256 MiB: four of the largest artifacts.
	Downloads int
	// Watches is how many watches may be open at once; each costs some 50 KB. Default 2,048.
	Watches int
	// Remember is how many changes of each kind are remembered for watches that go on. Default 32,768.
	Remember int
	// Clusters, ClusterGroups, Bundles and Tokens are how many of them there may be; negative for any number. Defaults 50,000, 2,000, 5,000 and 10,000.
	Clusters, ClusterGroups, Bundles, Tokens int
	// Roles and RoleBindings are so, too. Defaults 1,000 and 20,000.
	Roles, RoleBindings int
	// CallRate is how many calls a second each identity may make, after ten seconds' worth at once; negative for any number. Default 200.
	CallRate int
	// FailureRate is the same of calls whose caller is not known, from each address. Default 5.
	FailureRate int
	// CallTimeout is how long a call that is no stream may take. Default 30 s.
	CallTimeout time.Duration
	// StreamTimeout is how long an upload or a download may take; watches have no end. Default 10 min.
	StreamTimeout time.Duration
}

const (
	defaultMaxArtifact  = 64 << 20
	defaultMaxFiles     = 10_000
	defaultPublications = 4
	defaultPreviews     = 2
	defaultDownloads    = 256 << 20
	defaultWatches      = 2048
	// The quotas are several times what a hub has been measured with: they are to stop a script that runs away before it fills memory and disk.
	defaultClusters      = 50_000
	defaultGroups        = 2_000
	defaultBundles       = 5_000
	defaultTokens        = 10_000
	defaultRoles         = 1_000
	defaultBindings      = 20_000 // a token may have one of its own
	defaultCallRate      = 200
	defaultFailureRate   = 5
	defaultCallTimeout   = 30 * time.Second
	defaultStreamTimeout = 10 * time.Minute

	// defaultHeartbeat is how often a watch says that it is alive, as the proto promises.
	defaultHeartbeat = 15 * time.Second
	// defaultCoalesce is the least time between two rounds of changes to one watcher: the first change of a quiet fleet comes at once, and a
	// burst of reports becomes one message a resource.
	defaultCoalesce = 500 * time.Millisecond
)

// Config is what a Server is made of.
type Config struct {
	Store         *store.Store
	Enroller      Enroller
	Authority     Authority
	Authenticator Authenticator
	Tokens        TokenDrafter
	Sealer        Sealer
	// Deliveries tell how far bundles are on their way to spokes; nil where nobody knows.
	Deliveries Deliveries
	// Trials try in clusters what would be assigned to them; nil where nobody does.
	Trials Trials
	// Notifier tells the receivers of notifications; nil where nobody does.
	Notifier Notifier
	// Version is the hub's.
	Version string
	// SpokeAddresses is where spokes dial, as host:port.
	SpokeAddresses []string
	Limits         Limits
	// Heartbeat is how often a watch says that it is alive. Default 15 s.
	Heartbeat time.Duration
	// Coalesce is the least time between two rounds of changes to one watcher. Default 500 ms.
	Coalesce time.Duration
	// DenialsSoonest is how long after the first denied call of a quiet time the audit log tells of it; while they go on, up to 15 times as long. Default 1 min.
	DenialsSoonest time.Duration
	// Tracer makes the spans within a call. Default: none are made.
	Tracer trace.Tracer
	// Clock defaults to time.Now, Rand to crypto/rand, Logger to discarding, Registerer to none. Clock and Rand are used concurrently.
	Clock      func() time.Time
	Rand       io.Reader
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Server implements FleetService. It is safe for concurrent use.
type Server struct {
	hubv1.UnimplementedFleetServiceServer

	cfg     Config
	store   *store.Store
	log     *slog.Logger
	metrics *grpcprom.ServerMetrics
	started time.Time
	// index is what lists, facets and watches read.
	index  *index.Index
	facets facetCounts
	// run tells this run of the hub from others, in bookmarks.
	run [8]byte

	// publications, parses, previews and trials are semaphores: of uploads in memory, of parsers at work, of previews from their making to
	// their last byte, and of publications that clusters are trying.
	publications, parses, previews, trials chan struct{}
	downloads                              *downloads
	watches                                atomic.Int32
	audiences                              audiences
	shown                                  shown
	// calls are counted by identity, failures to show one by address.
	calls, failures *rates
	denials         *denials

	// stopping is closed by Shutdown.
	stopping chan struct{}
	stop     sync.Once
}

// parsers is how many publications are parsed and compressed at once: each takes a core, and up to a hundred times a document's size.
const parsers = 2

// New makes a Server.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil || cfg.Enroller == nil || cfg.Authenticator == nil || cfg.Tokens == nil || cfg.Sealer == nil {
		return nil, errors.New("api: a store, an enroller, an authenticator, a drafter of tokens and a sealer are needed")
	}
	if err := checkNeeds(&hubv1.FleetService_ServiceDesc, needs); err != nil {
		return nil, err
	}
	cfg.Limits.fill()
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = defaultHeartbeat
	}
	if cfg.Coalesce <= 0 {
		cfg.Coalesce = defaultCoalesce
	}
	if cfg.DenialsSoonest <= 0 {
		cfg.DenialsSoonest = denialsSoonest
	}
	if cfg.Tracer == nil {
		cfg.Tracer = noop.NewTracerProvider().Tracer("")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg:          cfg,
		store:        cfg.Store,
		log:          cfg.Logger,
		metrics:      grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram()),
		started:      cfg.Clock(),
		publications: make(chan struct{}, cfg.Limits.Publications),
		parses:       make(chan struct{}, parsers),
		previews:     make(chan struct{}, cfg.Limits.Previews),
		trials:       make(chan struct{}, trialsAtOnce),
		downloads:    newDownloads(cfg.Limits.Downloads),
		denials:      newDenials(cfg.Store.AuditDenials, cfg.Logger, cfg.DenialsSoonest),
		stopping:     make(chan struct{}),
	}
	if _, err := io.ReadFull(cfg.Rand, s.run[:]); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	var err error
	if s.calls, err = newRates(cfg.Limits.CallRate); err != nil {
		return nil, err
	}
	if s.failures, err = newRates(cfg.Limits.FailureRate); err != nil {
		return nil, err
	}
	if s.index, err = index.New(cfg.Store, cfg.Limits.Remember); err != nil {
		return nil, err
	}
	if cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{s.metrics, index.NewMetrics(s.index, cfg.Clock)} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// Register adds the service to a gRPC server, which must have been made with Options.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	hubv1.RegisterFleetServiceServer(r, s)
	if g, ok := r.(*grpc.Server); ok {
		s.metrics.InitializeMetrics(g)
	}
}

// Run keeps what lists and watches read up with the store, and has the audit log tell of denied calls, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.index.Run(ctx) })
	group.Go(func() error { return s.denials.Run(ctx) })
	return group.Wait()
}

// Options are those of the gRPC server that serves s: who calls, how long a call may take, what becomes of a panic, how messages are encoded.
func (s *Server) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(grpcproto.Name)}),
		grpc.ChainUnaryInterceptor(s.metrics.UnaryServerInterceptor(), s.unary, conditional),
		grpc.ChainStreamInterceptor(s.metrics.StreamServerInterceptor(), s.stream),
	}
}

// Shutdown ends the watches, which have no end of their own. It does not wait.
func (s *Server) Shutdown() {
	s.stop.Do(func() { close(s.stopping) })
}

func (l *Limits) fill() {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.MaxArtifactSize, defaultMaxArtifact)
	set(&l.MaxFiles, defaultMaxFiles)
	set(&l.Publications, defaultPublications)
	set(&l.Previews, defaultPreviews)
	set(&l.Downloads, defaultDownloads)
	set(&l.Watches, defaultWatches)
	for _, limit := range []struct {
		field *int
		value int
	}{
		{&l.Clusters, defaultClusters}, {&l.ClusterGroups, defaultGroups}, {&l.Bundles, defaultBundles}, {&l.Tokens, defaultTokens},
		{&l.Roles, defaultRoles}, {&l.RoleBindings, defaultBindings},
		{&l.CallRate, defaultCallRate}, {&l.FailureRate, defaultFailureRate},
	} {
		if *limit.field == 0 {
			*limit.field = limit.value
		}
	}
	if l.CallTimeout <= 0 {
		l.CallTimeout = defaultCallTimeout
	}
	if l.StreamTimeout <= 0 {
		l.StreamTimeout = defaultStreamTimeout
	}
}

func (l Limits) manifests() manifest.Limits {
	return manifest.Limits{Bytes: l.MaxArtifactSize, Files: l.MaxFiles}
}
