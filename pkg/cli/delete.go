package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// deleteFlags say what becomes of workloads, and whether it is meant.
type deleteFlags struct {
	keep, remove, yes, dryRun bool
}

// workloads is what the flags say; unspecified if they say nothing.
func (f deleteFlags) workloads() yardarmv1.Workloads {
	switch {
	case f.keep:
		return yardarmv1.Workloads_WORKLOADS_KEEP
	case f.remove:
		return yardarmv1.Workloads_WORKLOADS_REMOVE
	}
	return yardarmv1.Workloads_WORKLOADS_UNSPECIFIED
}

func (a *app) deleteCommand() *cobra.Command {
	var f deleteFlags
	cmd := &cobra.Command{
		Use:   "delete TYPE NAME… | TYPE/NAME…",
		Short: "Delete clusters, bundles, clustergroups, strategies, gates, roles, rolebindings, notifications and sourcecredentials, and say what becomes of the workloads",
		Long: `Delete clusters, bundles, clustergroups, strategies, gates, roles, rolebindings, notifications and
sourcecredentials.

For a cluster and for a bundle, say what becomes of the objects in the clusters:
  --keep     they stay as they are, and nobody manages them any more
  --remove   the spokes remove them

A cluster that is to be removed with its workloads is Deleting until its spoke has removed them. If the
spoke is not there, it waits until it comes back; deleting it again with --keep ends that at once, and
leaves the workloads where they are. A bundle's objects in a cluster that is away are removed when it is back.

On a terminal it asks for what is not said, after telling what happens; --yes answers. Scripts have to say
--keep or --remove. A clustergroup is refused while a bundle targets it or a gate names it, a role while a
rolebinding gives it, and sourcecredentials while a bundle's source names them.`,
		Example: `  yardarm delete bundle web --remove
  yardarm delete cluster eu-1 --keep
  yardarm delete clustergroup/staging`,
		Args:              arguments(1, -1, "what to delete, as in bundle web"),
		ValidArgsFunction: a.completeArgs(deletable...),
		RunE: func(cmd *cobra.Command, args []string) error {
			selections, err := some(args, deletable...)
			if err != nil {
				return err
			}
			return a.delete(cmd.Context(), selections, f)
		},
	}
	cmd.Flags().BoolVar(&f.keep, "keep", false, "leave the objects in the clusters as they are, unmanaged")
	cmd.Flags().BoolVar(&f.remove, "remove", false, "have the spokes remove the objects from the clusters")
	dryRunFlag(cmd, &f.dryRun)
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) delete(ctx context.Context, selections []resource.Selection, f deleteFlags) error {
	if f.keep && f.remove {
		return usage("--keep and --remove do not go together")
	}
	for _, s := range selections {
		workloads := s.Type.Is(resource.Cluster) || s.Type.Is(resource.Bundle)
		if !workloads && len(selections) == 1 && (f.keep || f.remove) {
			return usage("a %s has no workloads to keep or remove; they belong to bundles", s.Type.Name)
		}
		if workloads && f.workloads() == yardarmv1.Workloads_WORKLOADS_UNSPECIFIED && !a.asks(f) {
			return usage("say what becomes of the workloads: --keep leaves them in the clusters, --remove has the spokes remove them")
		}
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	for _, s := range selections {
		for _, name := range s.Names {
			switch {
			case s.Type.Is(resource.Cluster):
				err = a.deleteCluster(ctx, name, f)
			case s.Type.Is(resource.Bundle):
				err = a.deleteBundle(ctx, name, f)
			default:
				if err = deletePlain(ctx, hub, s.Type, name, f.dryRun); err == nil {
					a.print("%s/%s deleted%s", s.Type.Name, name, dryNote(f.dryRun))
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// deletable are the types that can be deleted.
var deletable = []resource.Type{resource.Cluster, resource.Bundle, resource.Group, resource.Strategy, resource.Gate, resource.Role, resource.Binding, resource.Notification, resource.Credentials}

// deletePlain deletes what has no workloads.
func deletePlain(ctx context.Context, hub *client.Client, t resource.Type, name string, dryRun bool) error {
	var err error
	switch {
	case t.Is(resource.Strategy):
		_, err = hub.DeleteStrategy(ctx, &hubv1.DeleteStrategyRequest{Name: name, DryRun: dryRun})
	case t.Is(resource.Gate):
		_, err = hub.DeleteGate(ctx, &hubv1.DeleteGateRequest{Name: name, DryRun: dryRun})
	case t.Is(resource.Role):
		_, err = hub.DeleteRole(ctx, &hubv1.DeleteRoleRequest{Name: name, DryRun: dryRun})
	case t.Is(resource.Binding):
		_, err = hub.DeleteRoleBinding(ctx, &hubv1.DeleteRoleBindingRequest{Name: name, DryRun: dryRun})
	case t.Is(resource.Notification):
		_, err = hub.DeleteNotification(ctx, &hubv1.DeleteNotificationRequest{Name: name, DryRun: dryRun})
	case t.Is(resource.Credentials):
		_, err = hub.DeleteSourceCredentials(ctx, &hubv1.DeleteSourceCredentialsRequest{Name: name, DryRun: dryRun})
	default:
		_, err = hub.DeleteClusterGroup(ctx, &hubv1.DeleteClusterGroupRequest{Name: name, DryRun: dryRun})
	}
	return err
}

func (a *app) deleteBundle(ctx context.Context, name string, f deleteFlags) error {
	bundle, err := a.hub.GetBundle(ctx, &hubv1.GetBundleRequest{Name: name})
	if err != nil {
		return err
	}
	c := bundle.GetStatus().GetClusters()
	away := c.GetStale() + c.GetNeverConnected()
	where := plural(c.GetTotal(), "cluster")
	req := &hubv1.DeleteBundleRequest{Name: name, Workloads: f.workloads(), DryRun: f.dryRun}
	if a.asks(f) {
		what := fmt.Sprintf("bundle/%s runs in %s.", name, where)
		if c.GetTotal() == 0 {
			what = fmt.Sprintf("bundle/%s runs in no cluster.", name)
		}
		removal := "spokes remove its objects from " + where
		removal += awayText(away)
		req.Workloads, err = a.askWorkloads(ctx, what, fmt.Sprintf("its objects stay in %s, unmanaged", where), removal, f)
		if err != nil {
			return err
		}
		req.ResourceVersion = bundle.GetMetadata().GetResourceVersion() // what was decided on
	}
	if _, err := a.hub.DeleteBundle(ctx, req); err != nil {
		return err
	}
	switch {
	case c.GetTotal() == 0:
		a.print("bundle/%s deleted%s", name, dryNote(f.dryRun))
	case req.GetWorkloads() == yardarmv1.Workloads_WORKLOADS_KEEP:
		a.print("bundle/%s deleted; its objects stay in %s, unmanaged%s", name, where, dryNote(f.dryRun))
	default:
		a.print("bundle/%s deleted; its objects are being removed from %s%s%s", name, where, awayText(away), dryNote(f.dryRun))
	}
	return nil
}

// awayText says what clusters do that cannot do it now.
func awayText(away uint32) string {
	switch away {
	case 0:
		return ""
	case 1:
		return "; 1 of them is away, and follows when it is back"
	}
	return fmt.Sprintf("; %d of them are away, and follow when they are back", away)
}

func (a *app) deleteCluster(ctx context.Context, name string, f deleteFlags) error {
	cluster, err := a.hub.GetCluster(ctx, &hubv1.GetClusterRequest{Name: name})
	if err != nil {
		return err
	}
	bundles := plural(cluster.GetStatus().GetBundles().GetTotal(), "bundle")
	presence := cluster.GetStatus().GetPresence()
	connected := presence == yardarmv1.PresenceConnected
	req := &hubv1.DeleteClusterRequest{Name: name, Workloads: f.workloads(), DryRun: f.dryRun}
	if a.asks(f) {
		what := fmt.Sprintf("cluster/%s is %s and runs %s.", name, a.presence(cluster), bundles)
		removal := fmt.Sprintf("its spoke removes the objects of %s, and then the cluster is gone", bundles)
		if !connected && presence != yardarmv1.PresenceNeverConnected {
			removal += "; since the spoke is not there, the cluster stays as Deleting until it is back"
		}
		req.Workloads, err = a.askWorkloads(ctx, what, fmt.Sprintf("the objects of %s stay in it, unmanaged; the cluster is gone at once", bundles), removal, f)
		if err != nil {
			return err
		}
		req.ResourceVersion = cluster.GetMetadata().GetResourceVersion()
	}
	resp, err := a.hub.DeleteCluster(ctx, req)
	if err != nil {
		return err
	}
	hint := ""
	switch waits := resp.GetCluster(); {
	case waits == nil && req.GetWorkloads() == yardarmv1.Workloads_WORKLOADS_KEEP:
		a.print("cluster/%s deleted; the objects of %s stay in it, unmanaged%s", name, bundles, dryNote(f.dryRun))
	case waits == nil:
		a.print("cluster/%s deleted%s", name, dryNote(f.dryRun))
	case waits.GetStatus().GetPresence() == yardarmv1.PresenceConnected:
		a.print("cluster/%s deleting; its spoke is removing the objects of %s%s", name, bundles, dryNote(f.dryRun))
		hint = fmt.Sprintf("'yardarm wait cluster/%s --for deleted' waits for it", name)
	default:
		a.print("cluster/%s deleting; its spoke is %s and removes the objects of %s when it is back%s", name, a.presence(waits), bundles, dryNote(f.dryRun))
		hint = fmt.Sprintf("until then it is shown as Deleting; 'yardarm delete cluster %s --keep' ends this at once and leaves the objects in it", name)
	}
	if hint != "" && !f.dryRun {
		a.say("%s", hint)
	}
	return nil
}

// asks tells whether there is something to ask, and somebody to answer.
func (a *app) asks(f deleteFlags) bool { return a.io.InTerminal && !f.yes && !f.dryRun }

// askWorkloads tells what either answer does, and asks for what the flags leave open.
func (a *app) askWorkloads(ctx context.Context, what, keep, remove string, f deleteFlags) (yardarmv1.Workloads, error) {
	a.say("%s", what)
	switch f.workloads() {
	case yardarmv1.Workloads_WORKLOADS_KEEP:
		a.say("Delete it, and %s.", keep)
		return f.workloads(), a.confirm(ctx, "Go on?", "it was not deleted")
	case yardarmv1.Workloads_WORKLOADS_REMOVE:
		a.say("Delete it, and %s.", remove)
		return f.workloads(), a.confirm(ctx, "Go on?", "it was not deleted")
	}
	a.say("  keep     %s", keep)
	a.say("  remove   %s", remove)
	answer, err := a.ask(ctx, "Delete it, and keep or remove them? [keep/remove/N]")
	if err != nil {
		return 0, err
	}
	switch strings.TrimSpace(answer) {
	case "keep", "k":
		return yardarmv1.Workloads_WORKLOADS_KEEP, nil
	case "remove", "r":
		return yardarmv1.Workloads_WORKLOADS_REMOVE, nil
	}
	return 0, failed("it was not deleted")
}
