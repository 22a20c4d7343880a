package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

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
			value := map[string]any{"client": map[string]any{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}}
			if output == formatTable {
				a.print("client   %s (%s, %s/%s)", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
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

// version is what the build knows about itself: the module's version, or the commit with a mark if there were changes.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	revision, changed := "", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = setting.Value[:min(len(setting.Value), 12)]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			changed = "+changes"
		}
	}
	if revision == "" {
		return "devel"
	}
	return "devel-" + revision + changed
}
