package cli

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/version"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func (a *app) versionCommand() *cobra.Command {
	var onlyClient bool
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of this program and of the hub",
		Long:  "Show the versions of this program and of the hub.",
		Example: `  yardarm version
  yardarm version --client -o json`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			value := map[string]any{"client": map[string]any{"version": version.String(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}}
			if output == formatTable {
				a.print("client   %s (%s, %s/%s)", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			}
			var failure error
			if !onlyClient {
				hub, err := a.connect()
				if err != nil {
					return err
				}
				info, err := hub.GetHub(cmd.Context(), &hubv1.GetHubRequest{})
				failure = err
				if err == nil {
					value["hub"] = map[string]any{"version": info.GetVersion(), "fleet": info.GetFleet(), "address": a.address}
					if output == formatTable {
						a.print("hub      %s (fleet %s at %s)", info.GetVersion(), info.GetFleet(), a.address)
					}
				}
			}
			if output != formatTable {
				if err := a.printValue(output, value); err != nil {
					return err
				}
			}
			return failure
		},
	}
	cmd.Flags().BoolVar(&onlyClient, "client", false, "show the version of this program only")
	formatFlag(cmd, &output, formatTable, formatJSON, formatYAML)
	return cmd
}
