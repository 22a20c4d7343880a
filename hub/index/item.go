package index

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/status"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Item is a bundle in a cluster: what is assigned, what is still there though nothing assigns it, or both.
type Item struct {
	Bundle    string
	BundleUID string
	// Target is the bundle if the cluster is to run it. Which revision is for its rollout to say; of a cluster that it has yet to reach for the first
	// time, no one.
	Target *yardarmv1.Bundle
	// Earlier is the report about another bundle that had the name before, and of which the cluster still holds something.
	Earlier *yardarmv1.Report
}

// ItemsOf is everything that a cluster is to run or still holds, in the order of the bundles' names, each name once.
func ItemsOf(tx *store.ReadTx, c *yardarmv1.Cluster) []Item {
	uid := c.GetMetadata().GetUid()
	var out []Item
	place := make(map[string]int) // in out, by uid and by name
	if c.GetSpec().GetRemoval() == nil {
		for b := range tx.BundlesOf(uid) {
			bundleUID := b.GetMetadata().GetUid()
			if !hasRevision(b) {
				continue
			}
			place[bundleUID], place[b.GetMetadata().GetName()] = len(out), len(out)
			out = append(out, Item{Bundle: b.GetMetadata().GetName(), BundleUID: bundleUID, Target: b})
		}
	}
	for o := range tx.ObservedBundles(uid) {
		r := o.GetReport()
		if _, assigned := place[r.GetBundleUid()]; assigned {
			continue
		}
		if i, taken := place[r.GetBundle()]; taken {
			out[i].Earlier = r
			continue
		}
		place[r.GetBundleUid()], place[r.GetBundle()] = len(out), len(out)
		out = append(out, Item{Bundle: r.GetBundle(), BundleUID: r.GetBundleUid()})
	}
	slices.SortFunc(out, func(a, b Item) int { return strings.Compare(a.Bundle, b.Bundle) })
	return out
}

// Spec derives what is assigned to a cluster; nil if nothing is.
func Spec(tx *store.ReadTx, c *yardarmv1.Cluster, it Item) *yardarmv1.AssignmentSpec {
	if it.Target == nil {
		return nil
	}
	return placement.DesiredOf(tx, c, it.Target)
}

// Judge tells what is known of a bundle in a cluster, given what is assigned.
func Judge(tx *store.ReadTx, c *yardarmv1.Cluster, it Item, spec *yardarmv1.AssignmentSpec, now time.Time) *yardarmv1.AssignmentStatus {
	uid := c.GetMetadata().GetUid()
	in := status.Input{Assignment: spec, Report: tx.ObservedBundle(uid, it.BundleUID).GetReport(), Now: now}
	if p := tx.Presence(uid); p != nil {
		in.Presence, in.LastSeen, in.Confirmed = p.State, p.LastSeen, p.Confirmed
	}
	if in.LastSeen.IsZero() {
		if o := tx.Observed(uid); o.GetLastSeen() != nil {
			in.LastSeen = o.LastSeen.AsTime()
		}
	}
	st := status.Of(in)
	switch {
	case it.Target != nil && spec == nil:
		judgeWaiting(tx, c, it, st)
	case spec == nil && st.Phase == in.Report.GetPhase():
		judgeLeaving(tx, c, it, st)
	}
	if latest := it.Target.GetStatus().GetLatestRevision(); st.Phase == yardarmv1.PhaseReady && spec.GetRevision() < latest {
		st.Reason = yardarmv1.ReasonBehind
		st.Message = fmt.Sprintf("revision %d has not come to it; see yardarm why %s %s", latest, c.GetMetadata().GetName(), it.Bundle)
	} else if st.Phase == yardarmv1.PhaseReady && tx.Before(it.BundleUID, uid) != nil {
		st.Reason = yardarmv1.ReasonBehind
		st.Message = fmt.Sprintf("what has changed of its labels or groups has not come to it; see yardarm why %s %s", c.GetMetadata().GetName(), it.Bundle)
	}
	if r := it.Earlier; r != nil {
		st.Message = strings.TrimPrefix(st.Message+fmt.Sprintf("; of an earlier bundle of this name the cluster still holds something (%s)", r.GetPhase()), "; ")
	}
	return st
}

// judgeWaiting corrects the status of what its rollout has yet to reach, or the bundle's source.
func judgeWaiting(tx *store.ReadTx, c *yardarmv1.Cluster, it Item, st *yardarmv1.AssignmentStatus) {
	switch st.Phase {
	case yardarmv1.PhaseStale, yardarmv1.PhaseNeverConnected, yardarmv1.PhaseHeld:
		return
	}
	st.Phase, st.Reason = yardarmv1.PhasePending, yardarmv1.ReasonAwaitsRollout
	st.Message = fmt.Sprintf("its rollout has yet to reach the cluster; see yardarm why %s %s", c.GetMetadata().GetName(), it.Bundle)
	if n := placement.RevisionFor(tx, c.GetMetadata().GetUid(), it.Target); tx.Revision(it.BundleUID, n) != nil {
		st.Reason = yardarmv1.ReasonAwaitsVariant
		st.Message = fmt.Sprintf("revision %d has nothing yet for the variant that is meant for the cluster; see yardarm why %s %s", n, c.GetMetadata().GetName(), it.Bundle)
	}
}

// judgeLeaving corrects the status of what nothing assigns any more: its spoke has not heard so yet, and may still call it ready.
func judgeLeaving(tx *store.ReadTx, c *yardarmv1.Cluster, it Item, st *yardarmv1.AssignmentStatus) {
	switch st.Phase {
	case yardarmv1.PhaseHeld, yardarmv1.PhaseRemoving, yardarmv1.PhaseFailed:
		return
	}
	st.Phase = yardarmv1.PhaseRemoving
	switch {
	case c.GetSpec().GetRemoval() != nil:
		st.Reason, st.Message = yardarmv1.ReasonClusterDeleted, "the cluster is being deleted, and its spoke has not let go of the bundle yet"
	case tx.DeletedBundle(it.BundleUID) != nil:
		st.Reason, st.Message = yardarmv1.ReasonBundleDeleted, "the bundle was deleted, and the spoke has not let go of it yet"
	case tx.Bundle(it.BundleUID) == nil:
		st.Phase, st.Reason = yardarmv1.PhaseHeld, yardarmv1.ReasonUnknownToHub
		st.Message = "the hub knows no such bundle; the cluster keeps what it has of it"
	default:
		st.Reason, st.Message = yardarmv1.ReasonNoLongerTargeted, "the bundle no longer targets the cluster, and the spoke has not let go of it yet"
	}
}

// StatusesOf yields every cluster that is to run a bundle, and every one that still holds it, and how it stands there.
func StatusesOf(tx *store.ReadTx, b *yardarmv1.Bundle) iter.Seq2[*yardarmv1.Cluster, *yardarmv1.AssignmentStatus] {
	return func(yield func(*yardarmv1.Cluster, *yardarmv1.AssignmentStatus) bool) {
		uid, name := b.GetMetadata().GetUid(), b.GetMetadata().GetName()
		placer := placement.NewPlacer()
		assigned := make(map[string]bool)
		for c := range tx.ClustersOf(uid) {
			if c.GetSpec().GetRemoval() != nil {
				continue
			}
			spec := placer.Assigner(tx, b, placement.RevisionFor(tx, c.GetMetadata().GetUid(), b)).Assign(tx, c)
			if !hasRevision(b) {
				continue
			}
			assigned[c.GetMetadata().GetUid()] = true
			if !yield(c, Judge(tx, c, Item{Bundle: name, BundleUID: uid, Target: b}, spec, time.Time{})) {
				return
			}
		}
		for o := range tx.ObservedOfBundle(uid) {
			c := tx.Cluster(o.GetClusterUid())
			if c == nil || assigned[o.GetClusterUid()] {
				continue
			}
			if !yield(c, Judge(tx, c, Item{Bundle: name, BundleUID: uid}, nil, time.Time{})) {
				return
			}
		}
	}
}
