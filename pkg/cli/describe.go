package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// describedEvents is how many of the latest events describe shows.
	describedEvents = 10
	// describedNames is how many clusters of a group are named.
	describedNames = 50
)

func (a *app) describeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "describe TYPE NAME… | TYPE/NAME…",
		Short: "Show all that is known of a resource, with every problem",
		Long: `Show all that is known of a cluster, clustergroup, bundle, revision, assignment, gate, role, rolebinding, token,
notification or sourcecredentials: what people set, what the hub derived, what was last reported and until when
that holds, and each problem with its object, its reason and since when.`,
		Example: `  yardarm describe cluster eu-1
  yardarm describe bundle/web
  yardarm describe assignment eu-1.web`,
		Args:              arguments(1, -1, "what to describe, as in cluster eu-1"),
		ValidArgsFunction: a.completeArgs(resource.Types()...),
		RunE: func(cmd *cobra.Command, args []string) error {
			selections, err := some(args, resource.Types()...)
			if err != nil {
				return err
			}
			return a.describe(cmd.Context(), selections)
		},
	}
	return cmd
}

func (a *app) describe(ctx context.Context, selections []resource.Selection) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	var missing []error
	shown := 0
	for _, s := range selections {
		for _, name := range s.Names {
			object, err := fetchOne(ctx, hub, s.Type, name)
			if isCode(err, codes.NotFound) {
				missing = append(missing, err)
				continue
			}
			if err != nil {
				return err
			}
			if shown++; shown > 1 {
				a.print("\n")
			}
			d := &sheet{app: a}
			if err := d.describe(ctx, hub, object); err != nil {
				return err
			}
			if _, err := fmt.Fprint(a.io.Out, d.b.String()); err != nil {
				return err
			}
		}
	}
	return a.all(missing)
}

func (d *sheet) describe(ctx context.Context, hub *client.Client, object client.Object) error {
	switch o := object.(type) {
	case *yardarmv1.Cluster:
		return d.cluster(ctx, hub, o)
	case *yardarmv1.ClusterGroup:
		return d.group(ctx, hub, o)
	case *yardarmv1.Bundle:
		return d.bundle(ctx, hub, o)
	case *yardarmv1.Revision:
		d.revision(o)
	case *yardarmv1.Assignment:
		d.assignment(o)
	case *yardarmv1.Strategy:
		d.strategy(o)
	case *yardarmv1.Gate:
		d.gate(o)
	case *yardarmv1.Role:
		d.role(o)
	case *yardarmv1.RoleBinding:
		d.binding(o)
	case *yardarmv1.Notification:
		d.notification(o)
	case *yardarmv1.SourceCredentials:
		d.credentials(o)
	case *yardarmv1.Token:
		d.token(o)
	}
	return nil
}

func (d *sheet) cluster(ctx context.Context, hub *client.Client, c *yardarmv1.Cluster) error {
	a, st := d.app, c.GetStatus()
	d.metadata(c.GetMetadata())
	d.painted("Phase", d.paint(st.GetPhase()))
	if ban := c.GetSpec().GetBan(); ban != nil {
		d.field("Banned", by(a.at(ban.GetTime()), ban.GetActor(), ban.GetReason()))
	}
	if removal := c.GetSpec().GetRemoval(); removal != nil {
		what := "its workloads are removed by its spoke, then it is gone"
		if removal.GetWorkloads() == yardarmv1.Workloads_WORKLOADS_KEEP {
			what = "its workloads stay"
		}
		d.field("Deleting", by(a.at(removal.GetTime()), removal.GetActor(), what))
	}
	presence := d.paint(st.GetPresence())
	if st.GetPresenceSince() != nil {
		presence += " since " + a.at(st.GetPresenceSince())
	}
	d.painted("Presence", presence)
	d.field("Last seen", a.at(st.GetLastSeen()))
	if st.GetLastSeen() != nil && !st.GetConfirmed() {
		d.field("Observed state", "not confirmed: as of "+a.at(st.GetLastSeen()))
	}
	d.field("Certificate until", a.at(st.GetCertificateExpiry()))
	d.field("Spoke", st.GetSpokeVersion())
	d.field("Groups", strings.Join(st.GetGroups(), ", "))
	if f := st.GetFacts(); f != nil {
		title := "Facts"
		if st.GetPresence() != yardarmv1.PresenceConnected && st.GetLastSeen() != nil {
			title = "Facts (as of " + a.ago(st.GetLastSeen()) + ")"
		}
		d.section(title)
		d.field("Kubernetes", f.GetKubernetesVersion())
		d.field("Distribution", f.GetDistribution())
		d.field("Provider", f.GetProvider())
		d.field("Region", f.GetRegion())
		d.field("Nodes", number(f.GetNodes()))
		for _, key := range slices.Sorted(maps.Keys(f.GetCapacity())) {
			d.field("Capacity "+key, f.GetCapacity()[key])
		}
		d.field("API groups", number(uint32(len(f.GetApiGroups())))) // -o yaml has their names
		d.end()
	}
	var assignments []*yardarmv1.Assignment
	for x, err := range hub.Assignments(ctx, &hubv1.ListAssignmentsRequest{Cluster: c.GetMetadata().GetName()}) {
		if err != nil {
			return err
		}
		assignments = append(assignments, x)
	}
	d.section("Bundles: " + counts(st.GetBundles()))
	d.assignments(assignments)
	d.end()
	d.problems(assignments)
	d.drift(assignments)
	d.conditions(st.GetConditions())
	return d.events(ctx, hub, &hubv1.WatchEventsRequest{Cluster: c.GetMetadata().GetName()})
}

func (d *sheet) group(ctx context.Context, hub *client.Client, g *yardarmv1.ClusterGroup) error {
	d.metadata(g.GetMetadata())
	if g.GetSpec().GetSelector() != nil {
		d.field("Selector", selectorText(&yardarmv1.ClusterGroupSpec{Selector: g.GetSpec().GetSelector()}))
	}
	d.field("Expression", g.GetSpec().GetExpression())
	d.field("Bundles", cmp.Or(strings.Join(g.GetStatus().GetBundles(), ", "), "none"))
	d.section(fmt.Sprintf("Clusters: %d", g.GetStatus().GetClusters()))
	t := d.table("NAME", "PHASE", "PRESENCE", "LABELS")
	for c, err := range hub.Clusters(ctx, &hubv1.ListClustersRequest{Group: g.GetMetadata().GetName(), PageSize: describedNames + 1}) {
		if err != nil {
			return err
		}
		if t.Len() == describedNames {
			break
		}
		st := c.GetStatus()
		t.Add(table.Text(c.GetMetadata().GetName()), table.Cell{Text: st.GetPhase(), Color: phaseColor(st.GetPhase())},
			table.Cell{Text: d.app.presence(c), Color: phaseColor(st.GetPresence())}, table.Text(labels(c.GetMetadata().GetLabels())))
	}
	shown := t.Len()
	d.write(t)
	if more := int(g.GetStatus().GetClusters()) - shown; more > 0 && shown == describedNames {
		d.line(fmt.Sprintf("and %s: yardarm get clusters --group %s", plural(more, "more cluster"), g.GetMetadata().GetName()))
	}
	d.end()
	d.conditions(g.GetStatus().GetConditions())
	return nil
}

func (d *sheet) bundle(ctx context.Context, hub *client.Client, b *yardarmv1.Bundle) error {
	st := b.GetStatus()
	name := b.GetMetadata().GetName()
	d.metadata(b.GetMetadata())
	d.field("Targets", cmp.Or(strings.Join(variedTargets(b), ", "), "none"))
	d.delivery(b.GetSpec().GetDelivery())
	d.customizations(b.GetSpec().GetCustomization(), b.GetSpec().GetTargets())
	d.source(b)
	if st.GetRevision() == 0 {
		d.field("Revision", "none yet")
	} else {
		revision, err := hub.GetRevision(ctx, &hubv1.GetRevisionRequest{Bundle: name, Number: st.GetRevision()})
		if err != nil {
			return err
		}
		d.section(fmt.Sprintf("Revision %d", st.GetRevision()))
		d.provenance(revision)
		d.end()
	}
	if st.GetLatestRevision() > st.GetRevision() {
		d.field("Newest revision", fmt.Sprint(st.GetLatestRevision()))
	}
	if rollsOut(b) {
		d.field("Rollout", rolloutText(b))
		d.field("Failure", st.GetRollout().GetFailure())
	}
	var assignments []*yardarmv1.Assignment
	for x, err := range hub.Assignments(ctx, &hubv1.ListAssignmentsRequest{Bundle: name}) {
		if err != nil {
			return err
		}
		assignments = append(assignments, x)
	}
	d.section("Clusters: " + counts(st.GetClusters()))
	d.assignments(assignments)
	d.end()
	d.problems(assignments)
	d.drift(assignments)
	d.conditions(st.GetConditions())
	return d.events(ctx, hub, &hubv1.WatchEventsRequest{Bundle: name})
}

func (d *sheet) revision(r *yardarmv1.Revision) {
	d.metadata(r.GetMetadata())
	d.field("Bundle", r.GetSpec().GetBundle())
	d.field("Revision", fmt.Sprint(r.GetSpec().GetNumber()))
	d.delivery(r.GetSpec().GetDelivery())
	d.customizations(r.GetSpec().GetCustomization(), r.GetSpec().GetTargets())
	d.field("Labels used", strings.Join(r.GetSpec().GetLabels(), ", "))
	d.provenance(r)
}

func (d *sheet) assignment(x *yardarmv1.Assignment) {
	a, spec, st := d.app, x.GetSpec(), x.GetStatus()
	d.field("Cluster", spec.GetCluster())
	d.field("Bundle", spec.GetBundle())
	if assigned(x) {
		d.section("To run")
		d.field("Revision", fmt.Sprint(spec.GetRevision()))
		d.field("Variant", spec.GetVariant())
		d.field("Digest", spec.GetDigest())
		d.field("Size", size(spec.GetSize()))
		d.delivery(spec.GetDelivery())
		d.field("Customization", customization(spec.GetCustomization()))
		d.pairs("Labels used", spec.GetLabels())
		d.field("Reconcile asked", times(spec.GetReconcile()))
		d.end()
	} else {
		d.field("To run", "nothing: no group assigns the bundle to the cluster any more")
	}
	d.section("How it is")
	d.painted("Phase", d.paint(st.GetPhase()))
	d.field("Reason", st.GetReason())
	d.field("Message", st.GetMessage())
	d.field("As of", a.at(st.GetAsOf()))
	d.end()
	r := st.GetReport()
	if r == nil {
		d.line("Its spoke has not reported on it.")
		return
	}
	d.section("Last report")
	d.field("Revision", fmt.Sprint(r.GetRevision()))
	d.field("Digest", r.GetDigest())
	if r.GetRenderedDigest() != r.GetDigest() {
		d.field("Rendered digest", r.GetRenderedDigest())
	}
	phase := d.paint(r.GetPhase())
	if r.GetSince() != nil {
		phase += " since " + a.at(r.GetSince())
	}
	d.painted("Phase", phase)
	d.field("Reason", r.GetReason())
	d.field("Message", r.GetMessage())
	if o := r.GetObjects(); o != nil {
		text := fmt.Sprintf("%d in all, %d applied, %d ready, %d failed", o.GetTotal(), o.GetApplied(), o.GetReady(), o.GetFailed())
		if o.GetPruning() > 0 {
			text += fmt.Sprintf(", %d still to be removed", o.GetPruning())
		}
		if o.GetDrifted() > 0 {
			text += fmt.Sprintf(", %d drifted", o.GetDrifted())
		}
		d.field("Objects", text)
	}
	d.field("Observed", a.at(r.GetObservedTime()))
	d.end()
	d.problems([]*yardarmv1.Assignment{x})
	d.drift([]*yardarmv1.Assignment{x})
	d.conditions(r.GetConditions())
}

// by is as in "2026-01-31 12:00:00 (2d ago) by admin: reason".
func by(when, actor, why string) string {
	if actor != "" {
		when += " by " + actor
	}
	if why != "" {
		when += ": " + why
	}
	return strings.TrimSpace(when)
}
