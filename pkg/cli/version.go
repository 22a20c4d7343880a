package cli

import (
	"context"
	"errors"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	"github.com/yardarm-dev/yardarm/pkg/version"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func (a *app) versionCommand() *cobra.Command {
	var onlyClient bool
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of this program and of the hub",
		Long:  "Show the versions of this program and of the hub, if one is configured, and which fleet it has and how far it is.",
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
				info, err := a.hubInfo(cmd.Context())
				switch failure = err; {
				case err == nil && info == nil:
					a.say("no hub is configured; 'yardarm config import FILE' takes the configuration that a hub writes when it first starts")
				case err == nil:
					value["hub"] = map[string]any{"version": info.GetVersion(), "fleet": info.GetFleet(), "cursor": info.GetCursor(), "address": a.address}
					if output == formatTable {
						a.print("hub      %s (fleet %s at %s, cursor %s)", info.GetVersion(), info.GetFleet(), a.address, info.GetCursor())
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

// hubInfo asks the hub about itself. It answers nil where no hub is configured, and none was named either.
func (a *app) hubInfo(ctx context.Context) (*hubv1.Hub, error) {
	hub, err := a.connect()
	var none *noConfigError
	named := a.configPath != "" || a.chosenContext() != "" || a.server != ""
	if !named && (errors.As(err, &none) || errors.Is(err, clientconfig.ErrNoContext)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return hub.GetHub(ctx, &hubv1.GetHubRequest{})
}
