// Command yardarm-spoke is the agent of one cluster.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/yardarm-dev/yardarm/pkg/run"
	"github.com/yardarm-dev/yardarm/pkg/version"
	"github.com/yardarm-dev/yardarm/spoke"
)

// tokenEnv holds the enrolment token: other users of a machine see command lines, and not environments.
const tokenEnv = "YARDARM_TOKEN"

func main() {
	ctx, cancel := run.Context()
	defer cancel()
	if err := root().ExecuteContext(ctx); err != nil {
		os.Exit(fail(os.Stderr, err))
	}
}

// fail says what is wrong and answers the exit status.
func fail(stderr io.Writer, err error) int {
	var s status
	if !errors.As(err, &s) {
		s = status{err, 1}
	}
	if s.error != nil {
		fmt.Fprintln(stderr, "yardarm-spoke:", s.error)
	}
	return s.code
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "yardarm-spoke",
		Short: "The agent of one cluster in a fleet",
		Long: `The spoke dials the hub, pulls what is assigned to its cluster, makes it so and keeps it so, and reports what it observes.
Nothing dials the spoke, and the hub never gets a credential of the cluster.

  yardarm enroll NAME      prints, at the hub, the command that enrols a cluster
  yardarm-spoke preflight  says what would keep a spoke from working`,
		Version:       version.Long(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; '%s --help' lists them", err, c.CommandPath())
	})
	c.AddCommand(runCommand(), leaveCommand(), preflightCommand(), policyCommand(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), version.Long()) },
	})
	return c
}

// placeFlags say which cluster, and where its spoke keeps what.
func placeFlags(f *pflag.FlagSet, config *spoke.Config) {
	f.StringSliceVar(&config.HubAddresses, "hub", nil, "`host:port` where spokes dial the hub; repeatable")
	f.StringVar(&config.Kubeconfig, "kubeconfig", "", "the cluster's kubeconfig `file`; the cluster that the program runs in when empty")
	f.StringVar(&config.Context, "context", "", "a context of the kubeconfig (default: its current one)")
	f.StringVar(&config.Namespace, "namespace", "yardarm-system", "the namespace for what is the spoke's own")
	f.StringVar(&config.StateDir, "state-dir", "", "a `directory` for identity and state (default: Secrets in the cluster when running in it, otherwise a folder of the user's)")
}

func runCommand() *cobra.Command {
	var config spoke.Config
	var tokenFile, logFormat, logLevel string
	c := &cobra.Command{
		Use:   "run",
		Short: "Keep a cluster as its hub assigns",
		Long: `Enrols the cluster if it has no identity yet, and then keeps it as its hub assigns, until it is stopped. Without the hub it
goes on with what it has persisted, also across restarts.

What it may do there is bounded by RBAC and by a policy of its own, which the hub does not know: see yardarm-spoke policy.

The enrolment token is read from ` + tokenEnv + ` or --token-file; it is needed once. HTTPS_PROXY and NO_PROXY are honoured.`,
		Example: `  # against the cluster of a kubeconfig
  ` + tokenEnv + `=ye1… yardarm-spoke run --hub hub.example.com:7444 --kubeconfig ./edge-1.kubeconfig

  # in a pod: the cluster that it runs in
  yardarm-spoke run --hub hub.example.com:7444 --token-file /var/run/yardarm/token

  # look at what a hub would change, and change nothing
  yardarm-spoke run --hub hub.example.com:7444 --kubeconfig ./edge-1.kubeconfig --read-only`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			logger, err := run.Logger(logFormat, logLevel)
			if err != nil {
				return err
			}
			config.Logger = logger
			if config.Token, err = readToken(tokenFile); err != nil {
				return err
			}
			s, err := spoke.New(config)
			if err != nil {
				return err
			}
			return s.Run(c.Context())
		},
	}
	f := c.Flags()
	placeFlags(f, &config)
	f.StringVar(&tokenFile, "token-file", "", "a `file` with the enrolment token")
	policyFlags(c, &config.PolicyFile, &config.Policy)
	f.StringVar(&config.MetricsListen, "metrics-listen", "", "where to serve /metrics, /livez and /readyz without TLS; nowhere when empty")
	f.DurationVar(&config.Resync, "resync", 5*time.Minute, "how often bundles are compared whole even if nothing has changed")
	f.StringVar(&logFormat, "log-format", "text", "text or json")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	return c
}
