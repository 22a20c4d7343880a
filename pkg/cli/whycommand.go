package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (a *app) whyCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "why CLUSTER BUNDLE",
		Short: "Say why a cluster is, or is not, at a bundle's revision",
		Long: `Say why a cluster is, or is not, at a bundle's revision, and what to do about it. The steps are

  Matched     a group that the bundle targets has the cluster, and the bundle has a revision
  Allowed     nothing holds the revision back from the cluster
  Assigned    the cluster is to run the revision
  Sent        the hub has sent it
  Persisted   the spoke has acknowledged it, and has its content
  Applied     every object is applied
  Ready       every object is ready

and the first that is not done is the answer. It is told also for a bundle that is not for the cluster:
which label, fact or expression keeps it out. Where the bundle's source gives no new revision, that comes first.

Exit codes: 0 it is at the revision and ready; 1 it is not; 2 error.`,
		Example: `  yardarm why eu-1 web
  yardarm why cluster/eu-1 bundle/web
  yardarm why eu-1 web -o json | jq -r .reason`,
		Args:              arguments(2, 2, "a cluster and a bundle, as in 'why eu-1 web'"),
		ValidArgsFunction: a.completeWhy,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.explainAssignment(cmd.Context(), &hubv1.GetExplanationRequest{
				Cluster: strings.TrimPrefix(args[0], resource.Cluster.Name+"/"), Bundle: strings.TrimPrefix(args[1], resource.Bundle.Name+"/"),
			}, output)
		},
	}
	formatFlag(cmd, &output, formatTable, formatJSON, formatYAML)
	return cmd
}

// completeWhy completes a cluster's name, then a bundle's.
func (a *app) completeWhy(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.completeNames(resource.Cluster)(cmd, args, word)
	case 1:
		return a.completeNames(resource.Bundle)(cmd, args, word)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) explainAssignment(ctx context.Context, req *hubv1.GetExplanationRequest, format string) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	x, err := hub.GetExplanation(ctx, req)
	if err != nil {
		return err
	}
	if format == formatTable {
		if err := a.printSources(ctx, hub, req.GetBundle()); err != nil {
			return err
		}
		err = a.printExplanation(x)
	} else {
		err = a.printMessage(format, x)
	}
	if err == nil && x.GetReason() != yardarmv1.WhyReady {
		return &outcome{code: ExitNo}
	}
	return err
}

func (a *app) printExplanation(x *yardarmv1.Explanation) error {
	color := table.Yellow
	if x.GetReason() == yardarmv1.WhyReady {
		color = table.Green
	}
	a.print("bundle/%s in cluster/%s: %s", table.Clean(x.GetBundle()), table.Clean(x.GetCluster()), table.Paint(table.Clean(x.GetReason()), color, a.colors()))
	a.print("  %s", table.Clean(x.GetAnswer()))
	if x.GetRemedy() != "" {
		a.print("  %s", table.Clean(x.GetRemedy()))
	}
	a.print("")
	t := a.newTable("STEP", "STATE", "SINCE", "WHAT")
	for _, s := range x.GetSteps() {
		state, what := table.Text("-"), table.Text("-")
		switch {
		case s.GetDone():
			state, what = table.Cell{Text: "done", Color: table.Green}, table.Text(table.Shorten(s.GetMessage(), maxWhy))
		case s.GetReason() != "":
			state, what = table.Cell{Text: "not yet", Color: table.Yellow}, table.Text(s.GetReason())
		}
		since := a.ago(s.GetTime())
		if since == "" {
			since = "-"
		}
		t.Add(table.Text(s.GetName()), state, table.Text(since), what)
	}
	return a.write(t)
}
