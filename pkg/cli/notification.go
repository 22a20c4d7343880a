package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (a *app) notificationCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notification",
		Short: "Try notifications, by which the hub tells others what becomes of rollouts",
		Long: `Try notifications, by which the hub tells others what becomes of rollouts. They are made like groups are:

  apiVersion: yardarm.dev/v1
  kind: Notification
  metadata: {name: ops}
  spec:
    url: https://ops.example.com/yardarm   # or secretUrl, which is never shown again
    secret: at-least-sixteen-characters    # requests are signed with it; never shown again
    format: json                           # or slack
    bundles: [web]                         # left out: all; so are clusterGroups
    severity: warning                      # info, warning, error
    topics: [failure, rollback]            # approval, convergence, divergence, failure, rollback, stale; or all`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.notificationTestCommand())
	return cmd
}

func (a *app) notificationTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: "Send the receiver of a notification an event of the topic test, once",
		Long: `Send the receiver of a notification an event of the topic test, once, whatever its filters are, and say
whether it has taken it.`,
		Example:           `  yardarm notification test ops`,
		Args:              arguments(1, 1, "a notification, as in ops"),
		ValidArgsFunction: a.completeNames(resource.Notification),
		RunE: func(cmd *cobra.Command, args []string) error {
			hub, err := a.connect()
			if err != nil {
				return err
			}
			resp, err := hub.TestNotification(cmd.Context(), &hubv1.TestNotificationRequest{Name: args[0]})
			if err != nil {
				return meant(cmd.Context(), hub, resource.Notification, args[0], err)
			}
			a.print("notification/%s was delivered as event %s", args[0], resp.GetId())
			return nil
		},
	}
}

var notificationColumns = []column{
	nameColumn,
	col("RECEIVER", func(_ *app, n *yardarmv1.Notification) string { return n.GetStatus().GetHost() }),
	col("TOPICS", func(_ *app, n *yardarmv1.Notification) string { return namedOrAll(n.GetSpec().GetTopics()) }),
	col("DELIVERED", func(a *app, n *yardarmv1.Notification) string {
		return cmp.Or(a.ago(n.GetStatus().GetLastDelivered()), "never")
	}).moving(),
	col("PENDING", func(_ *app, n *yardarmv1.Notification) string { return fmt.Sprint(n.GetStatus().GetPending()) }),
	ageColumn,
	col("ERROR", func(_ *app, n *yardarmv1.Notification) string { return n.GetStatus().GetError() }),
	col("FORMAT", func(_ *app, n *yardarmv1.Notification) string {
		return cmp.Or(n.GetSpec().GetFormat(), yardarmv1.FormatJSON)
	}).onlyWide(),
	col("BUNDLES", func(_ *app, n *yardarmv1.Notification) string { return namedOrAll(n.GetSpec().GetBundles()) }).onlyWide(),
	col("GROUPS", func(_ *app, n *yardarmv1.Notification) string { return namedOrAll(n.GetSpec().GetClusterGroups()) }).onlyWide(),
}

func (d *sheet) notification(n *yardarmv1.Notification) {
	spec, st := n.GetSpec(), n.GetStatus()
	d.metadata(n.GetMetadata())
	d.field("Receiver", cmp.Or(spec.GetUrl(), st.GetHost()+" (the rest of its URL is not shown)"))
	d.field("Format", cmp.Or(spec.GetFormat(), yardarmv1.FormatJSON))
	signed := "no; give it a secret"
	if st.GetSigned() {
		signed = "yes"
	}
	d.field("Signed", signed)
	d.field("Bundles", namedOrAll(spec.GetBundles()))
	d.field("Cluster groups", namedOrAll(spec.GetClusterGroups()))
	d.field("Topics", namedOrAll(spec.GetTopics()))
	d.field("Severity", "at least "+cmp.Or(spec.GetSeverity(), yardarmv1.SeverityInfo))
	d.field("Delivered", cmp.Or(d.app.at(st.GetLastDelivered()), "never since the hub has started"))
	d.field("Pending", fmt.Sprint(st.GetPending()))
	if st.GetFailures() > 0 {
		d.field("Failing", fmt.Sprintf("%d times in a row: %s", st.GetFailures(), st.GetError()))
		d.field("Next try", d.app.until(st.GetNextTry()))
	}
}

// namedOrAll is a list that narrows something, or narrows nothing.
func namedOrAll(list []string) string { return cmp.Or(strings.Join(list, ","), "all") }
