package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (a *app) acceptCommand() *cobra.Command {
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "accept [cluster/NAME] [bundle/NAME]",
		Short: "Let go of what is held: accept a deletion that asks, or what a restored hub says",
		Long: `Let go of what is held. A spoke holds a bundle, that is, it keeps what it has, when going on would delete much
or what is dear (more than a fifth of the objects, a namespace, a CRD, a volume claim), or when the hub came back
from a backup that is older than what the spoke has. 'yardarm describe assignment CLUSTER.BUNDLE' says which.

Accepting means that the spoke goes on: it deletes what it asked about, or takes what the hub says.
On a terminal it shows what is held and asks; --yes answers.`,
		Example: `  yardarm accept cluster/eu-1 bundle/web
  yardarm accept bundle/web        # in all its clusters
  yardarm accept cluster/eu-1      # all bundles in it`,
		Args:              arguments(1, 2, "cluster/NAME, bundle/NAME or both"),
		ValidArgsFunction: a.completeArgs(resource.Cluster, resource.Bundle),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, bundle, err := clusterAndBundle(args)
			if err != nil {
				return err
			}
			return a.accept(cmd.Context(), &hubv1.AcceptRequest{Cluster: cluster, Bundle: bundle, DryRun: dryRun}, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	dryRunFlag(cmd, &dryRun)
	return cmd
}

func (a *app) accept(ctx context.Context, req *hubv1.AcceptRequest, yes bool) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	if a.io.InTerminal && !yes && !req.GetDryRun() {
		held := 0
		for x, err := range hub.Assignments(ctx, &hubv1.ListAssignmentsRequest{Cluster: req.GetCluster(), Bundle: req.GetBundle()}) {
			switch {
			case err != nil:
				return err
			case x.GetStatus().GetPhase() != yardarmv1.PhaseHeld && x.GetStatus().GetReport().GetPhase() != yardarmv1.PhaseHeld:
				continue
			}
			held++
			a.say("%s: %s", typeName(x), a.why(x))
		}
		if held > 0 { // otherwise the hub says what there is to say
			if err := a.confirm(ctx, "Accept "+plural(held, "hold")+"?", "nothing was accepted"); err != nil {
				return err
			}
		}
	}
	resp, err := hub.Accept(ctx, req)
	if err != nil {
		return err
	}
	for _, name := range resp.GetAccepted() {
		a.print("assignment/%s accepted%s", name, dryNote(req.GetDryRun()))
	}
	if len(resp.GetAccepted()) == 0 {
		a.say("nothing is held there")
	}
	return nil
}
