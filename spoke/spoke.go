// Package spoke puts a spoke together: identity, state, stream and reconciliation, each made once from one Config and run
// together. It holds no logic of its own. The stream and the reconciler meet in the state and in the report book alone, so
// that either goes on without the other.
package spoke

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/yardarm-dev/yardarm/pkg/run"
	"github.com/yardarm-dev/yardarm/pkg/version"
	"github.com/yardarm-dev/yardarm/spoke/enroll"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/kube/keep"
	"github.com/yardarm-dev/yardarm/spoke/policy"
	"github.com/yardarm-dev/yardarm/spoke/reconcile"
	"github.com/yardarm-dev/yardarm/spoke/report"
	"github.com/yardarm-dev/yardarm/spoke/session"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// Config of a spoke.
type Config struct {
	// HubAddresses (host:port) to dial; needed to enrol, and kept for later.
	HubAddresses []string
	// Token enrols; it is needed once.
	Token string
	// Kubeconfig and Context say which cluster; both empty: the one that the program runs in.
	Kubeconfig string
	Context    string
	// Namespace holds what is the spoke's own in the cluster. Default: yardarm-system.
	Namespace string
	// StateDir keeps identity, assignments and artifacts. Empty: Secrets in the cluster when running in it; otherwise a folder
	// of the user's, by the cluster's uid.
	StateDir string
	// PolicyFile says what bundles may do, and is read again when it changes. Empty: Policy does.
	PolicyFile string
	Policy     policy.Flags
	// MetricsListen serves metrics and health without TLS. Default: nowhere.
	MetricsListen string
	// Resync is how often a bundle is compared whole even if nothing tells of a change. Default 5 min.
	Resync time.Duration
	Logger *slog.Logger
}

// Spoke is the agent of one cluster.
type Spoke struct {
	config  Config
	metrics *prometheus.Registry
	link    link
	policy  *policy.Source
	ready   atomic.Bool
}

// New checks the configuration, and reads the policy. Nothing else is opened before Run.
func New(c Config) (*Spoke, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Spoke{config: c, metrics: prometheus.NewRegistry(), link: link{status: session.Status{Since: time.Now()}}}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "yardarm_build_info", Help: "1, labelled with the build.", ConstLabels: prometheus.Labels{"version": version.String()},
	})
	build.Set(1)
	var err error
	if s.policy, err = openPolicy(c, s.metrics); err != nil {
		return nil, err
	}
	s.metrics.MustRegister(s.link.collectors()...)
	s.metrics.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s, nil
}

func openPolicy(c Config, registerer prometheus.Registerer) (*policy.Source, error) {
	if c.Namespace == "" {
		c.Namespace = kube.DefaultNamespace
	}
	flags, err := c.Policy.Policy(c.Namespace)
	if err != nil {
		return nil, err
	}
	return policy.Open(policy.Config{File: c.PolicyFile, Policy: flags, Namespace: c.Namespace, Registerer: registerer, Logger: c.Logger})
}

// Run enrols if need be, and then keeps the cluster as assigned until ctx ends. Without a hub it goes on with what it has
// persisted; without an identity it cannot begin.
func (s *Spoke) Run(ctx context.Context) error {
	c := s.config
	cluster, err := kube.New(kube.Config{Kubeconfig: c.Kubeconfig, Context: c.Context, Namespace: c.Namespace, Registerer: s.metrics, Logger: c.Logger})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if c.MetricsListen != "" {
		metrics := promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{})
		group.Go(func() error { return run.Health(ctx, c.MetricsListen, metrics, run.Told(s.health)) })
	}
	group.Go(func() error { return s.policy.Run(ctx) })
	group.Go(func() error { return s.run(ctx, cluster) })
	return group.Wait()
}

func (s *Spoke) run(ctx context.Context, cluster *kube.Client) error {
	c := s.config
	uid, err := s.clusterUID(ctx, cluster)
	if err != nil {
		return err
	}
	kept, backend, err := s.storage(cluster, uid)
	if err != nil {
		return err
	}
	identity, err := enroll.New(enroll.Config{
		Keep: kept, HubAddresses: c.HubAddresses, Token: c.Token, KubeUID: uid, Version: version.String(), Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	if err := identity.Ensure(ctx); err != nil {
		return err
	}
	name, clusterUID := identity.Cluster()
	logger := c.Logger.With("cluster", name)
	holdings, err := state.Open(ctx, backend, logger)
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	if err := holdings.Own(ctx, clusterUID); err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	book := report.NewBook()
	s.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "yardarm_spoke_report_age_seconds", Help: "How long the oldest news has waited to be told to the hub.",
	}, func() float64 { return book.Age().Seconds() }))
	reconciler, err := reconcile.New(reconcile.Config{
		Client: cluster, State: holdings, Book: book, Policy: s.policy, Facts: cluster.Facts, Resync: c.Resync, Registerer: s.metrics, Logger: logger,
	})
	if err != nil {
		return err
	}
	stream := session.New(session.Config{
		Identity: identity, State: holdings, Book: book, Facts: cluster.Facts, Try: reconciler.Try,
		Version: version.String(), Instance: identity.Instance(), KubeUID: uid, Logger: logger,
		Status: s.link.observe,
	})

	s.ready.Store(true)
	logger.Info("reconciling", "version", version.String(), "kube_uid", uid, "identity", kept.String())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return reconciler.Run(ctx) })
	group.Go(func() error { return identity.Run(ctx) })
	group.Go(func() error {
		err := stream.Run(ctx)
		if !errors.Is(err, session.ErrDeleted) {
			return err
		}
		// What is left to do is to let go, and then to wait for a person: a restart would only repeat this.
		logger.Warn("the hub has deleted this cluster: its objects are released and stay; to manage it again, enrol it and start the spoke with the new token")
		if err := holdings.Release(ctx, "ClusterDeleted"); err != nil {
			return fmt.Errorf("release what was assigned: %w", err)
		}
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}

// Leave has the hub delete this cluster, after the spoke that runs beside has removed what it has applied.
func (s *Spoke) Leave(ctx context.Context) error {
	c := s.config
	cluster, err := kube.New(kube.Config{Kubeconfig: c.Kubeconfig, Context: c.Context, Namespace: c.Namespace, Registerer: s.metrics, Logger: c.Logger})
	if err != nil {
		return err
	}
	uid, err := s.clusterUID(ctx, cluster)
	if err != nil {
		return err
	}
	kept, _, err := s.storage(cluster, uid)
	if err != nil {
		return err
	}
	identity, err := enroll.New(enroll.Config{Keep: kept, HubAddresses: c.HubAddresses, Logger: c.Logger})
	if err != nil {
		return err
	}
	return identity.Leave(ctx)
}

// clusterUID asks the API server until it answers: a spoke may start before it.
func (s *Spoke) clusterUID(ctx context.Context, cluster *kube.Client) (string, error) {
	const retry = 2 * time.Second
	for {
		uid, err := cluster.UID(ctx)
		if err == nil || ctx.Err() != nil {
			return uid, err
		}
		if !kube.Transient(err) {
			return "", err
		}
		s.config.Logger.Warn("waiting for the API server", "error", err)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(retry):
		}
	}
}

// storage is where identity and state are kept.
func (s *Spoke) storage(cluster *kube.Client, uid string) (enroll.Keep, state.Backend, error) {
	dir := s.config.StateDir
	if dir == "" && s.config.Kubeconfig == "" && s.config.Context == "" {
		return keep.NewIdentity(cluster), keep.NewState(cluster), nil
	}
	if dir == "" {
		base := os.Getenv("XDG_STATE_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, nil, fmt.Errorf("choose a state directory, or name one with --state-dir: %w", err)
			}
			base = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(base, "yardarm", "spoke-"+uid)
	}
	identity, err := enroll.OpenDir(filepath.Join(dir, "identity"))
	if err != nil {
		return nil, nil, err
	}
	backend, err := state.NewDir(filepath.Join(dir, "state"))
	return identity, backend, err
}

// health is what /readyz answers. A spoke without a hub is ready: it does its work.
func (s *Spoke) health() (string, error) {
	if !s.ready.Load() {
		return "", errors.New("not enrolled yet, or the API server does not answer")
	}
	text := s.link.String()
	if broken := s.policy.Broken(); broken != nil {
		text += "\n" + broken.String()
	}
	return text, nil
}
