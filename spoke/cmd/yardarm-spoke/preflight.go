package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/preflight"
)

func preflightCommand() *cobra.Command {
	var config preflight.Config
	var cluster kube.Config
	var tokenFile string
	c := &cobra.Command{
		Use:   "preflight",
		Short: "Look for what would keep a spoke from working, and say what to change",
		Long: `Looks at the way to the hub (names, proxy, connection, who answers) and at the cluster (API server, clock, what the spoke may do),
and says of what is not right what to change. It changes nothing and uses up no token. With an enrolment token, from ` + tokenEnv + ` or
--token-file, it can tell the hub from something that intercepts TLS.

Exit status: 0 a spoke can work, 1 it cannot.`,
		Example: `  ` + tokenEnv + `=ye1… yardarm-spoke preflight --hub hub.example.com:7444 --kubeconfig ./edge-1.kubeconfig

  # of a spoke that the chart has installed, whose pod does not become ready
  kubectl -n yardarm-system exec deployment/yardarm-spoke -- /yardarm-spoke preflight --hub hub.example.com:7444`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if config.Token, err = readToken(tokenFile); err != nil {
				return err
			}
			return runPreflight(c.Context(), c, config, cluster)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&config.HubAddresses, "hub", nil, "`host:port` where spokes dial the hub; repeatable")
	f.StringVar(&tokenFile, "token-file", "", "a `file` with the enrolment token")
	f.StringVar(&cluster.Kubeconfig, "kubeconfig", "", "the cluster's kubeconfig `file`; the cluster that the program runs in when empty")
	f.StringVar(&cluster.Context, "context", "", "a context of the kubeconfig (default: its current one)")
	f.StringVar(&cluster.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "the namespace for what is the spoke's own (default yardarm-system)")
	return c
}

// runPreflight looks, and fails if anything is amiss. Without a cluster it looks at the hub alone.
func runPreflight(ctx context.Context, c *cobra.Command, config preflight.Config, cluster kube.Config) error {
	client, err := kube.New(cluster)
	switch {
	case errors.Is(err, kube.ErrNoCluster):
		fmt.Fprintln(c.ErrOrStderr(), "no kubeconfig is given, and this is no pod: the cluster is not looked at")
	case err != nil:
		return err
	default:
		config.Cluster = client
	}
	if preflight.Write(c.OutOrStdout(), preflight.Run(ctx, config)) > 0 {
		return status{code: statusUnfit}
	}
	return nil
}

// statusUnfit is the exit status of a preflight that found something grave.
const statusUnfit = 1

// readToken answers the enrolment token, from the environment or a file; empty if there is none.
func readToken(file string) (string, error) {
	token := os.Getenv(tokenEnv)
	if file == "" {
		return token, nil
	}
	if token != "" {
		return "", errors.New("give either " + tokenEnv + " or --token-file")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the enrolment token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
