package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/run"
	"github.com/yardarm-dev/yardarm/spoke"
)

func leaveCommand() *cobra.Command {
	var config spoke.Config
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "leave",
		Short: "Have the workloads removed and the cluster deleted at the hub, before a spoke is uninstalled",
		Long: `Asks the hub to delete this cluster, and waits until the spoke, which has to run beside this, has removed all that it has applied. It
is what "yardarm delete cluster NAME --remove" is at the hub, for who runs the cluster, and what the chart does as it is uninstalled with
removeWorkloads. The spoke's own policy holds: what that forbids to be removed, or freezes, stays, and then this fails when its time is up.`,
		Example: `  yardarm-spoke leave --kubeconfig ./edge-1.kubeconfig

  # of a spoke that the chart has installed
  kubectl -n yardarm-system exec deployment/yardarm-spoke -- /yardarm-spoke leave --namespace yardarm-system`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			logger, err := run.Logger("text", "info")
			if err != nil {
				return err
			}
			config.Logger = logger
			s, err := spoke.New(config)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(c.Context(), timeout, errors.New("its time is up"))
			defer cancel()
			if err := s.Leave(ctx); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "the workloads are removed, and the hub has deleted the cluster")
			return nil
		},
	}
	placeFlags(c.Flags(), &config)
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait")
	return c
}
