package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// reconcileFlags say whether to wait, and how long.
type reconcileFlags struct {
	cluster string
	dryRun  bool
	wait    bool
	waiting waitFlags
}

func (a *app) reconcileCommand() *cobra.Command {
	var f reconcileFlags
	cmd := &cobra.Command{
		Use:   "reconcile [cluster/NAME] [bundle/NAME]",
		Short: "Have spokes compare with what is in their clusters at once, and try again what failed",
		Long: `Have spokes compare a bundle with what is in their clusters at once, and try again what failed. They do so by
themselves too, with growing pauses after failures: this is for when the cause has been dealt with.

It is no message that could be lost: a cluster that is not connected does it when it comes back. Until its
spoke has reported on it, the bundle is Pending there. --wait waits for that; it ends when a bundle has failed
again or holds.

` + exitHelp(ExitRolledBack, ExitApproval, ExitSuperseded),
		Example: `  yardarm reconcile bundle/web                       # in all its clusters
  yardarm reconcile bundle/web --cluster eu-1 --wait
  yardarm reconcile cluster/eu-1                     # all bundles in it`,
		Args:              arguments(1, 2, "cluster/NAME, bundle/NAME or both"),
		ValidArgsFunction: a.completeArgs(resource.Bundle, resource.Cluster),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, bundle, err := clusterAndBundle(args)
			if err != nil {
				return err
			}
			if f.cluster = strings.TrimPrefix(f.cluster, resource.Cluster.Name+"/"); f.cluster != "" {
				if cluster != "" {
					return usage("name one cluster only: %q and --cluster %q are two", cluster, f.cluster)
				}
				cluster = f.cluster
			}
			return a.reconcile(cmd.Context(), &hubv1.ReconcileRequest{Cluster: cluster, Bundle: bundle, DryRun: f.dryRun}, f)
		},
	}
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "only in this cluster")
	dryRunFlag(cmd, &f.dryRun)
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until the spokes have done it and the bundles are ready")
	f.waiting.addCommon(cmd)
	complete(cmd, "cluster", a.completeNames(resource.Cluster))
	return cmd
}

func (a *app) reconcile(ctx context.Context, req *hubv1.ReconcileRequest, f reconcileFlags) error {
	if f.wait && f.dryRun {
		return usage("--wait and --dry-run do not go together")
	}
	if err := f.waiting.check(); err != nil {
		return err
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	resp, err := hub.Reconcile(ctx, req)
	if err != nil {
		return err
	}
	for _, name := range resp.GetAssignments() {
		a.print("assignment/%s is to be reconciled%s", name, dryNote(f.dryRun))
	}
	if !f.wait {
		return nil
	}
	ctx, cancel := a.withTimeout(ctx, f.waiting.timeout)
	defer cancel()
	w := &reconcileWait{app: a, flags: f.waiting, asked: resp.GetAssignments(), assignments: make(map[string]*yardarmv1.Assignment), line: a.newLine()}
	return w.run(ctx, hub, &hubv1.WatchRequest{Kind: yardarmv1.KindAssignment, Cluster: req.GetCluster(), Bundle: req.GetBundle()})
}
