package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/hub/seal"
)

func adminCommand() *cobra.Command {
	var config hub.Config
	var reset bool
	c := &cobra.Command{
		Use:   "admin-credential",
		Short: "Print the local administrator's credential, or make a new one",
		Long: `Prints the local administrator's credential, which is a secret: a configuration file for the CLI, as in DIR/admin.yaml. It is
for a hub in a place without a shell.

With --reset it makes a new one for a stopped hub, and writes it to DIR/admin.yaml. The one of before lets nobody in any more.`,
		Example: `  # a hub in Kubernetes
  kubectl -n yardarm exec statefulset/yardarm-hub -- /yardarm-hub admin-credential --data-dir /var/lib/yardarm/hub > admin.yaml
  export YARDARM_CONFIG=$PWD/admin.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !reset {
				credential, err := os.ReadFile(filepath.Join(config.DataDir, hub.AdminFile))
				if err != nil {
					return fmt.Errorf("read the local administrator's credential (--reset makes a new one): %w", err)
				}
				_, err = c.OutOrStdout().Write(credential)
				return err
			}
			config.HubKey = os.Getenv(seal.EnvKey)
			h, err := hub.New(config)
			if err != nil {
				return err
			}
			if err := h.ResetAdmin(c.Context()); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "wrote", filepath.Join(config.DataDir, hub.AdminFile))
			return nil
		},
	}
	f := c.Flags()
	dataDir(f, &config.DataDir)
	f.BoolVar(&reset, "reset", false, "replace the credential")
	f.StringVar(&config.Listen, "listen", ":7443", "where the hub listens, for the address in the file")
	f.StringSliceVar(&config.Addresses, "address", []string{"localhost", "127.0.0.1"}, "the first `name` or IP is the one in the file")
	f.StringVar(&config.APIAddress, "api-address", "", "`host:port` for the file, where it is another")
	f.StringVar(&config.HubKeyFile, "hub-key-file", "", "the hub key (default DIR/hub.key)")
	return c
}
