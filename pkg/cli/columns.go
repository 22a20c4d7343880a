package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// column is a column of the table of a type.
type column struct {
	name string
	wide bool // only with -o wide
	// moves says that the cell changes with the clock alone, so that a change of it is no news.
	moves bool
	cell  func(a *app, object client.Object) table.Cell
}

// col makes a column from a function of the concrete resource.
func col[T client.Object](name string, cell func(a *app, object T) string) column {
	return column{name: name, cell: func(a *app, object client.Object) table.Cell { return table.Text(cell(a, object.(T))) }}
}

func (c column) onlyWide() column { c.wide = true; return c }

func (c column) moving() column { c.moves = true; return c }

// coloured gives cells the colour of the phase that the resource is in.
func coloured[T client.Object](c column, phase func(T) string) column {
	text := c.cell
	c.cell = func(a *app, object client.Object) table.Cell {
		cell := text(a, object)
		cell.Color = phaseColor(phase(object.(T)))
		return cell
	}
	return c
}

// columnsOf are the columns of a type's table.
func columnsOf(t resource.Type) []column {
	switch t.Kind {
	case yardarmv1.KindCluster:
		return clusterColumns
	case yardarmv1.KindClusterGroup:
		return groupColumns
	case yardarmv1.KindBundle:
		return bundleColumns
	case yardarmv1.KindRevision:
		return revisionColumns
	case yardarmv1.KindStrategy:
		return strategyColumns
	case yardarmv1.KindGate:
		return gateColumns
	case yardarmv1.KindRole:
		return roleColumns
	case yardarmv1.KindRoleBinding:
		return bindingColumns
	case yardarmv1.KindNotification:
		return notificationColumns
	case yardarmv1.KindSourceCredentials:
		return credentialsColumns
	case yardarmv1.KindToken:
		return tokenColumns
	}
	return assignmentColumns
}

func name(_ *app, object client.Object) string { return object.GetMetadata().GetName() }

var nameColumn = col("NAME", name)

var ageColumn = col("AGE", func(a *app, object client.Object) string {
	return a.age(object.GetMetadata().GetCreationTimestamp())
}).moving()

var clusterColumns = []column{
	nameColumn,
	coloured(col("PHASE", func(_ *app, c *yardarmv1.Cluster) string { return c.GetStatus().GetPhase() }),
		func(c *yardarmv1.Cluster) string { return c.GetStatus().GetPhase() }),
	coloured(col("PRESENCE", (*app).presence), func(c *yardarmv1.Cluster) string { return c.GetStatus().GetPresence() }),
	col("BUNDLES", func(_ *app, c *yardarmv1.Cluster) string { return counts(c.GetStatus().GetBundles()) }),
	col("KUBERNETES", func(_ *app, c *yardarmv1.Cluster) string { return c.GetStatus().GetFacts().GetKubernetesVersion() }),
	ageColumn,
	col("NODES", func(_ *app, c *yardarmv1.Cluster) string { return number(c.GetStatus().GetFacts().GetNodes()) }).onlyWide(),
	col("DISTRIBUTION", func(_ *app, c *yardarmv1.Cluster) string { return c.GetStatus().GetFacts().GetDistribution() }).onlyWide(),
	col("REGION", func(_ *app, c *yardarmv1.Cluster) string { return c.GetStatus().GetFacts().GetRegion() }).onlyWide(),
	col("SPOKE", func(_ *app, c *yardarmv1.Cluster) string { return c.GetStatus().GetSpokeVersion() }).onlyWide(),
	col("LAST SEEN", func(a *app, c *yardarmv1.Cluster) string { return a.ago(c.GetStatus().GetLastSeen()) }).onlyWide().moving(),
	col("GROUPS", func(_ *app, c *yardarmv1.Cluster) string { return strings.Join(c.GetStatus().GetGroups(), ",") }).onlyWide(),
	col("LABELS", func(_ *app, c *yardarmv1.Cluster) string { return labels(c.GetMetadata().GetLabels()) }).onlyWide(),
}

var groupColumns = []column{
	nameColumn,
	col("CLUSTERS", func(_ *app, g *yardarmv1.ClusterGroup) string { return fmt.Sprint(g.GetStatus().GetClusters()) }),
	col("SELECTOR", func(_ *app, g *yardarmv1.ClusterGroup) string { return selectorText(g.GetSpec()) }),
	col("BUNDLES", func(_ *app, g *yardarmv1.ClusterGroup) string { return strings.Join(g.GetStatus().GetBundles(), ",") }),
	ageColumn,
	col("CONDITIONS", func(_ *app, g *yardarmv1.ClusterGroup) string { return conditions(g.GetStatus().GetConditions()) }).onlyWide(),
}

var bundleColumns = []column{
	nameColumn,
	col("REVISION", func(_ *app, b *yardarmv1.Bundle) string { return number(b.GetStatus().GetRevision()) }),
	coloured(col("ROLLOUT", func(_ *app, b *yardarmv1.Bundle) string { return rolloutText(b) }),
		func(b *yardarmv1.Bundle) string { return rolloutColor(b.GetStatus().GetRollout()) }),
	coloured(col("CLUSTERS", func(_ *app, b *yardarmv1.Bundle) string { return counts(b.GetStatus().GetClusters()) }),
		func(b *yardarmv1.Bundle) string { return countsPhase(b.GetStatus().GetClusters()) }),
	col("SOURCE", func(_ *app, b *yardarmv1.Bundle) string { return sourceText(b) }),
	col("TARGETS", func(_ *app, b *yardarmv1.Bundle) string { return strings.Join(targets(b), ",") }),
	ageColumn,
	col("DIGEST", func(_ *app, b *yardarmv1.Bundle) string { return shortDigest(b.GetStatus().GetDigest()) }).onlyWide(),
	col("NAMESPACE", func(_ *app, b *yardarmv1.Bundle) string { return b.GetSpec().GetDelivery().GetNamespace() }).onlyWide(),
	col("DEPENDS ON", func(_ *app, b *yardarmv1.Bundle) string {
		return dependencies(b.GetSpec().GetDelivery().GetDependsOn())
	}).onlyWide(),
	col("CONDITIONS", func(_ *app, b *yardarmv1.Bundle) string { return conditions(b.GetStatus().GetConditions()) }).onlyWide(),
}

var revisionColumns = []column{
	nameColumn,
	col("BUNDLE", func(_ *app, r *yardarmv1.Revision) string { return r.GetSpec().GetBundle() }),
	col("REVISION", func(_ *app, r *yardarmv1.Revision) string { return number(r.GetSpec().GetNumber()) }),
	col("DIGEST", func(_ *app, r *yardarmv1.Revision) string { return revisionDigest(r.GetSpec()) }),
	col("OBJECTS", func(_ *app, r *yardarmv1.Revision) string { return revisionObjects(r.GetSpec()) }),
	col("SIZE", func(_ *app, r *yardarmv1.Revision) string { return size(r.GetSpec().GetSize()) }),
	col("BY", func(_ *app, r *yardarmv1.Revision) string { return r.GetSpec().GetProvenance().GetActor() }),
	col("AGE", func(a *app, r *yardarmv1.Revision) string { return a.age(revisionTime(r)) }).moving(),
	col("MESSAGE", func(_ *app, r *yardarmv1.Revision) string { return revisionMessage(r) }).onlyWide(),
	col("SOURCE", func(_ *app, r *yardarmv1.Revision) string { return r.GetSpec().GetProvenance().GetSource() }).onlyWide(),
	col("COMMIT", func(_ *app, r *yardarmv1.Revision) string { return r.GetSpec().GetProvenance().GetCommit() }).onlyWide(),
}

var assignmentColumns = []column{
	col("CLUSTER", func(_ *app, x *yardarmv1.Assignment) string { return x.GetSpec().GetCluster() }),
	col("BUNDLE", func(_ *app, x *yardarmv1.Assignment) string { return x.GetSpec().GetBundle() }),
	col("REVISION", func(_ *app, x *yardarmv1.Assignment) string { return number(x.GetSpec().GetRevision()) }),
	coloured(col("PHASE", func(_ *app, x *yardarmv1.Assignment) string { return x.GetStatus().GetPhase() }),
		func(x *yardarmv1.Assignment) string { return x.GetStatus().GetPhase() }),
	col("REASON", func(_ *app, x *yardarmv1.Assignment) string { return x.GetStatus().GetReason() }),
	col("OBJECTS", func(_ *app, x *yardarmv1.Assignment) string { return objects(x) }),
	col("DRIFT", func(_ *app, x *yardarmv1.Assignment) string { return cmp.Or(drifted(x), "-") }),
	col("AS OF", func(a *app, x *yardarmv1.Assignment) string { return a.ago(x.GetStatus().GetAsOf()) }).moving(),
	col("REPORTED", func(_ *app, x *yardarmv1.Assignment) string { return reported(x.GetStatus().GetReport()) }).onlyWide(),
	col("DIGEST", func(_ *app, x *yardarmv1.Assignment) string { return shortDigest(x.GetSpec().GetDigest()) }).onlyWide(),
	col("MESSAGE", func(_ *app, x *yardarmv1.Assignment) string { return table.Shorten(x.GetStatus().GetMessage(), maxWhy) }).onlyWide(),
}

// presence is a cluster's presence; unless it is there, with how long it has been so.
func (a *app) presence(c *yardarmv1.Cluster) string {
	st := c.GetStatus()
	switch st.GetPresence() {
	case yardarmv1.PresenceStale, yardarmv1.PresenceUnknown:
		since := st.GetLastSeen()
		if since == nil {
			since = st.GetPresenceSince()
		}
		return st.GetPresence() + a.lasting(since)
	}
	return st.GetPresence()
}

// phaseColor is the colour of a phase or a presence.
func phaseColor(phase string) table.Color {
	switch phase {
	case yardarmv1.PhaseReady, yardarmv1.PresenceConnected, yardarmv1.ClusterActive:
		return table.Green
	case yardarmv1.PhaseFailed, yardarmv1.PhaseDegraded, yardarmv1.ClusterBanned:
		return table.Red
	case yardarmv1.PhaseNeverConnected:
		return table.Gray
	case "":
		return table.Plain
	}
	return table.Yellow // Pending, Progressing, Held, Removing, Stale, Unknown, Enrolling, Deleting
}

// counts is how many are ready of how many, and what the others are: "1/3 (1 failing, 1 stale)". Failing are
// those that have failed and those that are degraded, which are counted as one. Drifted may be any.
func counts(c *yardarmv1.PhaseCounts) string {
	var others []string
	for _, other := range []struct {
		count uint32
		word  string
	}{
		{c.GetFailed(), "failing"}, {c.GetHeld(), "held"}, {c.GetProgressing(), "progressing"}, {c.GetPending(), "pending"},
		{c.GetStale(), "stale"}, {c.GetNeverConnected(), "never connected"}, {c.GetDrifted(), "drifted"},
	} {
		if other.count > 0 {
			others = append(others, fmt.Sprintf("%d %s", other.count, other.word))
		}
	}
	text := fmt.Sprintf("%d/%d", c.GetReady(), c.GetTotal())
	if len(others) > 0 {
		text += " (" + strings.Join(others, ", ") + ")"
	}
	return text
}

// countsPhase is the worst phase that is counted.
func countsPhase(c *yardarmv1.PhaseCounts) string {
	switch {
	case c.GetTotal() == 0:
		return ""
	case c.GetFailed() > 0:
		return yardarmv1.PhaseFailed
	case c.GetReady() == c.GetTotal():
		return yardarmv1.PhaseReady
	}
	return yardarmv1.PhaseProgressing
}

// objects is how many of the objects are ready, or were when that was last known.
func objects(x *yardarmv1.Assignment) string {
	r := x.GetStatus().GetReport()
	if r.GetObjects() == nil {
		return ""
	}
	text := fmt.Sprintf("%d/%d", r.GetObjects().GetReady(), r.GetObjects().GetTotal())
	if r.GetPhase() != x.GetStatus().GetPhase() {
		return "was " + text
	}
	return text
}

// reported is what the newest report said, whether or not it still counts.
func reported(r *yardarmv1.Report) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s at revision %d", r.GetPhase(), r.GetRevision())
}

func targets(b *yardarmv1.Bundle) []string {
	var groups []string
	for _, target := range b.GetSpec().GetTargets() {
		groups = append(groups, target.GetGroup())
	}
	return groups
}

// variedTargets are the groups with the variants that they get, as in "prod (variant large)".
func variedTargets(b *yardarmv1.Bundle) []string {
	out := targets(b)
	for i, target := range b.GetSpec().GetTargets() {
		if target.GetVariant() != "" {
			out[i] += fmt.Sprintf(" (variant %s)", target.GetVariant())
		}
	}
	return out
}

// selectorText writes a group's selector in the grammar of -l, and its expression after it.
func selectorText(spec *yardarmv1.ClusterGroupSpec) string {
	var parts []string
	if labels := spec.GetSelector().GetMatchLabels(); len(labels) > 0 {
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			parts = append(parts, key+"="+labels[key])
		}
	}
	for _, e := range spec.GetSelector().GetMatchExpressions() {
		values := "(" + strings.Join(e.GetValues(), ",") + ")"
		switch e.GetOperator() {
		case "In":
			parts = append(parts, e.GetKey()+" in "+values)
		case "NotIn":
			parts = append(parts, e.GetKey()+" notin "+values)
		case "DoesNotExist":
			parts = append(parts, "!"+e.GetKey())
		default:
			parts = append(parts, e.GetKey())
		}
	}
	text := strings.Join(parts, ",")
	switch {
	case spec.GetExpression() == "" && text == "":
		return "all clusters"
	case spec.GetExpression() == "":
		return text
	case text == "":
		return spec.GetExpression()
	}
	return text + " and " + spec.GetExpression()
}

func labels(m map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, key+"="+m[key])
	}
	return strings.Join(parts, ",")
}

// conditions lists those that say something is wrong, or what the hub wants known.
func conditions(list []*yardarmv1.Condition) string {
	var parts []string
	for _, c := range list {
		parts = append(parts, c.GetType()+"="+c.GetStatus())
	}
	return strings.Join(parts, ",")
}

// shortDigest is enough of a digest to tell revisions apart, as Git does with commits.
func shortDigest(digest string) string {
	const length = len("sha256:") + 12
	if len(digest) > length {
		return digest[:length]
	}
	return digest
}

func size(bytes uint64) string {
	switch {
	case bytes < 1<<10:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}

// number writes a count that is 0 when it is not known.
func number(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// sourceText is where a bundle's revisions come from: what is wrong there, or else the commit.
func sourceText(b *yardarmv1.Bundle) string {
	st := b.GetStatus().GetSource()
	switch {
	case b.GetSpec().GetSource() == nil:
		return "-"
	case st.GetProblem() != nil:
		return st.GetProblem().GetReason()
	}
	return cmp.Or(st.GetCommit()[:min(8, len(st.GetCommit()))], "not yet seen")
}
