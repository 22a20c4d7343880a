package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// historyFlags say what of a history is shown.
type historyFlags struct {
	at, since, until string
	limit            uint32
	output           string
}

func (a *app) pastCommand() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:   "history cluster/NAME [bundle/NAME] | bundle/NAME",
		Short: "Show how clusters and rollouts stood in the past",
		Long: `Show how clusters and rollouts stood in the past: for a cluster, what it was to run, what was observed of it
and whether its spoke was there, newest change first; for a bundle, how its rollouts went.

With --at, how a cluster stood then: the last that had changed by that time. What a spoke said is of when it was
last heard, so look at the presence beside it.

DESIRED is the revision that the cluster was to run, OBSERVED the one that its spoke reported about. Changes
within five seconds are kept together, and the hub keeps them for --keep-history, 30 days if nothing else is
said; it says where what it knows begins.`,
		Example: `  yardarm history cluster/eu-1
  yardarm history cluster/eu-1 --at 2026-03-01T12:00:00Z
  yardarm history cluster/eu-1 bundle/web --since 7d
  yardarm history bundle/web`,
		Args:              arguments(1, 4, "cluster/NAME, bundle/NAME or both"),
		ValidArgsFunction: a.completeArgs(resource.Bundle, resource.Cluster),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &hubv1.GetHistoryRequest{Limit: f.limit}
			var err error
			if req.Cluster, req.Bundle, err = clusterAndBundle(args); err != nil {
				return err
			}
			return a.past(cmd.Context(), req, f)
		},
	}
	cmd.Flags().StringVar(&f.at, "at", "", "how it stood then: how long ago, as in 24h or 7d, or a time, as in 2026-03-01 or 2026-03-01T12:00:00Z")
	cmd.Flags().StringVar(&f.since, "since", "", "only what changed from then on")
	cmd.Flags().StringVar(&f.until, "until", "", "only what changed before then")
	cmd.Flags().Uint32Var(&f.limit, "limit", 100, "show at most this many changes, the newest")
	formatFlag(cmd, &f.output, formatTable, formatJSON, formatYAML)
	return cmd
}

func (a *app) past(ctx context.Context, req *hubv1.GetHistoryRequest, f historyFlags) (err error) {
	if f.limit == 0 {
		return usage("--limit must be more than 0")
	}
	if f.at != "" && f.since+f.until != "" {
		return usage("--at goes with neither --since nor --until")
	}
	if req.At, err = a.moment("--at", f.at); err != nil {
		return err
	}
	if req.Since, err = a.moment("--since", f.since); err != nil {
		return err
	}
	if req.Until, err = a.moment("--until", f.until); err != nil {
		return err
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	h, err := hub.GetHistory(ctx, req)
	if err != nil {
		return a.historyError(ctx, hub, req, err)
	}
	if f.output != formatTable {
		return a.printMessage(f.output, h)
	}
	return a.printPast(req, h)
}

// historyError suggests the name that was probably meant.
func (a *app) historyError(ctx context.Context, hub *client.Client, req *hubv1.GetHistoryRequest, err error) error {
	if req.GetCluster() != "" {
		return meant(ctx, hub, resource.Cluster, req.GetCluster(), err)
	}
	return meant(ctx, hub, resource.Bundle, req.GetBundle(), err)
}

func (a *app) printPast(req *hubv1.GetHistoryRequest, h *hubv1.History) error {
	rows := h.GetTransitions()
	if req.GetAt() != nil {
		rows = h.GetStanding()
	}
	var t *table.Table
	if req.GetCluster() == "" {
		t = a.newTable("TIME", "REVISION", "PHASE", "STAGE", "REASON")
	} else {
		t = a.newTable("TIME", "BUNDLE", "DESIRED", "OBSERVED", "PHASE", "REASON")
	}
	for _, r := range rows {
		phase := table.Cell{Text: r.GetPhase(), Color: phaseColor(r.GetPhase())}
		switch {
		case req.GetCluster() == "":
			t.Add(table.Text(a.clock(r.GetTime())), table.Text(number(r.GetDesiredRevision())), phase, table.Text(r.GetStage()), table.Text(r.GetReason()))
		case r.GetBundle() == "":
			t.Add(table.Text(a.clock(r.GetTime())), table.Text("(cluster)"), table.Text("-"), table.Text("-"), phase, table.Text(r.GetPresence()))
		default:
			t.Add(table.Text(a.clock(r.GetTime())), table.Text(r.GetBundle()), table.Text(number(r.GetDesiredRevision())), table.Text(number(r.GetObservedRevision())),
				phase, table.Text(r.GetReason()))
		}
	}
	if err := a.writeSome(t); err != nil {
		return err
	}
	switch {
	case len(rows) == 0 && req.GetAt() != nil:
		a.say("nothing is known of that time")
	case len(rows) == 0:
		a.say("nothing has changed")
	}
	if h.GetMore() > 0 {
		a.say("and %s; --limit shows more", plural(h.GetMore(), "earlier change"))
	}
	if h.GetLost() > 0 {
		a.say("%s came too fast to be kept", plural(h.GetLost(), "change"))
	}
	if h.GetKeptSince() != nil {
		a.say("what was before %s is not kept", a.clock(h.GetKeptSince()))
	}
	return nil
}
