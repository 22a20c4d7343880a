package placement

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// snapshot is a Reader of one bundle, which goes to every cluster.
type snapshot struct {
	// assigned is by the rollout, by cluster, and settled is 0 where there is none.
	assigned    map[string]uint32
	settled     uint32
	clusters    map[string]*yardarmv1.Cluster
	groups      map[string][]string // by cluster
	bundle      *yardarmv1.Bundle
	revision    *yardarmv1.Revision
	acceptances map[string][]*storev1.Acceptance // by cluster
	reconciles  map[string]uint64                // by cluster
	before      map[string]*storev1.Before       // by cluster
}

func (s *snapshot) Cluster(uid string) *yardarmv1.Cluster { return s.clusters[uid] }
func (s *snapshot) GroupsOf(uid string) []string          { return s.groups[uid] }
func (s *snapshot) Bundle(string) *yardarmv1.Bundle       { return s.bundle }
func (s *snapshot) BundlesOf(string) iter.Seq[*yardarmv1.Bundle] {
	return slices.Values([]*yardarmv1.Bundle{s.bundle})
}
func (s *snapshot) Revision(string, uint32) *yardarmv1.Revision { return s.revision }
func (s *snapshot) Acceptances(uid, _ string) iter.Seq[*storev1.Acceptance] {
	return slices.Values(s.acceptances[uid])
}
func (s *snapshot) Assigned(_, uid string) (uint32, bool) {
	number, ok := s.assigned[uid]
	return number, ok
}
func (s *snapshot) Settled(string) (uint32, bool)        { return s.settled, s.settled != 0 }
func (s *snapshot) Reconciliations(uid, _ string) uint64 { return s.reconciles[uid] }
func (s *snapshot) Before(_, uid string) *storev1.Before { return s.before[uid] }

func newCluster(name string, labels map[string]string) *yardarmv1.Cluster {
	return &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: name, Labels: labels}}
}

func patches(names ...string) *yardarmv1.Customization {
	c := &yardarmv1.Customization{Language: 1}
	for _, name := range names {
		c.Patches = append(c.Patches, &yardarmv1.Patch{Patch: name})
	}
	return c
}

// example is a bundle that patches all, and the clusters of group canary, then those of prod, each in its own way.
func example() *snapshot {
	return &snapshot{
		clusters: map[string]*yardarmv1.Cluster{
			"one":   newCluster("one", map[string]string{"region": "eu", "other": "1"}),
			"two":   newCluster("two", map[string]string{"region": "eu", "other": "2"}),
			"three": newCluster("three", map[string]string{"region": "us"}),
			"four":  newCluster("four", nil),
			"five":  newCluster("five", map[string]string{"region": "eu"}), // as two
		},
		groups: map[string][]string{"one": {"canary", "prod"}, "two": {"prod"}, "three": {"prod"}, "four": {"all"}, "five": {"prod"}},
		bundle: &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: "web", Uid: "b1"}, Status: &yardarmv1.BundleStatus{Revision: 3}},
		revision: &yardarmv1.Revision{Spec: &yardarmv1.RevisionSpec{
			Number: 3, Digest: "d3", Size: 10, Delivery: &yardarmv1.DeliveryPolicy{Namespace: "default"},
			Customization: patches("all"), Labels: []string{"region", "zone"},
			Targets: []*yardarmv1.Target{{Group: "nobody", Customization: patches("nobody")}, {Group: "canary", Customization: patches("canary")}, {Group: "prod", Customization: patches("prod")}},
		}},
	}
}

func named(text string, clusters ...string) *yardarmv1.Patch {
	return &yardarmv1.Patch{Patch: text, Clusters: clusters}
}

func texts(c *yardarmv1.Customization) string {
	var out []string
	for _, p := range c.GetPatches() {
		out = append(out, p.Patch)
	}
	return strings.Join(out, " ")
}

// assignAll derives the assignments of all clusters, one after the other.
func assignAll(s *snapshot) map[string]*yardarmv1.AssignmentSpec {
	assigner := NewAssigner(s, s.bundle, 3)
	out := map[string]*yardarmv1.AssignmentSpec{}
	for _, uid := range slices.Sorted(maps.Keys(s.clusters)) {
		out[uid] = assigner.Assign(s, s.clusters[uid])
	}
	return out
}

func TestAssign(t *testing.T) {
	all := assignAll(example())
	for uid, want := range map[string]struct {
		patches string
		labels  map[string]string
	}{
		// The first of the targets in the bundle's order counts, whatever the order of the groups' names.
		"one":   {"all canary", map[string]string{"region": "eu"}},
		"two":   {"all prod", map[string]string{"region": "eu"}},
		"three": {"all prod", map[string]string{"region": "us"}},
		"four":  {"all", nil},
	} {
		a := all[uid]
		if got := texts(a.Customization); got != want.patches || !maps.Equal(a.Labels, want.labels) {
			t.Errorf("%s: patches %q, labels %v", uid, got, a.Labels)
		}
		if a.Cluster != uid || a.Revision != 3 || a.Digest != "d3" || a.Size != 10 || a.Delivery.GetNamespace() != "default" || a.BundleUid != "b1" || a.Bundle != "web" {
			t.Errorf("%s: %v", uid, a)
		}
		if !bytes.Equal(a.Hash, holdings.AssignmentHash(a)) {
			t.Errorf("%s: the hash is of something else", uid)
		}
	}
	s := example()
	s.revision = nil
	if a := DesiredOf(s, s.clusters["one"], s.bundle); a != nil {
		t.Errorf("without a revision: %v", a)
	}
}

// A patch that names clusters is in the assignments of those, without the names, and clusters that get the same share it.
func TestAssignPatchesOfSomeClusters(t *testing.T) {
	s := example()
	s.revision.Spec.Customization.Patches = append(s.revision.Spec.Customization.Patches, named("some", "one", "two", "four", "five"))
	s.revision.Spec.Targets[2].Customization = &yardarmv1.Customization{Patches: []*yardarmv1.Patch{named("own", "two", "five")}}
	all := assignAll(s)
	for uid, want := range map[string]string{"one": "all some canary", "two": "all some own", "three": "all", "four": "all some", "five": "all some own"} {
		if got := texts(all[uid].Customization); got != want {
			t.Errorf("%s: patches %q, want %q", uid, got, want)
		}
		for _, p := range all[uid].Customization.GetPatches() {
			if len(p.Clusters) > 0 {
				t.Errorf("%s is told of others: %v", uid, p)
			}
		}
	}
	if all["two"].Customization != all["five"].Customization {
		t.Error("clusters that get the same do not share it")
	}
	s.revision.Spec.Customization, s.revision.Spec.Targets = nil, []*yardarmv1.Target{{Group: "prod", Customization: &yardarmv1.Customization{Patches: []*yardarmv1.Patch{named("own", "two")}}}}
	if c := assignAll(s)["three"].Customization; c != nil {
		t.Errorf("where nothing is left, there is %v", c)
	}
}

// Each input of an assignment changes it, in the clusters that it is about and in no others, and a kept hash is never that of another assignment.
func TestAssignChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*snapshot)
		want   []string // clusters whose assignment changes
	}{
		"a label that is used":         {func(s *snapshot) { s.clusters["two"].Metadata.Labels["region"] = "us" }, []string{"two"}},
		"a label that is used and new": {func(s *snapshot) { s.clusters["one"].Metadata.Labels["zone"] = "" }, []string{"one"}},
		"a label that is not used":     {func(s *snapshot) { s.clusters["two"].Metadata.Labels["other"] = "3" }, nil},
		"another group":                {func(s *snapshot) { s.groups["two"] = []string{"canary", "prod"} }, []string{"two"}},
		"a group that changes nothing": {func(s *snapshot) { s.groups["two"] = []string{"all", "prod"} }, nil},
		"the bundle's customization":   {func(s *snapshot) { s.revision.Spec.Customization.Substitute = true }, []string{"five", "four", "one", "three", "two"}},
		"a target's customization":     {func(s *snapshot) { s.revision.Spec.Targets[1].Customization = nil }, []string{"one"}},
		"a patch for some clusters": {func(s *snapshot) {
			s.revision.Spec.Targets[2].Customization.Patches = append(patches("prod", "own").Patches[:1], named("own", "two", "four"))
		}, []string{"two"}},
		"a request to reconcile in one":   {func(s *snapshot) { s.reconciles = map[string]uint64{"two": 1} }, []string{"two"}},
		"a deletion that is accepted":     {func(s *snapshot) { s.accept("two", "d3") }, []string{"two"}},
		"a deletion that is about before": {func(s *snapshot) { s.accept("two", "d2") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := assignAll(example())
			s := example()
			tc.change(s)
			after := assignAll(s)
			var changed []string
			for _, uid := range slices.Sorted(maps.Keys(after)) {
				if !bytes.Equal(after[uid].Hash, holdings.AssignmentHash(after[uid])) {
					t.Errorf("%s has the hash of another assignment", uid)
				}
				if !bytes.Equal(before[uid].Hash, after[uid].Hash) {
					changed = append(changed, uid)
				}
			}
			if !slices.Equal(changed, tc.want) {
				t.Errorf("changed: %v, want %v", changed, tc.want)
			}
		})
	}
}

func (s *snapshot) accept(uid, to string) {
	s.acceptances = map[string][]*storev1.Acceptance{uid: {{Deletion: &yardarmv1.AcceptedDeletion{FromDigest: "d0", ToDigest: to}}, {HoldingHash: []byte("x")}}}
}

// What a cluster was counts for what it is to run, until its turn has come, and for nothing that it might run.
func TestAssignByWhatItWas(t *testing.T) {
	s := example()
	want := assignAll(s)["two"].Hash
	s.clusters["two"].Metadata.Labels, s.groups["two"] = map[string]string{"region": "us"}, []string{"canary"}
	s.before = map[string]*storev1.Before{"two": {Labels: map[string]string{"region": "eu", "other": "9"}, Groups: []string{"prod"}}}
	if !bytes.Equal(assignAll(s)["two"].Hash, want) {
		t.Error("it does not run what it ran")
	}
	s.assigned = map[string]uint32{"two": 2}
	if bytes.Equal(assignAll(s)["two"].Hash, want) {
		t.Error("what it might run is told by what it was")
	}
}

func TestAlike(t *testing.T) {
	r := example().revision
	r.Spec.Targets = append(r.Spec.Targets, &yardarmv1.Target{Group: "as-prod", Customization: patches("prod")})
	was := &storev1.Before{Labels: map[string]string{"region": "eu"}, Groups: []string{"prod"}}
	for name, tc := range map[string]struct {
		is   *storev1.Before
		want bool
	}{
		"as it was":                           {&storev1.Before{Labels: map[string]string{"region": "eu"}, Groups: []string{"prod"}}, true},
		"a label that is not used":            {&storev1.Before{Labels: map[string]string{"region": "eu", "a": "b"}, Groups: []string{"prod"}}, true},
		"a label that is used":                {&storev1.Before{Labels: map[string]string{"region": "us"}, Groups: []string{"prod"}}, false},
		"a label that is gone":                {&storev1.Before{Groups: []string{"prod"}}, false},
		"another target before it":            {&storev1.Before{Labels: was.Labels, Groups: []string{"canary", "prod"}}, false},
		"another target after it":             {&storev1.Before{Labels: was.Labels, Groups: []string{"as-prod", "prod"}}, true},
		"a target with the same":              {&storev1.Before{Labels: was.Labels, Groups: []string{"as-prod"}}, true},
		"none of the targets of the revision": {&storev1.Before{Labels: was.Labels, Groups: []string{"all"}}, false},
	} {
		if got := Alike(r, was, tc.is); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A bundle that says nothing new keeps the hash that its clusters hold it under.
func TestAssignmentHashIsStable(t *testing.T) {
	s := example()
	s.revision.Spec = &yardarmv1.RevisionSpec{Number: 3, Digest: "d3", Size: 10, Delivery: &yardarmv1.DeliveryPolicy{Namespace: "default"}}
	s.revision.Spec.Labels = nil
	a := DesiredOf(s, s.clusters["one"], s.bundle)
	plain := &yardarmv1.AssignmentSpec{Bundle: "web", BundleUid: "b1", Revision: 3, Digest: "d3", Size: 10, Delivery: &yardarmv1.DeliveryPolicy{Namespace: "default"}}
	if !bytes.Equal(a.Hash, holdings.AssignmentHash(plain)) {
		t.Error("the hash has changed")
	}
}

// What a rollout says of a cluster counts, then what it says of all others, and only then the bundle's row.
func TestRevisionFor(t *testing.T) {
	s := example()
	s.assigned = map[string]uint32{"two": 7, "three": 0}
	for settled, want := range map[uint32]map[string]uint32{0: {"one": 3, "two": 7, "three": 0}, 5: {"one": 5, "two": 7, "three": 0}} {
		s.settled = settled
		for uid, number := range want {
			if got := RevisionFor(s, uid, s.bundle); got != number {
				t.Errorf("%s is to run %d, want %d", uid, got, number)
			}
		}
	}
}
