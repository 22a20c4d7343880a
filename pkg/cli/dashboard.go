package cli

import (
	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/client"
)

func (a *app) dashboardCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dashboard",
		Short: "Print a link that signs a browser in to the hub's pages",
		Long: `Print a link that signs a browser in to the hub's pages, as who you are here.

The link is good once, for two minutes, and is as good as your credential meanwhile. The session that it begins
lasts for 12 hours at most, and no longer than the credential.`,
		Example: `  yardarm dashboard
  xdg-open "$(yardarm dashboard)"`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, _, err := a.clientConfig()
			if err != nil {
				return err
			}
			link, err := client.SignInLink(cmd.Context(), config)
			if err != nil {
				return err
			}
			a.print("%s", link)
			return nil
		},
	}
}
