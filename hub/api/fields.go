package api

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/query"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/gate"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// What each kind can be filtered, ordered and counted by. Labels come on top, where a kind has them. The proto lists the names for callers.

var (
	presences = []string{yardarmv1.PresenceConnected, yardarmv1.PresenceStale, yardarmv1.PresenceNeverConnected, yardarmv1.PresenceUnknown}
	states    = []string{yardarmv1.StateReady, yardarmv1.StateProgressing, yardarmv1.StateDegraded, yardarmv1.StateDrifted,
		yardarmv1.StateStale, yardarmv1.StateNeverConnected}
	clusterPhases = []string{yardarmv1.ClusterActive, yardarmv1.ClusterEnrolling, yardarmv1.ClusterBanned, yardarmv1.ClusterDeleting}
	phases        = []string{yardarmv1.PhaseReady, yardarmv1.PhaseProgressing, yardarmv1.PhasePending, yardarmv1.PhaseDegraded, yardarmv1.PhaseFailed,
		yardarmv1.PhaseHeld, yardarmv1.PhaseRemoving, yardarmv1.PhaseStale, yardarmv1.PhaseNeverConnected}
	rolloutPhases = []string{yardarmv1.RolloutPending, yardarmv1.RolloutProgressing, yardarmv1.RolloutPaused, yardarmv1.RolloutCompleted,
		yardarmv1.RolloutRollingBack, yardarmv1.RolloutRolledBack}
)

var clusterFields = &query.Schema[*index.Cluster]{
	Labels: func(c *index.Cluster) map[string]string { return c.Row.GetMetadata().GetLabels() },
	Name:   (*index.Cluster).Name,
	Fields: slices.Concat([]query.Field[*index.Cluster]{
		{Name: "name", Text: (*index.Cluster).Name},
		{Name: "presence", Text: presenceOf, Words: presences},
		{Name: "state", Text: func(c *index.Cluster) string { return c.State }, Words: states},
		// No phase of a cluster is one of a bundle: the words tell which is meant.
		{Name: "phase", Texts: func(c *index.Cluster) []string { return c.Phases }, Words: slices.Concat(clusterPhases, phases)},
		{Name: "group", Texts: func(c *index.Cluster) []string { return c.Groups }},
		{Name: "bundle", Texts: bundlesOf},
		{Name: "label", Texts: labelsOf},
		{Name: "spoke", Text: func(c *index.Cluster) string { return c.Observed.GetSpokeVersion() }, Version: true},
		{Name: "nodes", Number: func(c *index.Cluster) int64 { return int64(factsOf(c).GetNodes()) }},
		{Name: "created", Time: true, Number: func(c *index.Cluster) int64 { return nanos(c.Row.GetMetadata().GetCreationTimestamp()) }},
		{Name: "lastSeen", Time: true, Number: lastSeenOf},
	}, factFields(func(c *index.Cluster) *index.Cluster { return c }), countFields("bundles", func(c *index.Cluster) *yardarmv1.PhaseCounts { return c.Bundles })),
}

var assignmentFields = &query.Schema[pair]{
	Labels: func(p pair) map[string]string { return p.cluster.Row.GetMetadata().GetLabels() },
	Name:   pair.name,
	Fields: slices.Concat([]query.Field[pair]{
		{Name: "name", Text: pair.name},
		{Name: "cluster", Text: func(p pair) string { return p.cluster.Name() }},
		{Name: "bundle", Text: func(p pair) string { return p.Bundle }},
		{Name: "phase", Text: func(p pair) string { return p.Phase }, Words: phases},
		{Name: "reason", Text: func(p pair) string { return p.Reason }},
		{Name: "revision", Number: func(p pair) int64 { return int64(p.Revision) }},
		{Name: "drifted", Number: func(p pair) int64 { return int64(p.Report.GetObjects().GetDrifted()) }},
		{Name: "problems", Number: func(p pair) int64 { return int64(len(p.Report.GetProblems())) }},
		{Name: "presence", Text: func(p pair) string { return presenceOf(p.cluster) }, Words: presences},
		{Name: "group", Texts: func(p pair) []string { return p.cluster.Groups }},
		{Name: "since", Time: true, Number: func(p pair) int64 { return nanos(p.Report.GetSince()) }},
	}, factFields(func(p pair) *index.Cluster { return p.cluster })),
}

var bundleFields = &query.Schema[*index.Bundle]{
	Labels: func(b *index.Bundle) map[string]string { return b.Row.GetMetadata().GetLabels() },
	Name:   func(b *index.Bundle) string { return b.Row.GetMetadata().GetName() },
	Fields: slices.Concat([]query.Field[*index.Bundle]{
		{Name: "name", Text: func(b *index.Bundle) string { return b.Row.GetMetadata().GetName() }},
		{Name: "group", Texts: func(b *index.Bundle) []string { return groupsOf(b.Row.GetSpec().GetTargets()) }},
		{Name: "revision", Number: func(b *index.Bundle) int64 { return int64(b.Settled) }},
		{Name: "latest", Number: func(b *index.Bundle) int64 { return int64(b.Row.GetStatus().GetLatestRevision()) }},
		{Name: "rollout", Text: func(b *index.Bundle) string { return rollout.Summary(b.Row, b.Rollout).GetPhase() }, Words: rolloutPhases},
		{Name: "source", Text: func(b *index.Bundle) string { return sourceURL(b.Row) }},
		{Name: "source.problem", Text: func(b *index.Bundle) string { return b.Source.GetProblem().GetReason() }},
		{Name: "created", Time: true, Number: func(b *index.Bundle) int64 { return nanos(b.Row.GetMetadata().GetCreationTimestamp()) }},
	}, countFields("clusters", func(b *index.Bundle) *yardarmv1.PhaseCounts { return b.Clusters })),
}

var groupFields = &query.Schema[*index.Group]{
	Labels: func(g *index.Group) map[string]string { return g.Row.GetMetadata().GetLabels() },
	Name:   (*index.Group).Name,
	Fields: []query.Field[*index.Group]{
		{Name: "name", Text: (*index.Group).Name},
		{Name: "clusters", Number: func(g *index.Group) int64 { return int64(g.Clusters) }},
		{Name: "bundle", Texts: func(g *index.Group) []string { return g.Bundles }},
		{Name: "created", Time: true, Number: func(g *index.Group) int64 { return nanos(g.Row.GetMetadata().GetCreationTimestamp()) }},
	},
}

var roleFields = &query.Schema[*yardarmv1.Role]{
	Labels: func(r *yardarmv1.Role) map[string]string { return r.GetMetadata().GetLabels() },
	Name:   func(r *yardarmv1.Role) string { return r.GetMetadata().GetName() },
	Fields: []query.Field[*yardarmv1.Role]{
		{Name: "name", Text: func(r *yardarmv1.Role) string { return r.GetMetadata().GetName() }},
		{Name: "created", Time: true, Number: func(r *yardarmv1.Role) int64 { return nanos(r.GetMetadata().GetCreationTimestamp()) }},
	},
}

var bindingFields = &query.Schema[*yardarmv1.RoleBinding]{
	Labels: func(b *yardarmv1.RoleBinding) map[string]string { return b.GetMetadata().GetLabels() },
	Name:   func(b *yardarmv1.RoleBinding) string { return b.GetMetadata().GetName() },
	Fields: []query.Field[*yardarmv1.RoleBinding]{
		{Name: "name", Text: func(b *yardarmv1.RoleBinding) string { return b.GetMetadata().GetName() }},
		{Name: "role", Text: func(b *yardarmv1.RoleBinding) string { return b.GetSpec().GetRole() }},
		{Name: "subject", Texts: subjectsOf},
		{Name: "created", Time: true, Number: func(b *yardarmv1.RoleBinding) int64 { return nanos(b.GetMetadata().GetCreationTimestamp()) }},
	},
}

var gateFields = &query.Schema[*yardarmv1.Gate]{
	Labels: func(g *yardarmv1.Gate) map[string]string { return g.GetMetadata().GetLabels() },
	Name:   func(g *yardarmv1.Gate) string { return g.GetMetadata().GetName() },
	Fields: []query.Field[*yardarmv1.Gate]{
		{Name: "name", Text: func(g *yardarmv1.Gate) string { return g.GetMetadata().GetName() }},
		{Name: "type", Text: gate.Type, Words: []string{yardarmv1.GateFreeze, yardarmv1.GateWindow}},
		{Name: "state", Text: func(g *yardarmv1.Gate) string { return g.GetStatus().GetState() }, Words: []string{yardarmv1.GateOpen, yardarmv1.GateShut}},
		{Name: "actor", Text: func(g *yardarmv1.Gate) string { return g.GetStatus().GetActor() }},
		{Name: "created", Time: true, Number: func(g *yardarmv1.Gate) int64 { return nanos(g.GetMetadata().GetCreationTimestamp()) }},
	},
}

var notificationFields = &query.Schema[*storev1.Notification]{
	Labels: func(n *storev1.Notification) map[string]string { return n.GetNotification().GetMetadata().GetLabels() },
	Name:   func(n *storev1.Notification) string { return n.GetNotification().GetMetadata().GetName() },
	Fields: []query.Field[*storev1.Notification]{
		{Name: "name", Text: func(n *storev1.Notification) string { return n.GetNotification().GetMetadata().GetName() }},
		{Name: "host", Text: func(n *storev1.Notification) string { return n.GetHost() }},
		{Name: "format", Text: func(n *storev1.Notification) string {
			return cmp.Or(n.GetNotification().GetSpec().GetFormat(), yardarmv1.FormatJSON)
		}},
		{Name: "created", Time: true, Number: func(n *storev1.Notification) int64 {
			return nanos(n.GetNotification().GetMetadata().GetCreationTimestamp())
		}},
	},
}

// credentialsFields are of credentials as they are shown, since the rows do not know what names them.
var credentialsFields = &query.Schema[*yardarmv1.SourceCredentials]{
	Labels: func(c *yardarmv1.SourceCredentials) map[string]string { return c.GetMetadata().GetLabels() },
	Name:   func(c *yardarmv1.SourceCredentials) string { return c.GetMetadata().GetName() },
	Fields: []query.Field[*yardarmv1.SourceCredentials]{
		{Name: "name", Text: func(c *yardarmv1.SourceCredentials) string { return c.GetMetadata().GetName() }},
		{Name: "url", Texts: func(c *yardarmv1.SourceCredentials) []string { return c.GetSpec().GetUrls() }},
		{Name: "holds", Texts: func(c *yardarmv1.SourceCredentials) []string { return c.GetStatus().GetHolds() }},
		{Name: "bundle", Texts: func(c *yardarmv1.SourceCredentials) []string { return c.GetStatus().GetBundles() }},
		{Name: "created", Time: true, Number: func(c *yardarmv1.SourceCredentials) int64 { return nanos(c.GetMetadata().GetCreationTimestamp()) }},
	},
}

var tokenFields = &query.Schema[*yardarmv1.Token]{
	Name: func(t *yardarmv1.Token) string { return t.GetMetadata().GetName() },
	Fields: []query.Field[*yardarmv1.Token]{
		{Name: "name", Text: func(t *yardarmv1.Token) string { return t.GetMetadata().GetName() }},
		{Name: "actor", Text: func(t *yardarmv1.Token) string { return t.GetStatus().GetActor() }},
		{Name: "role", Texts: func(t *yardarmv1.Token) []string { return t.GetStatus().GetRoles() }},
		{Name: "created", Time: true, Number: func(t *yardarmv1.Token) int64 { return nanos(t.GetMetadata().GetCreationTimestamp()) }},
		{Name: "expires", Time: true, Number: func(t *yardarmv1.Token) int64 { return nanos(t.GetStatus().GetExpires()) }},
		{Name: "lastUsed", Time: true, Number: func(t *yardarmv1.Token) int64 { return nanos(t.GetStatus().GetLastUsed()) }},
	},
}

// subjectsOf are those of a binding, as in token/ci.
func subjectsOf(b *yardarmv1.RoleBinding) []string {
	out := make([]string, 0, len(b.GetSpec().GetSubjects()))
	for _, s := range b.GetSpec().GetSubjects() {
		out = append(out, strings.ToLower(s.GetKind())+"/"+s.GetName())
	}
	return out
}

var revisionFields = &query.Schema[*yardarmv1.Revision]{
	Name: func(r *yardarmv1.Revision) string { return r.GetMetadata().GetName() },
	Fields: []query.Field[*yardarmv1.Revision]{
		{Name: "number", Number: func(r *yardarmv1.Revision) int64 { return int64(r.GetSpec().GetNumber()) }},
		{Name: "digest", Texts: func(r *yardarmv1.Revision) []string { return r.GetSpec().Digests() }},
		{Name: "objects", Number: func(r *yardarmv1.Revision) int64 { return int64(r.GetSpec().GetObjects()) }},
		{Name: "size", Number: func(r *yardarmv1.Revision) int64 { return int64(r.GetSpec().GetSize()) }},
		{Name: "actor", Text: func(r *yardarmv1.Revision) string { return r.GetSpec().GetProvenance().GetActor() }},
		{Name: "source", Text: func(r *yardarmv1.Revision) string { return r.GetSpec().GetProvenance().GetSource() }},
		{Name: "commit", Text: func(r *yardarmv1.Revision) string { return r.GetSpec().GetProvenance().GetCommit() }},
		{Name: "undoOf", Number: func(r *yardarmv1.Revision) int64 { return int64(r.GetSpec().GetProvenance().GetUndoOf()) }},
		{Name: "created", Time: true, Number: func(r *yardarmv1.Revision) int64 { return nanos(r.GetMetadata().GetCreationTimestamp()) }},
	},
}

var eventFields = &query.Schema[*yardarmv1.Event]{
	Fields: []query.Field[*yardarmv1.Event]{
		{Name: "type", Text: (*yardarmv1.Event).GetType, Words: []string{yardarmv1.EventNormal, yardarmv1.EventWarning}},
		{Name: "reason", Text: (*yardarmv1.Event).GetReason},
		{Name: "cluster", Text: (*yardarmv1.Event).GetCluster},
		{Name: "bundle", Text: (*yardarmv1.Event).GetBundle},
		{Name: "revision", Number: func(e *yardarmv1.Event) int64 { return int64(e.GetRevision()) }},
		{Name: "actor", Text: (*yardarmv1.Event).GetActor},
		{Name: "message", Text: (*yardarmv1.Event).GetMessage},
	},
}

// auditFields are of entries of the audit log, which have no order but their own.
var auditFields = &query.Schema[*storev1.AuditEntry]{
	Fields: []query.Field[*storev1.AuditEntry]{
		{Name: "actor", Texts: audited((*storev1.AuditEntry).GetWho, (*storev1.AuditDenial).GetWho)},
		{Name: "action", Texts: audited(actionOf, func(d *storev1.AuditDenial) string { return methodName(d.Method) })},
		{Name: "kind", Texts: auditedKinds, Words: append(slices.Sorted(maps.Values(auditKinds)), kindDenial)},
		{Name: "name", Texts: auditedNames},
		{Name: "address", Texts: audited((*storev1.AuditEntry).GetAddress, (*storev1.AuditDenial).GetAddress)},
		{Name: "request", Texts: audited((*storev1.AuditEntry).GetRequestId, (*storev1.AuditDenial).GetRequestId)},
	},
}

// factFields are by what a cluster's spoke says of it.
func factFields[R any](of func(R) *index.Cluster) []query.Field[R] {
	text := func(name string, get func(*yardarmv1.Facts) string) query.Field[R] {
		return query.Field[R]{Name: name, Text: func(r R) string { return get(factsOf(of(r))) }}
	}
	version := text("version", (*yardarmv1.Facts).GetKubernetesVersion)
	version.Version = true
	return []query.Field[R]{version,
		text("distribution", (*yardarmv1.Facts).GetDistribution),
		text("provider", (*yardarmv1.Facts).GetProvider),
		text("region", (*yardarmv1.Facts).GetRegion)}
}

// countFields are by how many assignments there are of a phase.
func countFields[R any](prefix string, of func(R) *yardarmv1.PhaseCounts) []query.Field[R] {
	field := func(name string, get func(*yardarmv1.PhaseCounts) uint32) query.Field[R] {
		return query.Field[R]{Name: prefix + "." + name, Number: func(r R) int64 { return int64(get(of(r))) }}
	}
	return []query.Field[R]{
		field("total", (*yardarmv1.PhaseCounts).GetTotal), field("ready", (*yardarmv1.PhaseCounts).GetReady),
		field("progressing", (*yardarmv1.PhaseCounts).GetProgressing), field("failed", (*yardarmv1.PhaseCounts).GetFailed),
		field("held", (*yardarmv1.PhaseCounts).GetHeld), field("pending", (*yardarmv1.PhaseCounts).GetPending),
		field("stale", (*yardarmv1.PhaseCounts).GetStale), field("drifted", (*yardarmv1.PhaseCounts).GetDrifted),
	}
}

func factsOf(c *index.Cluster) *yardarmv1.Facts { return c.Observed.GetFacts() }

func bundlesOf(c *index.Cluster) []string {
	names := make([]string, len(c.Assignments))
	for i, a := range c.Assignments {
		names[i] = a.Bundle
	}
	return names
}

func labelsOf(c *index.Cluster) []string {
	labels := c.Row.GetMetadata().GetLabels()
	return slices.AppendSeq(make([]string, 0, len(labels)), maps.Keys(labels))
}

func lastSeenOf(c *index.Cluster) int64 {
	if c.Presence != nil && !c.Presence.LastSeen.IsZero() {
		return c.Presence.LastSeen.UnixNano()
	}
	return nanos(c.Observed.GetLastSeen())
}

func nanos(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	return t.AsTime().UnixNano()
}

var strategyFields = &query.Schema[*yardarmv1.Strategy]{
	Labels: func(s *yardarmv1.Strategy) map[string]string { return s.GetMetadata().GetLabels() },
	Name:   func(s *yardarmv1.Strategy) string { return s.GetMetadata().GetName() },
	Fields: []query.Field[*yardarmv1.Strategy]{
		{Name: "name", Text: func(s *yardarmv1.Strategy) string { return s.GetMetadata().GetName() }},
		{Name: "group", Texts: func(s *yardarmv1.Strategy) []string { return stageGroups(s.GetSpec()) }},
		{Name: "created", Time: true, Number: func(s *yardarmv1.Strategy) int64 { return nanos(s.GetMetadata().GetCreationTimestamp()) }},
	},
}
