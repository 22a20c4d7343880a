package dispatch

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// planReader is what a plan reads of one snapshot of the store.
type planReader interface {
	Cluster(uid string) *yardarmv1.Cluster
	Bundle(uid string) *yardarmv1.Bundle
	DeletedBundle(uid string) *storev1.DeletedBundle
	Acceptances(clusterUID, bundleUID string) iter.Seq[*storev1.Acceptance]
}

// planInput is everything that the difference between what a cluster should have and what its spoke holds follows from.
type planInput struct {
	clusterUID string
	desired    []*yardarmv1.AssignmentSpec
	held       holdingSet
	// skip are assignments that the spoke has refused for good, by hash.
	skip map[string]bool
	// again are assignments to be sent though the spoke holds them, by hash: it lacks their content.
	again map[string]bool
	// The hub's own place, and the epochs it has left behind.
	epoch []byte
	index uint64
	past  []*storev1.PastEpoch
	// within tells whether the cluster is within the boundary of some group that the bundle targets: by labels alone.
	within func(*yardarmv1.Bundle) bool
	// targeted tells whether the bundle is for the cluster, also where it is to run no revision of it yet.
	targeted func(*yardarmv1.Bundle) bool
}

// step is one change, and what the spoke holds of the bundle once it is made.
type step struct {
	change *spokev1.Change
	after  holding
	// spends says that an operator's acceptance allows it, which ends with it.
	spends bool
}

// plan answers the changes that take a spoke from what it holds to what it should hold, in the order of the bundles' uids.
// It is level-triggered: whatever happened in between, only the difference counts. What the spoke holds ends only by a
// tombstone, and a tombstone has a reason in the database: something that the database merely lacks is held.
func plan(r planReader, in planInput) []step {
	var steps []step
	want := make(map[string]*yardarmv1.AssignmentSpec, len(in.desired))
	for _, a := range in.desired {
		want[a.BundleUid] = a
	}
	for _, h := range in.held {
		if a := want[h.uid]; a != nil {
			delete(want, h.uid)
			if s, ok := in.replace(r, h, a); ok {
				steps = append(steps, s)
			}
		} else if s, ok := in.end(r, h); ok {
			steps = append(steps, s)
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(want)) {
		if !in.skip[string(want[uid].Hash)] {
			steps = append(steps, in.assign(holding{}, want[uid]))
		}
	}
	return steps
}

// replace goes from one assignment of a bundle to another.
func (in planInput) replace(r planReader, h holding, a *yardarmv1.AssignmentSpec) (step, bool) {
	same := bytes.Equal(h.hash, a.Hash)
	released := in.released(r, h)
	switch {
	case in.skip[string(a.Hash)]:
		return step{}, false
	case same && h.settled() && in.knows(h) && !in.again[string(a.Hash)]:
		return step{}, false
	case same || released || in.knows(h):
		s := in.assign(h, a)
		s.spends = released
		return s, true
	}
	return in.hold(r, h, yardarmv1.ReasonNewerThanHub,
		"the hub was restored from a backup that is older than what this cluster holds, which stays until an operator accepts the hub's state")
}

// end lets go of a bundle that the cluster is no longer to run.
func (in planInput) end(r planReader, h holding) (step, bool) {
	cluster, bundle, deleted := r.Cluster(in.clusterUID), r.Bundle(h.uid), r.DeletedBundle(h.uid)
	released := in.released(r, h)
	if !in.knows(h) && !released && cluster.GetSpec().GetRemoval() == nil {
		return in.hold(r, h, yardarmv1.ReasonUnknownToHub,
			"the hub does not know that it assigned this, as after a restore; it stays until an operator accepts that it is removed")
	}
	if cluster.GetSpec().GetRemoval() == nil && bundle != nil && in.targeted(bundle) {
		return step{}, false // it is back, and its rollout has yet to let it in; meanwhile it keeps what it has
	}
	t := &spokev1.Tombstone{Bundle: h.bundle, BundleUid: h.uid, Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}
	switch {
	case cluster.GetSpec().GetRemoval() != nil:
		t.Workloads, t.Reason, t.Accepted = cluster.Spec.Removal.Workloads, yardarmv1.ReasonClusterDeleted, true
	case deleted != nil:
		t.Workloads, t.Reason, t.Accepted = deleted.Workloads, yardarmv1.ReasonBundleDeleted, true
	case bundle == nil && !released:
		return in.hold(r, h, yardarmv1.ReasonUnknownToHub,
			"the hub knows no such bundle, nor that it was deleted; it stays until an operator accepts that it is removed")
	case bundle != nil && in.within(bundle) && !released:
		return in.hold(r, h, yardarmv1.ReasonLeftByFact,
			"the cluster left the group by a fact that its spoke reported, and facts alone delete nothing; it stays until an operator accepts that it is removed")
	default:
		t.Reason, t.Accepted = yardarmv1.ReasonNoLongerTargeted, released || in.deletionAccepted(r, h)
	}
	if h.removing && (h.accepted || !t.Accepted) {
		return step{}, false
	}
	after := h
	after.removing, after.accepted, after.held = true, t.Accepted, false
	return step{&spokev1.Change{Change: &spokev1.Change_Remove{Remove: t}, BaseHash: h.hash}, after, released || in.deletionAccepted(r, h)}, true
}

func (in planInput) assign(old holding, a *yardarmv1.AssignmentSpec) step {
	return step{
		&spokev1.Change{Change: &spokev1.Change_Assign{Assign: a}, BaseHash: old.hash},
		holding{
			bundle: a.Bundle, uid: a.BundleUid, hash: a.Hash, revision: a.Revision, digest: a.Digest,
			epoch: in.epoch, index: in.index, hasContent: old.hasContent && old.digest == a.Digest && !in.again[string(a.Hash)],
		},
		false,
	}
}

func (in planInput) hold(r planReader, h holding, reason, message string) (step, bool) {
	if !h.settled() {
		return step{}, false
	}
	after := h
	after.held = true
	return step{&spokev1.Change{Change: &spokev1.Change_Hold{Hold: &spokev1.Hold{
		Bundle: h.bundle, BundleUid: h.uid, Reason: reason,
		Message: fmt.Sprintf("%s: yardarm accept cluster/%s bundle/%s", message, r.Cluster(in.clusterUID).GetMetadata().GetName(), h.bundle),
	}}}, after, false}, true
}

// knows tells whether the database contains the change that assigned the holding. A restored one may not.
func (in planInput) knows(h holding) bool {
	if bytes.Equal(h.epoch, in.epoch) {
		return h.index <= in.index
	}
	for _, p := range in.past {
		if bytes.Equal(h.epoch, p.Epoch) {
			return h.index <= p.Index
		}
	}
	return false
}

// released tells whether an operator has let go of just this holding.
func (in planInput) released(r planReader, h holding) bool {
	for acc := range r.Acceptances(in.clusterUID, h.uid) {
		if len(acc.HoldingHash) > 0 && bytes.Equal(acc.HoldingHash, h.hash) {
			return true
		}
	}
	return false
}

// deletionAccepted tells whether an operator has accepted that the bundle is removed from what it holds now.
func (in planInput) deletionAccepted(r planReader, h holding) bool {
	for acc := range r.Acceptances(in.clusterUID, h.uid) {
		if d := acc.Deletion; d != nil && d.ToDigest == "" && d.FromDigest == h.digest {
			return true
		}
	}
	return false
}

// accepts tells whether an acceptance is about this holding's end.
func accepts(acc *storev1.Acceptance, h holding) bool {
	d := acc.Deletion
	return len(acc.HoldingHash) > 0 && bytes.Equal(acc.HoldingHash, h.hash) ||
		d != nil && d.ToDigest == "" && d.FromDigest == h.digest
}
