package index

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/status"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Cluster is what is known of a cluster. Rows that are missing are nil.
type Cluster struct {
	Row      *yardarmv1.Cluster
	Identity *storev1.Identity
	Observed *storev1.Observed
	Presence *store.Presence
	// Groups are those that it belongs to, sorted.
	Groups []string
	// Phase is its own, as in yardarmv1.ClusterActive; Phases are that one, and those of its bundles, each once.
	Phase  string
	Phases []string
	// State is how it stands in a word, as in yardarmv1.StateReady.
	State string
	// Bundles counts its assignments by phase.
	Bundles *yardarmv1.PhaseCounts
	// Assignments come in the order of their bundles' names.
	Assignments []*Assignment

	// failing are the groups whose expression gives no answer for it, and why.
	failing []matchError
}

type matchError struct{ group, problem string }

// UID is the cluster's.
func (c *Cluster) UID() string { return c.Row.GetMetadata().GetUid() }

// Name is the cluster's.
func (c *Cluster) Name() string { return c.Row.GetMetadata().GetName() }

func (c *Cluster) labels() map[string]string {
	if c == nil {
		return nil
	}
	return c.Row.GetMetadata().GetLabels()
}

// Assignment is an item and how it stands. There is one for each bundle of each cluster, so it holds no more than it must.
type Assignment struct {
	Item
	Phase, Reason, Message string
	// Revision is the one assigned, or the one that is still there.
	Revision uint32
	// Report is the newest; nil where there is none.
	Report *yardarmv1.Report
	// Drifted tells whether it counts as drifted.
	Drifted bool
	// hash is the beginning of the assignment's.
	hash uint64
}

// ClusterOf derives the entry of one cluster from rows alone. It is how one resource is shown, also within a transaction; an [Index] has all of them.
func ClusterOf(tx *store.ReadTx, row *yardarmv1.Cluster) *Cluster {
	return clusterOf(tx, row, placement.NewPlacer())
}

func clusterOf(tx *store.ReadTx, row *yardarmv1.Cluster, placer *placement.Placer) *Cluster {
	uid := row.GetMetadata().GetUid()
	c := &Cluster{
		Row: row, Identity: tx.Identity(uid), Observed: tx.Observed(uid), Presence: tx.Presence(uid),
		Groups: slices.Sorted(slices.Values(tx.GroupsOf(uid))),
	}
	for group, problem := range tx.MatchErrorsOf(uid) {
		c.failing = append(c.failing, matchError{group, problem})
	}
	c.Phase = phaseOf(row, c.Identity != nil)
	for _, it := range ItemsOf(tx, row) {
		c.Assignments = append(c.Assignments, assignmentOf(tx, row, it, placer))
	}
	c.count()
	return c
}

// keep takes over the assignments of an older entry that are as they were: a change of labels leaves most of them so, and what has not changed is neither
// counted anew, nor in memory twice.
func (c *Cluster) keep(old *Cluster) {
	if old == nil {
		return
	}
	for i, a := range c.Assignments {
		if i < len(old.Assignments) && *old.Assignments[i] == *a {
			c.Assignments[i] = old.Assignments[i]
		}
	}
}

func (c *Cluster) count() {
	c.Bundles, c.Phases = &yardarmv1.PhaseCounts{}, []string{c.Phase}
	for _, a := range c.Assignments {
		status.Add(c.Bundles, a.Phase, a.Drifted, 1)
		if !slices.Contains(c.Phases, a.Phase) {
			c.Phases = append(c.Phases, a.Phase)
		}
	}
	c.State = stateOf(c.Presence, c.Bundles)
}

// Part is the cluster with those of its groups and assignments that are kept, and what is counted of them alone. Nothing of c changes.
func (c *Cluster) Part(group func(string) bool, assignment func(*Assignment) bool) *Cluster {
	out := *c
	out.Groups = slices.DeleteFunc(slices.Clone(c.Groups), func(name string) bool { return !group(name) })
	out.Assignments = slices.DeleteFunc(slices.Clone(c.Assignments), func(a *Assignment) bool { return !assignment(a) })
	out.count()
	return &out
}

func phaseOf(c *yardarmv1.Cluster, enrolled bool) string {
	switch {
	case c.GetSpec().GetRemoval() != nil:
		return yardarmv1.ClusterDeleting
	case c.GetSpec().GetBan() != nil:
		return yardarmv1.ClusterBanned
	case !enrolled:
		return yardarmv1.ClusterEnrolling
	}
	return yardarmv1.ClusterActive
}

func assignmentOf(tx *store.ReadTx, c *yardarmv1.Cluster, it Item, placer *placement.Placer) *Assignment {
	var spec *yardarmv1.AssignmentSpec
	if it.Target != nil {
		spec = placer.Assigner(tx, it.Target, placement.RevisionFor(tx, c.GetMetadata().GetUid(), it.Target)).Assign(tx, c)
	}
	st := Judge(tx, c, it, spec, time.Time{})
	a := &Assignment{Item: it, Phase: st.Phase, Reason: st.Reason, Message: st.Message, Report: st.Report, Drifted: status.Drifted(st), Revision: spec.GetRevision()}
	if spec == nil {
		a.Revision = st.GetReport().GetRevision()
	}
	if hash := spec.GetHash(); len(hash) >= 8 {
		a.hash = binary.BigEndian.Uint64(hash)
	}
	return a
}

// at finds the assignment of a bundle.
func (c *Cluster) at(bundleUID string) (place int, ok bool) {
	place = slices.IndexFunc(c.Assignments, func(a *Assignment) bool { return a.BundleUID == bundleUID })
	return place, place >= 0
}

// Assignment answers that of a bundle, by its name; nil if there is none.
func (c *Cluster) Assignment(bundle string) *Assignment {
	if i, ok := slices.BinarySearchFunc(c.Assignments, bundle, func(a *Assignment, name string) int { return strings.Compare(a.Bundle, name) }); ok {
		return c.Assignments[i]
	}
	return nil
}

// Same tells whether a caller would see no difference, but for until when something is known.
func (a *Assignment) Same(b *Assignment) bool {
	if a == b {
		return true
	}
	return a != nil && b != nil && a.BundleUID == b.BundleUID && a.Bundle == b.Bundle && a.Phase == b.Phase && a.Reason == b.Reason && a.Message == b.Message &&
		a.Revision == b.Revision && a.hash == b.hash && (a.Target == nil) == (b.Target == nil) && (a.Report == b.Report || proto.Equal(a.Report, b.Report))
}

// SameItself tells whether a caller would see no difference in the cluster itself, whatever its assignments, but for until when something is known.
func (a *Cluster) SameItself(b *Cluster) bool {
	return a.Row == b.Row && a.Phase == b.Phase && samePresence(a.Presence, b.Presence) && sameFacts(a.Observed, b.Observed) &&
		proto.Equal(a.Identity.GetNotAfter(), b.Identity.GetNotAfter()) && slices.Equal(a.Groups, b.Groups) && proto.Equal(a.Bundles, b.Bundles) &&
		slices.Equal(a.Phases, b.Phases)
}

func samePresence(a, b *store.Presence) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.State == b.State && a.Confirmed == b.Confirmed && a.Since.Equal(b.Since)
}

func sameFacts(a, b *storev1.Observed) bool {
	return a == b || a.GetSpokeVersion() == b.GetSpokeVersion() && (a.GetFacts() == b.GetFacts() || proto.Equal(a.GetFacts(), b.GetFacts()))
}

// sameAssignments tells whether no assignment differs in what a caller sees.
func sameAssignments(a, b *Cluster) bool {
	return slices.EqualFunc(a.Assignments, b.Assignments, (*Assignment).Same)
}
