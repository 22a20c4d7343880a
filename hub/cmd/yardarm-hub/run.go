package main

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/grpclog"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/tracing"
	"github.com/yardarm-dev/yardarm/pkg/run"
)

func runCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:   "run",
		Short: "Serve a fleet",
		Long: `Serves the fleet whose database is in the data directory, and begins a new one where there is none.

At the first start the hub makes its CA, its key (DIR/hub.key: keep a copy apart from the backups, which are of no use
without it) and the local administrator's credential (DIR/admin.yaml). The key may be given as ` + seal.EnvKey + ` instead.

Each flag can be given in the environment, as in YARDARM_HUB_DATA_DIR for --data-dir, or in the file of --config; 'yardarm-hub config'
checks and shows what comes of it.`,
		Example: `  # a hub for this machine
  yardarm-hub run --data-dir ./hub-data

  # a hub for an organization
  yardarm-hub run --data-dir /var/lib/yardarm --address hub.example.com --listen :443 --spoke-listen :7444`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := s.config()
			if err != nil {
				return err
			}
			// The libraries' own log quotes requests that it cannot read, and there may be a secret in one.
			grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
			pace := newPace(os.Getenv("GOGC"))
			config.Opened = pace.open
			go giveBack(c.Context(), pace)
			h, err := hub.New(config)
			if err != nil {
				return err
			}
			return h.Run(c.Context())
		},
	}
	s.flags(c.Flags())
	return c
}

// settings are what run can be told.
type settings struct {
	hub                 hub.Config
	logFormat, logLevel string
}

// config is what a hub is made of.
func (s *settings) config() (hub.Config, error) {
	config := s.hub
	logger, err := run.Logger(s.logFormat, s.logLevel)
	if err != nil {
		return config, err
	}
	config.Logger = logger
	if config.Traces.Ratio == 0 {
		return config, errors.New("--otlp-ratio 0 sends no trace; leave --otlp-endpoint out instead")
	}
	config.HubKey = os.Getenv(seal.EnvKey)
	return config, nil
}

func (s *settings) flags(f *pflag.FlagSet) {
	config := &s.hub
	dataDir(f, &config.DataDir)
	f.StringVar(&config.Listen, "listen", ":7443", "where people, pipelines and pages call (gRPC and REST, TLS)")
	f.StringVar(&config.SpokeListen, "spoke-listen", ":7444", "where spokes dial (gRPC, TLS)")
	f.StringVar(&config.MetricsListen, "metrics-listen", "", "where to serve /metrics, /livez and /readyz without TLS, as in 127.0.0.1:7445; nowhere when empty")
	f.StringSliceVar(&config.Addresses, "address", []string{"localhost", "127.0.0.1"}, "a `name` or IP that the hub is reached by; repeatable; goes into its certificate")
	f.StringVar(&config.APIAddress, "api-address", "", "`host:port` that people dial, where it is not the first --address with the port of --listen: behind a load balancer")
	f.StringVar(&config.TLSCert, "tls-cert", "", "a `file` with a certificate for the API that somebody else issued, and its chain; read again when it changes (default: one of the hub's CA; spokes always meet that one)")
	f.StringVar(&config.TLSKey, "tls-key", "", "the `file` with its key")
	f.StringVar(&config.TLSCA, "tls-ca", "", "a `file` with the CA that issued it, for the local administrator's file, if the system does not know it")
	f.StringVar(&config.OIDCConfig, "oidc-config", "", "a `file` of identity providers whose users and CI jobs may call the API with ID tokens (docs/access.md); read again when it changes, with the files that it names")
	f.StringVar(&config.ClientCA, "client-ca", "", "a `file` with the CA of client certificates that may call the API: the common name is the user, the organizations are the groups; read again when it changes")
	f.StringSliceVar(&config.SpokeAddresses, "spoke-address", nil, "`host:port` that spokes are told to dial; repeatable (default: each --address with the port of --spoke-listen)")
	f.StringVar(&config.HubKeyFile, "hub-key-file", "", "the key that the hub's secrets are sealed under (default DIR/hub.key)")
	f.DurationVar(&config.HeartbeatInterval, "heartbeat", 0, "how often silent spokes say that they are alive (default 30s)")
	f.DurationVar(&config.StaleAfter, "stale-after", 0, "how long a spoke with an open stream may be silent before it is stale (default 2.5 heartbeats)")
	f.DurationVar(&config.ReconnectGrace, "reconnect-grace", 0, "how long a spoke whose stream has ended still counts as connected (default 5s)")
	f.DurationVar(&config.RestartGrace, "restart-grace", 0, "how long after a start spokes may take to come back before they are stale (default 1m)")
	f.DurationVar(&config.CertificateLife, "certificate-life", 0, "how long clusters' certificates live (default 24h)")
	f.IntVar(&config.MaxArtifactSize, "max-artifact-size", 64<<20, "the largest artifact, in bytes")
	f.IntVar(&config.MaxClusters, "max-clusters", 50_000, "how many clusters there may be; negative for any number")
	f.IntVar(&config.MaxClusterGroups, "max-cluster-groups", 2_000, "how many cluster groups there may be; negative for any number")
	f.IntVar(&config.MaxBundles, "max-bundles", 5_000, "how many bundles there may be; negative for any number")
	f.IntVar(&config.MaxTokens, "max-tokens", 10_000, "how many tokens there may be, the local administrator's among them; negative for any number")
	f.IntVar(&config.MaxRoles, "max-roles", 1_000, "how many roles there may be, beside those that every hub has; negative for any number")
	f.IntVar(&config.MaxRoleBindings, "max-role-bindings", 20_000, "how many role bindings there may be, those of tokens among them; negative for any number")
	f.IntVar(&config.CallRate, "call-rate", 200, "how many calls a second each identity may make, after ten seconds' worth at once; negative for any number")
	f.IntVar(&config.FailureRate, "failure-rate", 5, "how many calls a second with no known credential each address may make, after ten seconds' worth at once; negative for any number")
	f.DurationVar(&config.CallTimeout, "call-timeout", 30*time.Second, "how long a call may take that is no stream")
	f.StringSliceVar(&config.SourceHosts, "source-host", nil, "the `name` of a server that sources may be on, *.example.com for any below it; repeatable (default: any)")
	f.BoolVar(&config.SourceLocal, "source-local", false, "let sources be on this machine or its link, where services take whoever reaches them for a friend")
	f.StringSliceVar(&config.SourceBases, "source-base", nil, "a `URL` below which kustomizations of sources may refer to bases in other repositories, as https://git.example.com/team/; repeatable (default: nowhere)")
	f.Int64Var(&config.SourceMaxSize, "source-max-size", 256<<20, "the largest repository that a source may be, in bytes, as its server packs one commit; about twice as much is kept of each in DIR/sources")
	f.IntVar(&config.SourceRenders, "source-renders", 0, "how many bundles are rendered from sources at once, each of which may take 512 MiB and 30 s (default: as many as there are processors, and 1 GiB of GOMEMLIMIT for, where that is set)")
	f.IntVar(&config.KeepRevisions, "keep-revisions", 20, "how many of the newest revisions of each bundle are kept; those that a cluster runs or holds stay beside them")
	f.DurationVar(&config.KeepHistory, "keep-history", 30*24*time.Hour, "how long it is kept what clusters were to run and what was observed of them: each change of a cluster takes some 150 bytes; of each cluster at most 500 flushes are kept")
	f.Uint64Var(&config.KeepAudit, "keep-audit", 100_000, "how many entries of the audit log are kept: one for each change, of some 400 bytes")
	f.DurationVar(&config.KeepAuditFor, "keep-audit-for", 0, "how long entries of the audit log are kept at most, as in 8760h (default: as long as --keep-audit allows)")
	f.BoolVar(&config.NotifyLocal, "notify-local", false, "let notifications go to receivers on the hub's own machine or its link, where services take whoever reaches them for a friend")
	f.StringVar(&config.Traces.Endpoint, "otlp-endpoint", "", "an OpenTelemetry collector that traces are sent to, as in https://collector:4317, or http:// without TLS; nowhere when empty")
	f.StringVar(&config.Traces.Protocol, "otlp-protocol", tracing.GRPC, "how it is spoken with: grpc or http")
	f.StringVar(&config.Traces.CA, "otlp-ca", "", "a `file` with the CA that it is known by, if not by the system's")
	f.Float64Var(&config.Traces.Ratio, "otlp-ratio", 1, "which part of the traces is sent, above 0 and up to 1")
	f.StringSliceVar(&config.Traces.Attributes, "otlp-attribute", nil, "`name=value` of what the traces are of, as in deployment.environment.name=prod; repeatable")
	f.StringVar(&s.logFormat, "log-format", "text", "text or json")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
}

func dataDir(f *pflag.FlagSet, value *string) {
	f.StringVar(value, "data-dir", "yardarm-data", "the `directory` of the database")
}
