package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// drifting are the assignments of which something differs and is left so.
const drifting = "drifted>0"

func (a *app) driftCommand() *cobra.Command {
	var filter string
	cmd := &cobra.Command{
		Use:   "drift [cluster/NAME] [bundle/NAME]",
		Short: "Show what differs from what was applied, field by field, and accept it",
		Long: `Show what differs in clusters from what was applied and is left so, field by field: the same difference in
several clusters is one row. What a spoke repairs (spec.delivery.drift of a bundle, by default) is no drift for
long; 'yardarm describe cluster NAME' tells of it for an hour.

There are three ways to end it: 'yardarm drift accept' makes what is live desired; a rule in the bundle's
spec.delivery.ignore leaves the field to whoever has it; spec.delivery.drift: correct has it put right.`,
		Example: `  yardarm drift
  yardarm drift bundle/web --filter env=prod
  yardarm drift accept bundle/web cluster/edge-1 --field spec.replicas`,
		Args:              arguments(0, 4, "nothing, cluster/NAME, bundle/NAME or both"),
		ValidArgsFunction: a.completeArgs(resource.Bundle, resource.Cluster),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &hubv1.ListAssignmentsRequest{Filter: strings.Trim(drifting+","+filter, ",")}
			if len(args) > 0 {
				var err error
				if req.Cluster, req.Bundle, err = clusterAndBundle(args); err != nil {
					return err
				}
			}
			return a.drift(cmd.Context(), req)
		},
	}
	cmd.Flags().StringVar(&filter, "filter", "", "only in assignments that match, as in env=prod,name=shop-*")
	cmd.AddCommand(a.acceptDriftCommand())
	return cmd
}

// driftedIn is one difference, and where it is.
type driftedIn struct {
	*yardarmv1.Drift
	bundle   string
	clusters []string
}

func (a *app) drift(ctx context.Context, req *hubv1.ListAssignmentsRequest) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	var all []*driftedIn
	known := map[string]*driftedIn{}
	for x, err := range hub.Assignments(ctx, req) {
		if err != nil {
			return err
		}
		for _, d := range x.GetStatus().GetReport().GetDrift() {
			if d.GetCorrected() != nil {
				continue
			}
			key := fmt.Sprintf("%q", []string{x.GetSpec().GetBundle(), d.GetObject(), d.GetPath(), d.GetDesired(), d.GetLive(), d.GetManager(), d.GetReason()})
			if known[key] == nil {
				known[key] = &driftedIn{Drift: proto.CloneOf(d), bundle: x.GetSpec().GetBundle()}
				all = append(all, known[key])
			}
			k := known[key]
			k.clusters = append(k.clusters, x.GetSpec().GetCluster())
			if d.GetSince().AsTime().Before(k.GetSince().AsTime()) {
				k.Since = d.GetSince()
			}
		}
	}
	if len(all) == 0 {
		a.say("nothing differs from what was applied, but for what was put right")
		return nil
	}
	slices.SortStableFunc(all, func(x, y *driftedIn) int { return cmp.Compare(len(y.clusters), len(x.clusters)) })
	t := a.newTable("BUNDLE", "OBJECT", "FIELD", "DESIRED", "LIVE", "MANAGER", "SINCE", "WHY", "CLUSTERS")
	for _, d := range all {
		in := d.clusters[0]
		if more := len(d.clusters) - 1; more > 0 {
			in += fmt.Sprintf(" and %d more", more)
		}
		t.Add(table.Text(d.bundle), table.Text(d.GetObject()), table.Text(driftField(d.Drift)), table.Text(d.GetDesired()), table.Text(d.GetLive()), table.Text(d.GetManager()),
			table.Text(a.ago(d.GetSince())), table.Text(d.GetReason()), table.Text(in))
	}
	return a.write(t)
}

// acceptDriftFlags say what of the drift is accepted, and for whom.
type acceptDriftFlags struct {
	object, group, output string
	fields                []string
	yes, dryRun           bool
}

func (a *app) acceptDriftCommand() *cobra.Command {
	var f acceptDriftFlags
	cmd := &cobra.Command{
		Use:   "accept bundle/NAME cluster/NAME…",
		Short: "Make what is live in clusters desired",
		Long: `Make what is live in clusters desired: all that differs there of a bundle and is left so, or only some fields.
The values become patches of the bundle's customization, for these clusters alone or, with --group, for all of
the target that the clusters go by. That is a new revision of the same content, which goes through the bundle's
clusters as any other: 'yardarm rollout undo' takes it back. The objects stay as they are.

A new revision puts right what else differs, so what is to stay has to be accepted at once. Values of Secrets
are told to nobody, and never accepted. What is kept in files has to be written down there, too, or the next
'yardarm apply' takes it back: 'yardarm get bundle NAME -o yaml' shows it.

On a terminal it shows what would change, and where, and asks; --yes answers.`,
		Example: `  yardarm drift accept bundle/web cluster/edge-1
  yardarm drift accept bundle/web cluster/edge-1 cluster/edge-2 --field spec.replicas
  yardarm drift accept bundle/web cluster/edge-1 --field spec.replicas --group prod --dry-run`,
		Args:              arguments(2, -1, "bundle/NAME and cluster/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle, resource.Cluster),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.acceptDrift(cmd.Context(), args, &f) },
	}
	cmd.Flags().StringArrayVar(&f.fields, "field", nil, "only this field, as 'yardarm drift' shows it; may be given several times")
	cmd.Flags().StringVar(&f.object, "object", "", "only of this object, as in 'apps/Deployment shop/web'")
	cmd.Flags().StringVar(&f.group, "group", "", "for all clusters of this target of the bundle")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	dryRunFlag(cmd, &f.dryRun)
	formatFlag(cmd, &f.output, formatTable, formatJSON, formatYAML, formatName)
	complete(cmd, "group", a.completeNames(resource.Group))
	return cmd
}

func (a *app) acceptDrift(ctx context.Context, args []string, f *acceptDriftFlags) error {
	selections, err := some(args, resource.Bundle, resource.Cluster)
	if err != nil {
		return err
	}
	req := &hubv1.AcceptDriftRequest{Group: f.group, DryRun: f.dryRun}
	for _, s := range selections {
		switch {
		case s.Type.Is(resource.Cluster):
			req.Clusters = append(req.Clusters, s.Names...)
		case req.Bundle != "" || len(s.Names) > 1:
			return usage("name one bundle only")
		default:
			req.Bundle = s.Names[0]
		}
	}
	if req.Bundle == "" || len(req.Clusters) == 0 {
		return usage("name a bundle and the clusters whose live values are to be accepted, as in bundle/web cluster/edge-1")
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	if len(f.fields) > 0 || f.object != "" {
		if req.Fields, err = driftedFields(ctx, hub, req, f); err != nil {
			return err
		}
	}
	if a.io.InTerminal && !f.yes && !f.dryRun {
		try := proto.CloneOf(req)
		try.DryRun = true
		resp, err := hub.AcceptDrift(ctx, try)
		if err != nil {
			return err
		}
		for _, warning := range resp.GetWarnings() {
			a.warn("%s", warning)
		}
		if err := a.printDiff(resp); err != nil {
			return err
		}
		if err := a.confirm(ctx, "Accept it?", "nothing was accepted"); err != nil {
			return err
		}
	}
	resp, err := hub.AcceptDrift(ctx, req)
	if err != nil {
		return err
	}
	if f.dryRun && f.output == formatTable {
		for _, warning := range resp.GetWarnings() {
			a.warn("%s", warning)
		}
		return a.printDiff(resp)
	}
	return a.published(ctx, resp, f.output, f.dryRun, false, waitFlags{})
}

// driftedFields are those that the flags name, as they are in the clusters now.
func driftedFields(ctx context.Context, hub *client.Client, req *hubv1.AcceptDriftRequest, f *acceptDriftFlags) ([]*hubv1.DriftedField, error) {
	var found []*hubv1.DriftedField
	named := map[string]bool{}
	for _, cluster := range req.GetClusters() {
		x, err := hub.GetAssignment(ctx, &hubv1.GetAssignmentRequest{Cluster: cluster, Bundle: req.GetBundle()})
		if err != nil {
			return nil, err
		}
		for _, d := range x.GetStatus().GetReport().GetDrift() {
			if d.GetCorrected() != nil || f.object != "" && d.GetObject() != f.object || len(f.fields) > 0 && !slices.Contains(f.fields, d.GetPath()) {
				continue
			}
			named[d.GetPath()] = true
			if !slices.ContainsFunc(found, func(o *hubv1.DriftedField) bool { return o.GetObject() == d.GetObject() && o.GetPath() == d.GetPath() }) {
				found = append(found, &hubv1.DriftedField{Object: d.GetObject(), Path: d.GetPath()})
			}
		}
	}
	for _, field := range f.fields {
		if !named[field] {
			return nil, failed("%s does not differ there; 'yardarm drift bundle/%s' shows what does", field, req.GetBundle())
		}
	}
	if len(found) == 0 {
		return nil, failed("nothing of %s differs there; 'yardarm drift bundle/%s' shows what does", f.object, req.GetBundle())
	}
	return found, nil
}
