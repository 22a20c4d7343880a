package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// statusFlags say how much to show.
type statusFlags struct {
	limit    int
	exitCode bool
}

func (a *app) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [bundle/NAME | cluster/NAME]",
		Short: "Show how the fleet is, and what is not ready and why",
		Long: `Show how the fleet is: the hub, the clusters by presence, the bundles by how far they are, and then what is
not ready and why. With a bundle or a cluster, show every cluster of the bundle or every bundle of the cluster.

With --exit-code, the exit code is 1 unless everything that is shown is ready.`,
		Example: `  yardarm status
  yardarm status bundle/web
  yardarm status --exit-code && echo all well`,
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
	return cmd
}

// status shows the whole fleet.
func (a *app) status(ctx context.Context, f statusFlags) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	info, err := hub.GetHub(ctx, &hubv1.GetHubRequest{})
	if err != nil {
		return err
	}
	var clusters []*yardarmv1.Cluster
	for cluster, err := range hub.Clusters(ctx, &hubv1.ListClustersRequest{}) {
		if err != nil {
			return err
		}
		clusters = append(clusters, cluster)
	}
	var bundles []*yardarmv1.Bundle
	for bundle, err := range hub.Bundles(ctx, &hubv1.ListBundlesRequest{}) {
		if err != nil {
			return err
		}
		bundles = append(bundles, bundle)
	}
	a.print("Hub:       %s (context %s), version %s, fleet %s, cursor %s", a.address, a.context, info.GetVersion(), info.GetFleet(), info.GetCursor())
	if info.GetReadOnly() != "" {
		a.print("           takes no changes: %s", table.Clean(info.GetReadOnly()))
	}
	a.print("Clusters:  %s", presences(clusters))
	a.print("Bundles:   %s", readiness(bundles))

	var waiting []*yardarmv1.Assignment
	for _, bundle := range bundles {
		c := bundle.GetStatus().GetClusters()
		if c.GetReady() == c.GetTotal() {
			continue
		}
		for x, err := range hub.Assignments(ctx, &hubv1.ListAssignmentsRequest{Bundle: bundle.GetMetadata().GetName()}) {
			if err != nil {
				return err
			}
			if x.GetStatus().GetPhase() != yardarmv1.PhaseReady {
				waiting = append(waiting, x)
			}
		}
	}
	away := slices.DeleteFunc(slices.Clone(clusters), func(c *yardarmv1.Cluster) bool {
		return c.GetStatus().GetPresence() == yardarmv1.PresenceConnected
	})
	if err := a.printAway(away, f.limit); err != nil {
		return err
	}
	if err := a.printWaiting(waiting, f.limit); err != nil {
		return err
	}
	if len(waiting) == 0 && len(away) == 0 && len(clusters) > 0 {
		a.print("\nEverything is ready.")
	}
	if f.exitCode && (len(waiting) > 0 || len(away) > 0 || info.GetReadOnly() != "") {
		return &outcome{code: ExitNo}
	}
	return nil
}

// presences is as in "3: 2 connected, 1 stale".
func presences(clusters []*yardarmv1.Cluster) string {
	count := make(map[string]int)
	for _, c := range clusters {
		count[c.GetStatus().GetPresence()]++
		switch c.GetStatus().GetPhase() {
		case yardarmv1.ClusterBanned, yardarmv1.ClusterDeleting:
			count[c.GetStatus().GetPhase()]++
		}
	}
	var parts []string
	for _, p := range []struct{ presence, words string }{
		{yardarmv1.PresenceConnected, "connected"}, {yardarmv1.PresenceStale, "stale"}, {yardarmv1.PresenceUnknown, "unknown"},
		{yardarmv1.PresenceNeverConnected, "never connected"}, {yardarmv1.ClusterBanned, "banned"}, {yardarmv1.ClusterDeleting, "deleting"},
	} {
		if count[p.presence] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[p.presence], p.words))
		}
	}
	if len(clusters) == 0 {
		return "none; 'yardarm enroll NAME' adds one"
	}
	return fmt.Sprintf("%d: %s", len(clusters), strings.Join(parts, ", "))
}

// readiness is as in "3: 1 ready everywhere, 1 failed somewhere, 1 under way".
func readiness(bundles []*yardarmv1.Bundle) string {
	if len(bundles) == 0 {
		return "none; 'yardarm publish DIR --bundle NAME --to GROUP' makes one"
	}
	var parts []string
	add := func(words string, which func(*yardarmv1.Bundle, *yardarmv1.PhaseCounts) bool) {
		n := 0
		for _, b := range bundles {
			if which(b, b.GetStatus().GetClusters()) {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, words))
		}
	}
	type counts = *yardarmv1.PhaseCounts
	idle := func(b *yardarmv1.Bundle, c counts) bool { return c.GetTotal() == 0 || b.GetStatus().GetRevision() == 0 }
	troubled := func(_ *yardarmv1.Bundle, c counts) bool { return c.GetFailed() > 0 || c.GetHeld() > 0 }
	done := func(b *yardarmv1.Bundle, c counts) bool { return !idle(b, c) && c.GetReady() == c.GetTotal() }
	add("ready everywhere", done)
	add("failed or held somewhere", troubled)
	add("not everywhere yet", func(b *yardarmv1.Bundle, c counts) bool { return !idle(b, c) && !troubled(b, c) && !done(b, c) })
	add("in no cluster", idle)
	return fmt.Sprintf("%d: %s", len(bundles), strings.Join(parts, ", "))
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

// printWaiting lists assignments that are not ready, worst first, and why.
func (a *app) printWaiting(waiting []*yardarmv1.Assignment, limit int) error {
	if len(waiting) == 0 {
		return nil
	}
	slices.SortStableFunc(waiting, func(x, y *yardarmv1.Assignment) int {
		return cmp.Or(cmp.Compare(severity(x), severity(y)),
			strings.Compare(x.GetSpec().GetBundle(), y.GetSpec().GetBundle()), strings.Compare(x.GetSpec().GetCluster(), y.GetSpec().GetCluster()))
	})
	a.print("\nNot ready:")
	t := a.newTable("BUNDLE", "CLUSTER", "REVISION", "PHASE", "WHY")
	shown := first(waiting, limit)
	for _, x := range shown {
		t.Add(table.Text(x.GetSpec().GetBundle()), table.Text(x.GetSpec().GetCluster()), table.Text(number(x.GetSpec().GetRevision())),
			table.Cell{Text: a.phase(x), Color: phaseColor(x.GetStatus().GetPhase())}, table.Text(a.why(x)))
	}
	if err := a.write(t); err != nil {
		return err
	}
	a.printMore(len(waiting)-len(shown), "assignment")
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
	req := &hubv1.ListAssignmentsRequest{}
	ready := true
	if t.Is(resource.Bundle) {
		bundle, err := hub.GetBundle(ctx, &hubv1.GetBundleRequest{Name: name})
		if err != nil {
			return err
		}
		req.Bundle = name
		st := bundle.GetStatus()
		if st.GetRevision() == 0 {
			a.print("bundle/%s has no revision yet", name)
		} else {
			a.print("bundle/%s revision %d %s, for %s: %s", name, st.GetRevision(), shortDigest(st.GetDigest()),
				cmp.Or(strings.Join(targets(bundle), ", "), "no group"), counts(st.GetClusters()))
		}
	} else {
		cluster, err := hub.GetCluster(ctx, &hubv1.GetClusterRequest{Name: name})
		if err != nil {
			return err
		}
		req.Cluster = name
		ready = cluster.GetStatus().GetPresence() == yardarmv1.PresenceConnected
		a.print("cluster/%s is %s, %s; bundles ready: %s", name, cluster.GetStatus().GetPhase(), a.presence(cluster), counts(cluster.GetStatus().GetBundles()))
	}
	out := a.newTable("CLUSTER", "BUNDLE", "REVISION", "PHASE", "OBJECTS", "AS OF", "WHY")
	for x, err := range hub.Assignments(ctx, req) {
		if err != nil {
			return err
		}
		st := x.GetStatus()
		ready = ready && st.GetPhase() == yardarmv1.PhaseReady
		out.Add(table.Text(x.GetSpec().GetCluster()), table.Text(x.GetSpec().GetBundle()), table.Text(number(x.GetSpec().GetRevision())),
			table.Cell{Text: a.phase(x), Color: phaseColor(st.GetPhase())}, table.Text(objects(x)), table.Text(a.ago(st.GetAsOf())), table.Text(a.why(x)))
	}
	if out.Len() > 0 {
		a.print("")
		if err := a.write(out); err != nil {
			return err
		}
	}
	if f.exitCode && !ready {
		return &outcome{code: ExitNo}
	}
	return nil
}
