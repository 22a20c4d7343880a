// Command yardarm-hub is the hub, and what an operator does to its data beside it.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/render"
	"github.com/yardarm-dev/yardarm/pkg/run"
	"github.com/yardarm-dev/yardarm/pkg/version"
)

func main() {
	render.Child()
	ctx, cancel := run.Context()
	defer cancel()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "yardarm-hub:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "yardarm-hub",
		Short: "The hub of a fleet of Kubernetes clusters",
		Long: `The hub stores what groups of clusters are to run, and serves people on one port and spokes on another.
It holds no cluster's credentials and dials no cluster.

Start one with:   yardarm-hub run --data-dir /var/lib/yardarm --address hub.example.com
Then, beside it:  export YARDARM_CONFIG=/var/lib/yardarm/admin.yaml; yardarm enroll my-cluster`,
		Version:           version.Long(),
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return settle(c, os.LookupEnv) },
		SilenceUsage:      true,
		SilenceErrors:     true,
	}
	c.AddCommand(runCommand(), backupCommand(), restoreCommand(), adminCommand(), caCommand(), configCommand(), auditCommand(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), version.Long()) },
	})
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; '%s --help' lists them", err, c.CommandPath())
	})
	c.PersistentFlags().String("config", "", "a `file` (YAML) that gives settings, by the names of run's flags, which the command line and the environment do not give (YARDARM_HUB_CONFIG)")
	return c
}
