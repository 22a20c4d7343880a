// Package hub puts the hub together: store, CA, API, gateway and dispatch, each made once from one Config, run together and
// stopped in the reverse order. It holds no logic of its own.
package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/yardarm-dev/yardarm/hub/admission"
	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/dashboard"
	"github.com/yardarm-dev/yardarm/hub/dispatch"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/notify"
	"github.com/yardarm-dev/yardarm/hub/oidc"
	"github.com/yardarm-dev/yardarm/hub/retain"
	"github.com/yardarm-dev/yardarm/hub/rollout/drive"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/source"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/hub/tracing"
	"github.com/yardarm-dev/yardarm/pkg/run"
	"github.com/yardarm-dev/yardarm/pkg/version"
)

const (
	// KeyFile and AdminFile are the hub key's and the local administrator's file in the data directory, by default.
	KeyFile   = "hub.key"
	AdminFile = "admin.yaml"

	// strangerTime is how long a connection without a certificate may stay: it enrols, and is done.
	strangerTime = 30 * time.Second
	// drainTime is how long a stopping hub waits for spokes to say goodbye, and calls to end.
	drainTime = 5 * time.Second
	// drainWindow spreads their return, and more of them over more.
	drainWindow = 5 * time.Second
)

// Config of a hub.
type Config struct {
	// DataDir holds the database, and by default the hub key and the local administrator's file.
	DataDir string
	// Listen is where people, pipelines and pages call: gRPC and REST on one port, with TLS. Default ":7443".
	Listen string
	// SpokeListen is where spokes dial. Default ":7444".
	SpokeListen string
	// MetricsListen serves metrics and health without TLS. Default: nowhere.
	MetricsListen string
	// Addresses are the names and IPs that the hub is reached by; they are in its certificate. The first is what the local
	// administrator's file names. Default: localhost and 127.0.0.1.
	Addresses []string
	// APIAddress (host:port) is where people dial, and what the local administrator's file names. Default: the first of Addresses
	// with the port of Listen.
	APIAddress string
	// SpokeAddresses (host:port) are told to spokes. Default: Addresses with the port of SpokeListen.
	SpokeAddresses []string
	// TLSCert and TLSKey are files of a certificate for the API that somebody else issued, and TLSCA what the local administrator's
	// file is to know it by, if not by the system's roots. Default: one of the hub's own CA. Spokes always meet that one.
	TLSCert, TLSKey, TLSCA string
	// OIDCConfig is a file of identity providers whose users may call the API; see package oidc. Default: none.
	OIDCConfig string
	// ClientCA is a file with the CAs, in PEM, of client certificates whose users may call the API. Default: none, and none is asked for.
	ClientCA string
	// ReadAgain is how often the files of the API's certificate, of OIDCConfig and of ClientCA are read again. Default 10 s.
	ReadAgain time.Duration
	// HubKeyFile, and HubKey that wins over it: what the hub's secrets are sealed under. Default: DataDir/hub.key.
	HubKeyFile string
	HubKey     string
	// Zero fields of these mean the defaults of hub/dispatch, hub/ca, hub/api and hub/retain.
	HeartbeatInterval time.Duration
	StaleAfter        time.Duration
	ReconnectGrace    time.Duration
	RestartGrace      time.Duration
	CertificateLife   time.Duration
	MaxArtifactSize   int
	CallTimeout       time.Duration
	CallRate          int
	FailureRate       int
	// These are quotas; negative for any number. Zero means the defaults of hub/api.
	MaxClusters, MaxClusterGroups, MaxBundles, MaxTokens, MaxRoles, MaxRoleBindings int
	// SourceHosts are the servers that sources may be on, by name; "*.example.com" is any below it. Default: any.
	SourceHosts []string
	// SourceLocal lets sources be on the hub's own machine or link. Default: they may not.
	SourceLocal bool
	// SourceBases are the URLs below which kustomizations may refer to bases in other repositories. Default: none.
	SourceBases []string
	// SourceMaxSize is the largest repository that a source may be, in bytes. Default 256 MiB.
	SourceMaxSize int64
	// SourceRenders is how many bundles are rendered at once. Default: as package source says.
	SourceRenders int
	// KeepRevisions is how many of the newest revisions of each bundle are kept, beside those that are in use. Default 20.
	KeepRevisions int
	// KeepHistory is how long the histories of clusters and rollouts are kept. Default 30 days.
	KeepHistory time.Duration
	// KeepAudit is how many entries of the audit log are kept. Default 100,000.
	KeepAudit uint64
	// KeepAuditFor is how long they are kept at most. Default: for any time.
	KeepAuditFor time.Duration
	// Traces are where spans of what the hub does go, of which Version, Logger and Registerer are the hub's. Default: nowhere.
	Traces tracing.Config
	// NotifyLocal lets notifications go to the hub's own machine, and to addresses of its link alone.
	NotifyLocal bool
	// Opened, unless nil, is called once when the database is in memory, with how many clusters are in it.
	Opened func(clusters int)

	Logger *slog.Logger
}

func (c *Config) setDefaults() error {
	if c.DataDir == "" {
		return errors.New("a data directory is needed")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Listen == "" {
		c.Listen = ":7443"
	}
	if c.SpokeListen == "" {
		c.SpokeListen = ":7444"
	}
	if len(c.Addresses) == 0 {
		c.Addresses = []string{"localhost", "127.0.0.1"}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") || c.TLSCA != "" && c.TLSCert == "" {
		return errors.New("a certificate for the API is given as two files, with its key in one of its own")
	}
	if _, _, err := net.SplitHostPort(c.APIAddress); c.APIAddress != "" && err != nil {
		return fmt.Errorf("the API's address %q is not HOST:PORT", c.APIAddress)
	}
	if c.HubKeyFile == "" {
		c.HubKeyFile = filepath.Join(c.DataDir, KeyFile)
	}
	return nil
}

// Hub is one hub on one data directory.
type Hub struct {
	config  Config
	metrics *prometheus.Registry
	// alive answers gRPC's question for health on both ports.
	alive *health.Server
}

// New checks the configuration. Nothing is opened before Run.
func New(c Config) (*Hub, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("configure hub: %w", err)
	}
	h := &Hub{config: c, metrics: prometheus.NewRegistry(), alive: aliveness()}
	h.metrics.MustRegister(diskMetrics(c.DataDir)...)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "yardarm_build_info", Help: "1, labelled with the build.", ConstLabels: prometheus.Labels{"version": version.String()},
	})
	build.Set(1)
	h.metrics.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return h, nil
}

// Run opens everything and serves until ctx ends or something fails for good.
func (h *Hub) Run(ctx context.Context) error { return h.withStore(ctx, h.serve) }

// ResetAdmin makes a new credential for the local administrator of a hub that is not running.
func (h *Hub) ResetAdmin(ctx context.Context) error {
	return h.withStore(ctx, func(ctx context.Context, db *store.Store, sealer *seal.Sealer) error {
		authority, err := ca.New(ca.Config{Store: db, Sealer: sealer, Logger: h.config.Logger})
		if err != nil {
			return err
		}
		a, err := authz.New(authz.Config{Store: db})
		if err != nil {
			return err
		}
		_, port, err := net.SplitHostPort(h.config.Listen)
		if err != nil {
			return fmt.Errorf("listen address: %w", err)
		}
		admin, err := h.adminFile(authority, port)
		if err != nil {
			return err
		}
		return a.ResetLocalAdmin(ctx, admin)
	})
}

// withStore calls fn with the store and what seals its secrets; the store outlives all that uses it. When the store fails,
// fn's context ends.
func (h *Hub) withStore(ctx context.Context, fn func(context.Context, *store.Store, *seal.Sealer) error) error {
	sealer, err := h.sealer()
	if err != nil {
		return err
	}
	auditKey, err := sealer.Derive(store.AuditPurpose)
	if err != nil {
		return err
	}
	db, err := store.Open(store.Config{Dir: h.config.DataDir, Logger: h.config.Logger, Registerer: h.metrics,
		Audit: &store.Audit{Key: auditKey, Keep: h.config.KeepAudit}})
	if errors.Is(err, store.ErrAuditSeal) {
		return fmt.Errorf("%w; either the hub key of %s does not fit (put the key there that was backed up for this database), or the log was altered", err, sealer.Source())
	}
	if err != nil {
		return err
	}
	if h.config.Opened != nil {
		clusters := 0
		for range db.Read().Clusters() {
			clusters++
		}
		h.config.Opened(clusters)
	}
	storeCtx, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	storeDone := make(chan error, 1)
	ctx, fail := context.WithCancelCause(ctx)
	go func() {
		err := db.Run(storeCtx)
		if err != nil {
			fail(err)
		}
		storeDone <- err
	}()
	err = fn(ctx, db, sealer)
	fail(nil)
	stopStore()
	failure, closeErr := <-storeDone, db.Close()
	if failure != nil {
		return failure // all other errors come of it
	}
	return errors.Join(err, closeErr)
}

// sealer reads the hub key, or makes it before the first start.
func (h *Hub) sealer() (*seal.Sealer, error) {
	exists, err := store.Exists(h.config.DataDir)
	if err != nil {
		return nil, err
	}
	return seal.New(seal.Config{File: h.config.HubKeyFile, Key: h.config.HubKey, Create: !exists})
}

// listen listens where a flag says.
func listen(flag, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another program, maybe another hub; --%s takes another address", address, flag)
	}
	return listener, err
}

// serve runs everything above the store.
func (h *Hub) serve(ctx context.Context, db *store.Store, sealer *seal.Sealer) error {
	c := h.config
	listener, err := listen("listen", c.Listen)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	defer listener.Close()
	spokeListener, err := listen("spoke-listen", c.SpokeListen)
	if err != nil {
		return fmt.Errorf("listen for spokes: %w", err)
	}
	defer spokeListener.Close()
	if len(c.SpokeAddresses) == 0 {
		c.SpokeAddresses = withPort(c.Addresses, spokeListener.Addr())
	}

	traces, err := h.traces(h.metrics)
	if err != nil {
		return err
	}
	// They are sent until all else has ended.
	defer traces.Start(ctx)()

	authority, err := ca.New(ca.Config{
		Store: db, Sealer: sealer, SpokeAddresses: c.SpokeAddresses, ClusterLife: c.CertificateLife, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	h.metrics.MustRegister(expiry("ca", authority.Expires))
	files, err := h.files()
	if err != nil {
		return err
	}
	credentials, err := h.admin(ctx, db, authority, files.users, listener.Addr())
	if err != nil {
		return err
	}
	spokes, err := dispatch.New(dispatch.Config{
		Store: db, CA: authority, Addresses: c.SpokeAddresses, MaxArtifactSize: uint64(c.MaxArtifactSize),
		HeartbeatInterval: c.HeartbeatInterval, StaleAfter: c.StaleAfter, ReconnectGrace: c.ReconnectGrace,
		RestartGrace: c.RestartGrace, Logger: c.Logger, Registerer: h.metrics,
	})
	if err != nil {
		return err
	}
	notifier, err := notify.New(notify.Config{Store: db, Sealer: sealer, Logger: c.Logger, Local: c.NotifyLocal})
	if err != nil {
		return err
	}
	fleet, err := api.New(api.Config{
		Store: db, Enroller: authority, Authority: authority, Authenticator: credentials, Tokens: credentials, Sealer: sealer, Deliveries: spokes, Trials: spokes, Notifier: notifier, Version: version.String(),
		SpokeAddresses: c.SpokeAddresses, Limits: api.Limits{MaxArtifactSize: c.MaxArtifactSize, CallRate: c.CallRate, FailureRate: c.FailureRate, CallTimeout: c.CallTimeout,
			Clusters: c.MaxClusters, ClusterGroups: c.MaxClusterGroups, Bundles: c.MaxBundles, Tokens: c.MaxTokens,
			Roles: c.MaxRoles, RoleBindings: c.MaxRoleBindings}, Tracer: traces.Tracer(), Logger: c.Logger, Registerer: h.metrics,
	})
	if err != nil {
		return err
	}
	rollouts, err := drive.New(drive.Config{Store: db, Tracer: traces.Tracer(), Logger: c.Logger})
	if err != nil {
		return err
	}
	retainer, err := retain.New(retain.Config{Store: db, Logger: c.Logger, Revisions: c.KeepRevisions, History: c.KeepHistory, Audit: c.KeepAuditFor, CertificateLife: c.CertificateLife})
	if err != nil {
		return err
	}
	sources, err := source.New(source.Config{
		Store: db, Publisher: fleet, Sealer: sealer, Dir: filepath.Join(c.DataDir, "sources"), Dialer: reach.Dialer{Hosts: c.SourceHosts, Local: c.SourceLocal},
		Bases: c.SourceBases, MaxSize: c.SourceMaxSize, Renders: c.SourceRenders, Tracer: traces.Tracer(), Logger: c.Logger, Registerer: h.metrics,
	})
	if err != nil {
		return err
	}
	checks := append(h.checks(db, authority), files.checks()...)
	gate, err := h.gateway(fleet, authority, sealer, files, sources, listener, checks, traces.Server())
	if err != nil {
		return err
	}
	spokeServer, door, err := h.spokePort(authority, spokes, spokeListener)
	if err != nil {
		return err
	}
	defer door.Close()

	// Dispatch goes on until its last session has said goodbye, which is after ctx has ended.
	dispatchCtx, stopDispatch := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDispatch()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return spokes.Run(dispatchCtx) })
	group.Go(func() error { return spokeServer.Serve(door) })
	group.Go(func() error { return gate.Run(ctx) })
	group.Go(func() error { return files.users.Run(ctx) })
	for _, file := range files.followed {
		h.metrics.MustRegister(broken(file))
		group.Go(func() error { return file.Run(ctx) })
	}
	group.Go(func() error { return fleet.Run(ctx) })
	group.Go(func() error { return authority.Run(ctx) })
	group.Go(func() error { return retainer.Run(ctx) })
	group.Go(func() error { return rollouts.Run(ctx) })
	group.Go(func() error { return notifier.Run(ctx) })
	group.Go(func() error { return sources.Run(ctx) })
	if c.MetricsListen != "" {
		handler := promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{})
		group.Go(func() error {
			return run.Health(ctx, c.MetricsListen, handler, checks)
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		h.alive.Shutdown()
		spokes.Drain(drain, drainWindow)
		spokeServer.Stop()
		stopDispatch()
		return nil
	})
	c.Logger.Info("serving", "api", listener.Addr().String(), "spokes", spokeListener.Addr().String(), "data", c.DataDir,
		"version", version.String(), "fleet", authority.Fleet())
	err = group.Wait()
	// What ended ctx, if it was a failure, is told by who failed.
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// traces makes what sends them; registerer is nil where that is only tried.
func (h *Hub) traces(registerer prometheus.Registerer) (*tracing.Tracing, error) {
	c := h.config.Traces
	c.Version, c.Logger, c.Registerer = version.String(), h.config.Logger, registerer
	return tracing.New(c)
}

// admin makes the local administrator's credential at the first start.
func (h *Hub) admin(ctx context.Context, db *store.Store, authority *ca.CA, users *oidc.Verifier, listen net.Addr) (*authz.Authz, error) {
	a, err := authz.New(authz.Config{Store: db, Users: users})
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(listen.String())
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	file, err := h.adminFile(authority, port)
	if err != nil {
		return nil, err
	}
	outcome, err := a.EnsureLocalAdmin(ctx, file)
	if err != nil {
		return nil, err
	}
	switch outcome {
	case authz.AdminCreated:
		h.config.Logger.Info("made the local administrator's credential", "file", file.Path)
	case authz.AdminOutdated:
		h.config.Logger.Warn("the local administrator's file names another address or CA than this hub's; "+
			"yardarm-hub admin-credential --reset writes it anew", "file", file.Path)
	case authz.AdminMissing:
		h.config.Logger.Warn("the local administrator's file is gone; yardarm-hub admin-credential --reset makes a new one", "file", file.Path)
	}
	return a, nil
}

// adminFile is what the local administrator's file has to say.
func (h *Hub) adminFile(authority *ca.CA, port string) (authz.Admin, error) {
	c := h.config
	admin := authz.Admin{
		Path:   filepath.Join(c.DataDir, AdminFile),
		Server: "https://" + cmp.Or(c.APIAddress, net.JoinHostPort(c.Addresses[0], port)),
		CA:     authority.TrustPEM(),
	}
	if c.TLSCert == "" {
		return admin, nil
	}
	admin.CA = ""
	if c.TLSCA != "" {
		roots, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return admin, fmt.Errorf("read what the API's certificate is known by: %w", err)
		}
		admin.CA = string(roots)
	}
	return admin, nil
}

func (h *Hub) gateway(fleet *api.Server, authority *ca.CA, sealer *seal.Sealer, files *files, sources *source.Controller, listener net.Listener, checks run.Checks, more []grpc.ServerOption) (*gateway.Gateway, error) {
	config, err := authority.ServerTLS(hostsOf(h.config.Addresses, h.config.APIAddress))
	if err != nil {
		return nil, err
	}
	files.serve(config)
	if files.certificate != nil {
		h.metrics.MustRegister(expiry("api", files.expires))
	}
	server := grpc.NewServer(append(fleet.Options(), more...)...)
	fleet.Register(server)
	healthv1.RegisterHealthServer(server, h.alive)
	return gateway.New(gateway.Config{
		GRPC: server, Listener: listener, TLS: config, ClientCAs: files.clientCAs, Providers: files.users, Logger: h.config.Logger, Drain: drainTime,
		Who: fleet.Who, Webhook: sources.Hear, Stranger: fleet.Stranger, Ready: checks, Stopping: fleet.Shutdown, MaxArtifactSize: int64(h.config.MaxArtifactSize),
		Sealer: sealer, Pages: dashboard.Handler(), Registerer: h.metrics,
	})
}

// spokePort makes what serves spokes, and what lets them in.
func (h *Hub) spokePort(authority *ca.CA, spokes *dispatch.Server, listener net.Listener) (*grpc.Server, net.Listener, error) {
	tls, err := authority.SpokeTLS(hostsOf(h.config.Addresses, h.config.SpokeAddresses...))
	if err != nil {
		return nil, nil, err
	}
	door, err := admission.Listen(admission.Config{
		Port: listener, TLS: tls, Name: "spokes", Logger: h.config.Logger, Registerer: h.metrics, Who: ca.ClusterUID, Stranger: strangerTime,
	})
	if err != nil {
		return nil, nil, err
	}
	server := grpc.NewServer(append(spokes.Options(), grpc.Creds(admission.Credentials(tls)))...)
	spokes.Register(server)
	healthv1.RegisterHealthServer(server, h.alive)
	return server, door, nil
}

// withPort joins hosts that name no port with that of an address.
func withPort(hosts []string, addr net.Addr) []string {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		panic("hub: " + err.Error()) // a listener's address has a port
	}
	out := make([]string, len(hosts))
	for i, host := range hosts {
		out[i] = net.JoinHostPort(host, port)
	}
	return out
}

// hostsOf are the names in a certificate: those by which the hub is reached, and the hosts of other addresses (host:port).
func hostsOf(hosts []string, addresses ...string) []string {
	hosts = slices.Clone(hosts)
	for _, a := range addresses {
		if host, _, err := net.SplitHostPort(a); err == nil && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
