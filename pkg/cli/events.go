package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (a *app) eventsCommand() *cobra.Command {
	req := &hubv1.WatchEventsRequest{}
	var output string
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what has happened",
		Long: `Show what has happened, oldest first: clusters that came and went, revisions that were published and became
ready or failed, and who did what. The hub keeps the newest ten thousand events.`,
		Example: `  yardarm events --tail 20
  yardarm events -w --bundle web`,
		Args: arguments(0, 0, "no arguments; --cluster and --bundle choose"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			req.Cluster = strings.TrimPrefix(req.Cluster, resource.Cluster.Name+"/")
			req.Bundle = strings.TrimPrefix(req.Bundle, resource.Bundle.Name+"/")
			hub, err := a.connect()
			if err != nil {
				return err
			}
			seen := false
			for event, err := range hub.Events(cmd.Context(), req, a.followOptions()) {
				if err != nil {
					return err
				}
				seen = true
				if output == formatTable {
					a.print("%s", a.eventText(event))
				} else if err := a.printMessage(output, event); err != nil {
					return err
				}
			}
			if !seen {
				a.say("there are no events")
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&req.Follow, "watch", "w", false, "go on with every new event")
	cmd.Flags().Uint32Var(&req.Tail, "tail", 100, "show the last N only; 0 shows all that are kept")
	cmd.Flags().StringVar(&req.Cluster, "cluster", "", "only events about this cluster")
	cmd.Flags().StringVar(&req.Bundle, "bundle", "", "only events about this bundle")
	formatFlag(cmd, &output, formatTable, formatJSON)
	complete(cmd, "cluster", a.completeNames(resource.Cluster))
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	return cmd
}

// eventText is an event in one line, whose first columns have fixed widths: events come one at a time.
func (a *app) eventText(e *yardarmv1.Event) string {
	color := table.Plain
	if e.GetType() == yardarmv1.EventWarning {
		color = table.Yellow
	}
	var about []string
	if e.GetCluster() != "" {
		about = append(about, "cluster/"+e.GetCluster())
	}
	if e.GetBundle() != "" {
		about = append(about, "bundle/"+e.GetBundle())
	}
	text := e.GetMessage()
	if e.GetActor() != "" {
		text += " (by " + e.GetActor() + ")"
	}
	return fmt.Sprintf("%s  %s  %-22s  %-24s  %s",
		e.GetTime().AsTime().In(a.io.Now().Location()).Format("2006-01-02 15:04:05"),
		table.Paint(fmt.Sprintf("%-7s", table.Clean(e.GetType())), color, a.colors()),
		table.Clean(e.GetReason()), table.Clean(strings.Join(about, " ")), table.Clean(text))
}
