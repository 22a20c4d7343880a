package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// statusFlags say how much to show.
type statusFlags struct {
	limit    int
	exitCode bool
	output   string
}

func (a *app) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [bundle/NAME | cluster/NAME]",
		Short: "Show how the fleet is, and what is not ready and why",
		Long: `Show how the fleet is: the hub, the clusters by presence, the bundles by how far they are, and then what is
not ready and why. With a bundle or a cluster, show every cluster of the bundle or every bundle of the cluster.

Clusters that are not ready for the same reason are shown in one row; 'yardarm describe' has every problem, and
every field that has drifted, in full. With --exit-code, the exit code is 1 unless everything that is shown is
ready, with the latest revision; what has drifted may be ready.`,
		Example: `  yardarm status
  yardarm status bundle/web
  yardarm status --exit-code && echo all well
  yardarm status -o json | jq .notReady`,
		Args:              arguments(0, 2, "nothing, bundle/NAME or cluster/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle, resource.Cluster),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.limit < 0 {
				return usage("--limit is %d; it must not be negative", f.limit)
			}
			if len(args) == 0 {
				return a.status(cmd.Context(), f)
			}
			t, name, err := one(args, resource.Bundle, resource.Cluster)
			if err != nil {
				return err
			}
			return a.statusFor(cmd.Context(), t, name, f)
		},
	}
	cmd.Flags().IntVar(&f.limit, "limit", 20, "name at most this many that are not ready; 0 names all")
	cmd.Flags().BoolVar(&f.exitCode, "exit-code", false, "end with 1 unless everything is ready")
	formatFlag(cmd, &f.output, formatTable, formatWide, formatJSON, formatYAML)
	return cmd
}

// status shows the whole fleet.
func (a *app) status(ctx context.Context, f statusFlags) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	s, err := readFleet(ctx, hub)
	if err != nil {
		return err
	}
	if f.output == formatJSON || f.output == formatYAML {
		err = a.printValue(f.output, a.fleetValue(s))
	} else {
		err = a.printFleet(s, f)
	}
	if err == nil && f.exitCode && !s.ready() {
		return &outcome{code: ExitNo}
	}
	return err
}

func (a *app) printFleet(s *fleetState, f statusFlags) error {
	a.print("Hub:       %s (context %s), version %s", a.address, a.context, table.Clean(s.hub.GetVersion()))
	if f.output == formatWide {
		a.print("           fleet %s, cursor %s", table.Clean(s.hub.GetFleet()), table.Clean(s.hub.GetCursor()))
	}
	if s.hub.GetReadOnly() != "" {
		a.print("           takes no changes: %s", table.Clean(s.hub.GetReadOnly()))
	}
	a.print("Clusters:  %s", a.presences(s.clusters))
	a.print("Bundles:   %s", a.readiness(s))
	if err := a.printAway(s.away, f.limit); err != nil {
		return err
	}
	if err := a.printRollouts(s.bundles, f.limit); err != nil {
		return err
	}
	if err := a.printWaiting(s.waiting, f.limit); err != nil {
		return err
	}
	if err := a.printDrifted(s.drifted, f.limit); err != nil {
		return err
	}
	if s.ready() && len(s.clusters) > 0 {
		a.print("\nEverything is ready.")
	}
	return nil
}

// printAway lists clusters that are not connected.
func (a *app) printAway(away []*yardarmv1.Cluster, limit int) error {
	if len(away) == 0 {
		return nil
	}
	a.print("\nNot connected:")
	t := a.newTable("CLUSTER", "PHASE", "PRESENCE", "BUNDLES")
	shown := first(away, limit)
	for _, c := range shown {
		st := c.GetStatus()
		t.Add(table.Text(c.GetMetadata().GetName()),
			table.Cell{Text: st.GetPhase(), Color: phaseColor(st.GetPhase())},
			table.Cell{Text: a.presence(c), Color: phaseColor(st.GetPresence())},
			table.Text(fmt.Sprint(st.GetBundles().GetTotal())))
	}
	if err := a.write(t); err != nil {
		return err
	}
	a.printMore(len(away)-len(shown), "cluster")
	return nil
}

// printRollouts lists the bundles whose latest revision is on its way, or has not got through.
func (a *app) printRollouts(bundles []*yardarmv1.Bundle, limit int) error {
	t, more := a.newTable("BUNDLE", "ROLLOUT", "WHY"), 0
	for _, b := range bundles {
		switch r := b.GetStatus().GetRollout(); {
		case !rollsOut(b):
		case limit > 0 && t.Len() == limit:
			more++
		default:
			t.Add(table.Text(b.GetMetadata().GetName()), table.Cell{Text: rolloutText(b), Color: phaseColor(rolloutColor(r))}, table.Text(cmp.Or(r.GetFailure(), "-")))
		}
	}
	if t.Len() == 0 {
		return nil
	}
	a.print("\nRolling out ('yardarm rollout status bundle/NAME' says more):")
	if err := a.write(t); err != nil {
		return err
	}
	a.printMore(more, "bundle")
	return nil
}

// printWaiting lists assignments that are not ready, and why.
func (a *app) printWaiting(waiting []*yardarmv1.Assignment, limit int) error {
	if len(waiting) == 0 {
		return nil
	}
	a.print("\nNot ready:")
	t := a.newTable("BUNDLE", "CLUSTER", "REVISION", "PHASE", "WHY")
	rows := alike(waiting)
	shown := first(rows, limit)
	for _, same := range shown {
		x := same[0]
		t.Add(table.Text(x.GetSpec().GetBundle()), table.Text(clustersOf(same)), table.Text(number(x.GetSpec().GetRevision())),
			table.Cell{Text: a.phaseOf(same), Color: phaseColor(x.GetStatus().GetPhase())}, table.Text(a.whyOf(same)))
	}
	if err := a.write(t); err != nil {
		return err
	}
	more := 0
	for _, same := range rows[len(shown):] {
		more += len(same)
	}
	a.printMore(more, "assignment")
	return nil
}

func (a *app) printMore(n int, word string) {
	if n > 0 {
		a.print("and %s; --limit 0 shows all", plural(n, "more "+word))
	}
}

// first is at most limit of a list; all when limit is 0.
func first[T any](list []T, limit int) []T {
	if limit > 0 && len(list) > limit {
		return list[:limit]
	}
	return list
}

// statusFor shows one bundle in its clusters, or one cluster's bundles.
func (a *app) statusFor(ctx context.Context, t resource.Type, name string, f statusFlags) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	about, err := fetchOne(ctx, hub, t, name)
	if err != nil {
		return err
	}
	req := &hubv1.ListAssignmentsRequest{Bundle: name}
	bundle, _ := about.(*yardarmv1.Bundle)
	ready := !rollsOut(bundle)
	if cluster, ok := about.(*yardarmv1.Cluster); ok {
		req = &hubv1.ListAssignmentsRequest{Cluster: name}
		ready = cluster.GetStatus().GetPresence() == yardarmv1.PresenceConnected
	}
	assignments, err := collect(hub.Assignments(ctx, req))
	if err != nil {
		return err
	}
	for _, x := range assignments {
		ready = ready && allWell(x)
	}
	if f.output == formatJSON || f.output == formatYAML {
		err = a.printValue(f.output, oneValue(about, assignments, ready))
	} else {
		err = a.printOne(about, assignments)
	}
	if err == nil && f.exitCode && !ready {
		return &outcome{code: ExitNo}
	}
	return err
}

func (a *app) printOne(about client.Object, assignments []*yardarmv1.Assignment) error {
	switch o := about.(type) {
	case *yardarmv1.Bundle:
		st := o.GetStatus()
		if st.GetRevision() == 0 && st.GetLatestRevision() == 0 {
			a.print("%s has no revision yet", typeName(o))
			break
		}
		what := "has no revision whose rollout has come to its end"
		if st.GetRevision() != 0 {
			what = fmt.Sprintf("revision %d %s", st.GetRevision(), shortDigest(st.GetDigest()))
		}
		a.print("%s %s, for %s: %s", typeName(o), what, cmp.Or(strings.Join(targets(o), ", "), "no group"),
			table.Paint(counts(st.GetClusters()), phaseColor(countsPhase(st.GetClusters())), a.colors()))
		if rollsOut(o) {
			a.print("%s", a.rolloutIn(o))
		}
	case *yardarmv1.Cluster:
		st := o.GetStatus()
		a.print("%s is %s, %s; bundles ready: %s", typeName(o), table.Paint(table.Clean(st.GetPhase()), phaseColor(st.GetPhase()), a.colors()),
			table.Paint(table.Clean(a.presence(o)), phaseColor(st.GetPresence()), a.colors()),
			table.Paint(counts(st.GetBundles()), phaseColor(countsPhase(st.GetBundles())), a.colors()))
	}
	if len(assignments) == 0 {
		return nil
	}
	out := a.newTable("CLUSTER", "BUNDLE", "REVISION", "PHASE", "OBJECTS", "DRIFT", "AS OF", "WHY")
	for _, x := range assignments {
		st := x.GetStatus()
		out.Add(table.Text(x.GetSpec().GetCluster()), table.Text(x.GetSpec().GetBundle()), table.Text(number(x.GetSpec().GetRevision())),
			table.Cell{Text: a.phase(x), Color: phaseColor(st.GetPhase())}, table.Text(objects(x)), table.Text(cmp.Or(drifted(x), "-")), table.Text(a.ago(st.GetAsOf())), table.Text(a.shortWhy(x)))
	}
	a.print("")
	return a.write(out)
}
