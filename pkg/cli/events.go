package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

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
			t := a.newTable("TIME", "TYPE", "REASON", "OBJECT", "MESSAGE")
			for event, err := range hub.Events(cmd.Context(), req, a.followOptions()) {
				if err != nil {
					return errors.Join(a.writeSome(t), err)
				}
				seen = true
				switch {
				case output != formatTable:
					err = a.printMessage(output, event)
				case req.GetFollow():
					a.print("%s", a.eventText(event))
				default:
					t.Add(table.Text(a.eventTime(event)), table.Cell{Text: event.GetType(), Color: eventColor(event)}, table.Text(event.GetReason()),
						table.Text(eventObject(event)), table.Text(eventMessage(event)))
				}
				if err != nil {
					return err
				}
			}
			if !seen {
				a.say("there are no events")
			}
			return a.writeSome(t)
		},
	}
	cmd.Flags().BoolVarP(&req.Follow, "watch", "w", false, "go on with every new event")
	cmd.Flags().Uint32Var(&req.Tail, "tail", 100, "show the last N only; 0 shows all that are kept")
	cmd.Flags().StringVar(&req.Cluster, "cluster", "", "only events about this cluster")
	cmd.Flags().StringVar(&req.Bundle, "bundle", "", "only events about this bundle")
	cmd.Flags().StringVar(&req.Filter, "filter", "", "only those that match, by type, reason, cluster, bundle, revision, actor and message, as in type=Warning,reason=Bundle*")
	formatFlag(cmd, &output, formatTable, formatJSON)
	complete(cmd, "cluster", a.completeNames(resource.Cluster))
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	return cmd
}

// The widths of a followed event's columns, in characters: events come one at a time. Most names of clusters and bundles together fit.
const (
	followedReason = 22
	followedObject = 40
)

// eventText is a followed event in one line.
func (a *app) eventText(e *yardarmv1.Event) string {
	return fmt.Sprintf("%s   %s   %-*s   %-*s   %s", a.eventTime(e), table.Paint(fmt.Sprintf("%-7s", table.Clean(e.GetType())), eventColor(e), a.colors()),
		followedReason, table.Clean(e.GetReason()), followedObject, table.Clean(cmp.Or(eventObject(e), "-")), table.Clean(eventMessage(e)))
}

func (a *app) eventTime(e *yardarmv1.Event) string { return a.clock(e.GetTime()) }

// clock is a time of the user's, in columns of equal width.
func (a *app) clock(t *timestamppb.Timestamp) string {
	return t.AsTime().In(a.io.Now().Location()).Format(time.DateTime)
}

func eventColor(e *yardarmv1.Event) table.Color {
	if e.GetType() == yardarmv1.EventWarning {
		return table.Yellow
	}
	return table.Plain
}

// eventObject is what an event is about, as in "cluster/eu-1 bundle/web".
func eventObject(e *yardarmv1.Event) string {
	var about []string
	if e.GetCluster() != "" {
		about = append(about, resource.Cluster.Name+"/"+e.GetCluster())
	}
	if e.GetBundle() != "" {
		about = append(about, resource.Bundle.Name+"/"+e.GetBundle())
	}
	return strings.Join(about, " ")
}

// eventMessage is what has happened, and who did it.
func eventMessage(e *yardarmv1.Event) string {
	if e.GetActor() != "" {
		return e.GetMessage() + " (by " + e.GetActor() + ")"
	}
	return e.GetMessage()
}

// writeSome writes a table, unless it is empty.
func (a *app) writeSome(t *table.Table) error {
	if t.Len() == 0 {
		return nil
	}
	return a.write(t)
}
