package dispatch

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// rows is what a plan reads, of one cluster.
type rows struct {
	cluster     *yardarmv1.Cluster
	bundles     map[string]*yardarmv1.Bundle
	deleted     map[string]*storev1.DeletedBundle
	acceptances map[string][]*storev1.Acceptance
}

func newRows() *rows {
	return &rows{
		cluster: &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Uid: "c1"}, Spec: &yardarmv1.ClusterSpec{}},
		bundles: map[string]*yardarmv1.Bundle{}, deleted: map[string]*storev1.DeletedBundle{}, acceptances: map[string][]*storev1.Acceptance{},
	}
}

func (r *rows) Cluster(string) *yardarmv1.Cluster               { return r.cluster }
func (r *rows) Bundle(uid string) *yardarmv1.Bundle             { return r.bundles[uid] }
func (r *rows) DeletedBundle(uid string) *storev1.DeletedBundle { return r.deleted[uid] }
func (r *rows) Acceptances(_, uid string) iter.Seq[*storev1.Acceptance] {
	return slices.Values(r.acceptances[uid])
}

// Epochs of the tests: old was ended by a restore that contains it up to index 10; lost, by one that contains nothing of it.
var (
	nowEpoch  = bytes.Repeat([]byte{3}, 16)
	oldEpoch  = bytes.Repeat([]byte{1}, 16)
	lostEpoch = bytes.Repeat([]byte{2}, 16)
)

func input(desired []*yardarmv1.AssignmentSpec, held holdingSet, within bool) planInput {
	return planInput{
		clusterUID: "c1", desired: desired, held: held, epoch: nowEpoch, index: 20,
		past:     []*storev1.PastEpoch{{Epoch: oldEpoch, Index: 10}},
		within:   func(*yardarmv1.Bundle) bool { return within },
		targeted: func(*yardarmv1.Bundle) bool { return false },
	}
}

func spec(uid string, revision uint32) *yardarmv1.AssignmentSpec {
	a := &yardarmv1.AssignmentSpec{Bundle: "b-" + uid, BundleUid: uid, Revision: revision, Digest: fmt.Sprintf("sha256:%s-%d", uid, revision)}
	a.Hash = holdings.AssignmentHash(a)
	return a
}

func holdingOf(a *yardarmv1.AssignmentSpec, epoch []byte, index uint64) holding {
	return holding{bundle: a.Bundle, uid: a.BundleUid, hash: a.Hash, revision: a.Revision, digest: a.Digest, epoch: epoch, index: index, hasContent: true}
}

// show writes steps as "assign b1@2 base, remove b2 REMOVE BundleDeleted accepted, hold b3 LeftByFact".
func show(steps []step) string {
	var out []string
	for _, s := range steps {
		base := ""
		if len(s.change.BaseHash) > 0 {
			base = " named"
		}
		switch c := s.change.Change.(type) {
		case *spokev1.Change_Assign:
			out = append(out, fmt.Sprintf("assign %s@%d%s", c.Assign.BundleUid, c.Assign.Revision, base))
		case *spokev1.Change_Remove:
			text := fmt.Sprintf("remove %s%s %s %s", c.Remove.BundleUid, base, strings.TrimPrefix(c.Remove.Workloads.String(), "WORKLOADS_"), c.Remove.Reason)
			if c.Remove.Accepted {
				text += " accepted"
			}
			out = append(out, text)
		case *spokev1.Change_Hold:
			out = append(out, fmt.Sprintf("hold %s %s", c.Hold.BundleUid, c.Hold.Reason))
		}
		if s.spends {
			out[len(out)-1] += " spends"
		}
	}
	return strings.Join(out, ", ")
}

func TestPlan(t *testing.T) {
	v1, v2 := spec("b", 1), spec("b", 2)
	bundle := &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Uid: "b"}}
	known := holdingOf(v1, nowEpoch, 20)
	with := func(h holding, edit func(*holding)) holding { edit(&h); return h }
	removing := func(h *holding) { h.removing = true }
	held := func(h *holding) { h.held = true }
	released := func(r *rows) {
		r.acceptances["b"] = []*storev1.Acceptance{{HoldingHash: []byte("another")}, {HoldingHash: v1.Hash}}
	}
	letGoOf := func(to string) func(*rows) {
		return func(r *rows) {
			r.acceptances["b"] = []*storev1.Acceptance{{Deletion: &yardarmv1.AcceptedDeletion{FromDigest: v1.Digest, ToDigest: to}}}
		}
	}
	exists := func(r *rows) { r.bundles["b"] = bundle }
	deleted := func(w yardarmv1.Workloads) func(*rows) {
		return func(r *rows) { r.deleted["b"] = &storev1.DeletedBundle{Uid: "b", Workloads: w} }
	}
	leaving := func(w yardarmv1.Workloads) func(*rows) {
		return func(r *rows) { r.cluster.Spec.Removal = &yardarmv1.Removal{Workloads: w} }
	}
	const keep, drop = yardarmv1.Workloads_WORKLOADS_KEEP, yardarmv1.Workloads_WORKLOADS_REMOVE

	for _, tc := range []struct {
		name   string
		want   *yardarmv1.AssignmentSpec
		held   *holding
		within bool
		rows   []func(*rows)
		plan   string
	}{
		{"nothing", nil, nil, false, nil, ""},
		{"new", v1, nil, false, nil, "assign b@1"},
		{"as it should be", v1, &known, false, nil, ""},
		{"as it should be, though without content", v1, new(with(known, func(h *holding) { h.hasContent = false })), false, nil, ""},
		{"as it should be, from before a restore", v1, new(holdingOf(v1, oldEpoch, 10)), false, nil, ""},
		{"another revision", v2, &known, false, nil, "assign b@2 named"},
		{"another revision, from before a restore", v2, new(holdingOf(v1, oldEpoch, 10)), false, nil, "assign b@2 named"},
		{"wanted again while it is removed", v1, new(with(known, removing)), false, nil, "assign b@1 named"},
		{"wanted again while it is held", v1, new(with(known, held)), false, nil, "assign b@1 named"},

		// What a restored hub cannot know of.
		{"newer than the restored hub", v2, new(holdingOf(v1, oldEpoch, 11)), false, nil, "hold b NewerThanHub"},
		{"of an epoch that is lost", v2, new(holdingOf(v1, lostEpoch, 1)), false, nil, "hold b NewerThanHub"},
		{"from the future", v2, new(holdingOf(v1, nowEpoch, 21)), false, nil, "hold b NewerThanHub"},
		{"newer, and the same", v1, new(holdingOf(v1, oldEpoch, 11)), false, nil, "assign b@1 named"},
		{"newer, held already", v2, new(with(holdingOf(v1, oldEpoch, 11), held)), false, nil, ""},
		{"newer, and accepted", v2, new(with(holdingOf(v1, oldEpoch, 11), held)), false, []func(*rows){released}, "assign b@2 named spends"},
		{"newer, and another one accepted", v2, new(with(holdingOf(v2, oldEpoch, 11), func(h *holding) { h.hash = []byte("x"); h.held = true })), false, []func(*rows){released}, ""},
		{"unknown, and nothing about it", nil, new(holdingOf(v1, oldEpoch, 11)), false, nil, "hold b UnknownToHub"},
		{"unknown, though the bundle was deleted", nil, new(holdingOf(v1, oldEpoch, 11)), false, []func(*rows){deleted(drop)}, "hold b UnknownToHub"},
		{"unknown, and accepted", nil, new(with(holdingOf(v1, oldEpoch, 11), held)), false, []func(*rows){released}, "remove b named REMOVE NoLongerTargeted accepted spends"},
		{"unknown, and being removed", nil, new(with(holdingOf(v1, oldEpoch, 11), removing)), false, nil, ""},
		{"unknown, and the cluster leaves", nil, new(with(holdingOf(v1, oldEpoch, 11), held)), false, []func(*rows){leaving(drop)}, "remove b named REMOVE ClusterDeleted accepted"},

		// What is not wanted any more.
		{"absent from the database", nil, &known, false, nil, "hold b UnknownToHub"},
		{"no longer targeted", nil, &known, false, []func(*rows){exists}, "remove b named REMOVE NoLongerTargeted"},
		{"no longer targeted, held", nil, new(with(known, held)), false, []func(*rows){exists}, "remove b named REMOVE NoLongerTargeted"},
		{"no longer targeted, and it is known there", nil, new(with(known, removing)), false, []func(*rows){exists}, ""},
		{"no longer targeted, asked about, accepted", nil, new(with(known, removing)), false, []func(*rows){exists, letGoOf("")}, "remove b named REMOVE NoLongerTargeted accepted spends"},
		{"no longer targeted, another step accepted", nil, new(with(known, removing)), false, []func(*rows){exists, letGoOf(v2.Digest)}, ""},
		{"no longer targeted, accepted for what it held before", nil, new(with(known, func(h *holding) { h.removing, h.digest = true, "sha256:since" })), false, []func(*rows){exists, letGoOf("")}, ""},
		{"no longer targeted, accepted before", nil, new(with(known, func(h *holding) { h.removing, h.accepted = true, true })), false, []func(*rows){exists, letGoOf("")}, ""},
		{"left by a fact", nil, &known, true, []func(*rows){exists}, "hold b LeftByFact"},
		{"left by a fact, held", nil, new(with(known, held)), true, []func(*rows){exists}, ""},
		{"left by a fact, accepted", nil, new(with(known, held)), true, []func(*rows){exists, released}, "remove b named REMOVE NoLongerTargeted accepted spends"},
		{"left by a fact, then the bundle was deleted", nil, new(with(known, held)), true, []func(*rows){deleted(keep)}, "remove b named KEEP BundleDeleted accepted"},
		{"bundle deleted", nil, &known, false, []func(*rows){deleted(drop)}, "remove b named REMOVE BundleDeleted accepted"},
		{"bundle deleted, objects kept", nil, &known, false, []func(*rows){deleted(keep)}, "remove b named KEEP BundleDeleted accepted"},
		{"bundle deleted while its removal was asked about", nil, new(with(known, removing)), false, []func(*rows){deleted(keep)}, "remove b named KEEP BundleDeleted accepted"},
		{"cluster leaves", nil, &known, true, []func(*rows){exists, leaving(keep)}, "remove b named KEEP ClusterDeleted accepted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRows()
			for _, edit := range tc.rows {
				edit(r)
			}
			var desired []*yardarmv1.AssignmentSpec
			if tc.want != nil {
				desired = append(desired, tc.want)
			}
			in := input(desired, nil, tc.within)
			if tc.held != nil {
				in.held = []holding{*tc.held}
			}
			if got := show(plan(r, in)); got != tc.plan {
				t.Errorf("got  %q\nwant %q", got, tc.plan)
			}
		})
	}
}

func TestPlanSkipsAndRepeats(t *testing.T) {
	v1, v2 := spec("b", 1), spec("b", 2)
	r := newRows()
	in := input([]*yardarmv1.AssignmentSpec{v2, spec("new", 1)}, holdingSet{holdingOf(v1, nowEpoch, 1)}, false)
	in.skip = map[string]bool{string(v2.Hash): true, string(spec("new", 1).Hash): true}
	if got := show(plan(r, in)); got != "" {
		t.Errorf("refused, and sent: %q", got)
	}
	in = input([]*yardarmv1.AssignmentSpec{v1}, holdingSet{holdingOf(v1, nowEpoch, 1)}, false)
	in.again = map[string]bool{string(v1.Hash): true}
	steps := plan(r, in)
	if got := show(steps); got != "assign b@1 named" {
		t.Fatalf("to be sent again: %q", got)
	}
	if steps[0].after.hasContent {
		t.Error("it is sent again for its content, and counts as there")
	}
}

// fleet is one random cluster: what it should have, what its spoke holds, and what the database knows of each bundle.
type fleet struct {
	rows   *rows
	in     planInput
	held   holdingSet // as in
	inside map[string]bool
}

func randomFleet(rng *rand.Rand) fleet {
	f := fleet{rows: newRows(), inside: map[string]bool{}}
	one := func(n int) bool { return rng.IntN(n) == 0 }
	workloads := func() yardarmv1.Workloads { return yardarmv1.Workloads(1 + rng.IntN(2)) }
	if one(8) {
		f.rows.cluster.Spec.Removal = &yardarmv1.Removal{Workloads: workloads()}
	}
	var desired []*yardarmv1.AssignmentSpec
	for i := range rng.IntN(6) {
		uid := fmt.Sprintf("b%d", i)
		f.inside[uid] = one(3)
		switch rng.IntN(4) {
		case 0:
			f.rows.deleted[uid] = &storev1.DeletedBundle{Uid: uid, Workloads: workloads()}
		case 1: // the database knows nothing
		default:
			f.rows.bundles[uid] = &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Uid: uid}}
			if f.rows.cluster.Spec.Removal == nil && !one(3) {
				desired = append(desired, spec(uid, uint32(1+rng.IntN(3))))
			}
		}
		if one(4) {
			continue
		}
		h := holdingOf(spec(uid, uint32(1+rng.IntN(3))), [][]byte{nowEpoch, oldEpoch, lostEpoch}[rng.IntN(3)], uint64(rng.IntN(25)))
		h.hasContent, h.removing, h.held = !one(3), one(5), one(5)
		h.accepted = h.removing && one(2)
		f.held = append(f.held, h)
		if one(3) {
			hash := h.hash
			if one(2) {
				hash = []byte("another")
			}
			f.rows.acceptances[uid] = append(f.rows.acceptances[uid], &storev1.Acceptance{HoldingHash: hash})
		}
		if one(4) {
			f.rows.acceptances[uid] = append(f.rows.acceptances[uid], &storev1.Acceptance{Deletion: &yardarmv1.AcceptedDeletion{FromDigest: h.digest}})
		}
	}
	f.in = input(desired, f.held, false)
	f.in.within = func(b *yardarmv1.Bundle) bool { return f.inside[b.Metadata.Uid] }
	return f
}

// planAlone plans for one bundle after the other.
func planAlone(f fleet) (steps []step) {
	whole := f.in
	var held, fresh []step
	for i := range 6 {
		only := scope{bundles: []string{fmt.Sprintf("b%d", i)}}
		f.in.held, f.in.desired = only.of(f.held), nil
		for _, a := range whole.desired {
			if a.BundleUid == only.bundles[0] {
				f.in.desired = append(f.in.desired, a)
			}
		}
		if len(f.in.held) > 0 {
			held = append(held, plan(f.rows, f.in)...)
		} else {
			fresh = append(fresh, plan(f.rows, f.in)...)
		}
	}
	return append(held, fresh...)
}

// Whatever a fleet looks like: the plan leads to a state that needs no plan; it is that of each bundle by itself; nothing ends without a reason in the database;
// and nothing of which the database does not know is let go of without an operator's word.
func TestPlanProperties(t *testing.T) {
	for seed := range uint64(8_000) {
		f := randomFleet(rand.New(rand.NewPCG(seed, 1)))
		steps := plan(f.rows, f.in)
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("seed %d: plan %q: %s", seed, show(steps), fmt.Sprintf(format, args...))
		}
		if alone := planAlone(f); show(alone) != show(steps) {
			fail("bundle by bundle %q", show(alone))
		}
		after := slices.Clone(f.held)
		touched := map[string]bool{}
		for _, s := range steps {
			uid := s.after.uid
			if touched[uid] {
				fail("%s is changed twice", uid)
			}
			touched[uid] = true
			old, there := f.held.of(uid)
			after = after.with(holdingSet{s.after})
			operator := slices.ContainsFunc(f.rows.acceptances[uid], func(a *storev1.Acceptance) bool { return accepts(a, old) })
			released := slices.ContainsFunc(f.rows.acceptances[uid], func(a *storev1.Acceptance) bool {
				return len(a.HoldingHash) > 0 && bytes.Equal(a.HoldingHash, old.hash)
			})
			leaving := f.rows.cluster.Spec.Removal != nil
			lets := there && !bytes.Equal(s.after.hash, old.hash) || s.after.removing
			if lets && !bytes.Equal(s.change.BaseHash, old.hash) {
				fail("%s is let go of without naming it", uid)
			}
			if lets && !f.in.knows(old) && !released && !leaving {
				fail("%s is unknown to the hub, and let go of", uid)
			}
			if s.spends && !operator {
				fail("%s spends what was never accepted", uid)
			}
			r := s.change.GetRemove()
			if r == nil {
				continue
			}
			bundle, gone := f.rows.bundles[uid], f.rows.deleted[uid]
			switch {
			case !there:
				fail("%s is removed, and was not held", uid)
			case leaving || gone != nil || released:
			case bundle == nil:
				fail("%s is removed by absence", uid)
			case f.inside[uid]:
				fail("%s is removed because of a fact", uid)
			}
			if r.Accepted && !leaving && gone == nil && !operator {
				fail("%s is accepted by nobody", uid)
			}
			if r.Workloads == yardarmv1.Workloads_WORKLOADS_UNSPECIFIED {
				fail("%s is removed without saying what becomes of its objects", uid)
			}
		}
		for _, a := range f.in.desired {
			h, there := after.of(a.BundleUid)
			if !there {
				fail("%s is wanted and not assigned", a.BundleUid)
			}
			if old, _ := f.held.of(a.BundleUid); f.in.knows(old) && (!bytes.Equal(h.hash, a.Hash) || h.removing || h.held) {
				fail("%s is known and not as it should be", a.BundleUid)
			}
		}
		f.in.held = after
		if again := plan(f.rows, f.in); len(again) > 0 {
			fail("then %q", show(again))
		}
	}
}

// What a cluster holds of a bundle that is for it again stays as it is until the rollout has let the cluster in: a fact or a label that flaps moves nothing.
func TestPlanKeepsWhatIsForTheClusterAgain(t *testing.T) {
	r := &rows{cluster: &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "c1"}, Spec: &yardarmv1.ClusterSpec{}}, acceptances: map[string][]*storev1.Acceptance{},
		bundles: map[string]*yardarmv1.Bundle{"b": {Metadata: &yardarmv1.ObjectMeta{Uid: "b"}}}, deleted: map[string]*storev1.DeletedBundle{}}
	in := input(nil, holdingSet{holdingOf(spec("b", 1), nowEpoch, 20)}, true)
	in.targeted = func(*yardarmv1.Bundle) bool { return true }
	if got := show(plan(r, in)); got != "" {
		t.Errorf("%s, want nothing", got)
	}
	r.cluster.Spec.Removal = &yardarmv1.Removal{Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}
	if got := show(plan(r, in)); got != "remove b named KEEP ClusterDeleted accepted" {
		t.Errorf("of a cluster that is being deleted: %s", got)
	}
}

// What a spoke will hold hashes to the same whether it is told as changes of what it holds, or as a whole.
func TestSetHashOfWhatChanges(t *testing.T) {
	for seed := range uint64(200) {
		f := randomFleet(rand.New(rand.NewPCG(seed, 2)))
		var changed holdingSet
		for _, s := range plan(f.rows, f.in) {
			changed = append(changed, s.after)
		}
		slices.SortFunc(changed, byUID)
		hash := setHash(f.held, changed)
		if !bytes.Equal(hash, setHash(f.held.with(changed), nil)) {
			t.Fatalf("seed %d: %d changes of %d holdings hash to something else", seed, len(changed), len(f.held))
		}
	}
}
