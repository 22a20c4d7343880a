package main

import (
	"errors"
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
		Short: "Make a new credential for the local administrator",
		Long: `Makes a new credential for the local administrator of a stopped hub, and writes it to DIR/admin.yaml. The one of before
lets nobody in any more.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !reset {
				return errors.New("say --reset to replace the credential")
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
	f.StringVar(&config.HubKeyFile, "hub-key-file", "", "the hub key (default DIR/hub.key)")
	return c
}
