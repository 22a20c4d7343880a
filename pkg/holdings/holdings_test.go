package holdings

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func assignment() *yardarmv1.AssignmentSpec {
	return &yardarmv1.AssignmentSpec{
		Cluster: "edge-1", Bundle: "web", BundleUid: "b1", Revision: 3, Digest: "sha256:aa", Size: 42,
		Delivery:          &yardarmv1.DeliveryPolicy{Atomic: true, Namespace: "prod"},
		AcceptedDeletions: []*yardarmv1.AcceptedDeletion{{FromDigest: "sha256:bb", ToDigest: "sha256:aa"}},
		Customization:     &yardarmv1.Customization{Substitute: true}, Labels: map[string]string{"region": "eu"}, Reconcile: 1, Variant: "small",
	}
}

// Whatever field the message gets, it must count, or two different assignments would pass for one.
func TestAssignmentHashCoversEveryField(t *testing.T) {
	whole := AssignmentHash(assignment())
	fields := (&yardarmv1.AssignmentSpec{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		changed := assignment()
		if fd.Name() == "hash" {
			changed.Hash = []byte("x")
		} else {
			if !changed.ProtoReflect().Has(fd) {
				t.Fatalf("the test's assignment lacks %s: set it there", fd.Name())
			}
			changed.ProtoReflect().Clear(fd)
		}
		same := bytes.Equal(whole, AssignmentHash(changed))
		if want := fd.Name() == "cluster" || fd.Name() == "variant" || fd.Name() == "hash"; same != want {
			t.Errorf("without %s: same hash %v, want %v", fd.Name(), same, want)
		}
	}
	inner := assignment()
	inner.Delivery.Namespace = "other"
	if bytes.Equal(whole, AssignmentHash(inner)) {
		t.Error("a nested field does not count")
	}
}

func report() *yardarmv1.Report {
	r := &yardarmv1.Report{
		Bundle: "web", BundleUid: "b1", AssignmentHash: []byte{1, 2, 3}, Revision: 7, Digest: "sha256:aa", RenderedDigest: "sha256:bb", Phase: yardarmv1.PhaseReady, Reason: "ObjectsReady",
		Message: "45 objects are applied and ready", ObservedTime: timestamppb.New(time.Unix(1, 0)),
	}
	for _, kind := range []string{"Applied", "Ready", "Reconciling"} {
		r.Conditions = append(r.Conditions, &yardarmv1.Condition{Type: kind, Status: "True", Reason: "ObjectsReady", LastTransitionTime: timestamppb.New(time.Unix(1700000000, 0))})
	}
	return r
}

// Both sides of a stream compute these, in whatever versions they are.
func TestHashesStayWhatTheyAre(t *testing.T) {
	if got := hex.EncodeToString(AssignmentHash(assignment())); got != "dcb96ea6ef3eb1da06059ffc502419fe79b84f34ce75d94c35d2ea81bbc51eef" {
		t.Errorf("of an assignment: %s", got)
	}
	if got := hex.EncodeToString(MessageHash(report(), "observed_time")); got != "d63c7145cb96a508afdc158e7993976a6ded820d8dd06dab51f17dd18910653d" {
		t.Errorf("of a report: %s", got)
	}
	facts := &yardarmv1.Facts{Nodes: 3, Capacity: map[string]string{"cpu": "12", "memory": "48Gi"}, ApiGroups: []string{"apps/v1", "v1"}}
	if got := hex.EncodeToString(MessageHash(facts)); got != "688cc8ca4596dfbf6176f46f0f10c7457c1f27a35914d0171674b4c9c5eaa009" {
		t.Errorf("of facts: %s", got)
	}
	// Its fields are declared in another order than that of their numbers.
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("f"), PublicDependency: []int32{-1, 2}, MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("m")}}}
	if got := hex.EncodeToString(MessageHash(file)); got != "d6a32d0e47453514e4072aec433d54aa4f06cc296a15c3b975b27da40570d21c" {
		t.Errorf("of a file: %s", got)
	}
	items := []Item{{"b", []byte("x"), true}, {"a", []byte("y"), false}}
	if got := hex.EncodeToString(SetHash(items)); got != "ae2f4bb67491d28b3c87c6894d786c1f2ca3c30ad69859ce7a55b30db2a475da" {
		t.Errorf("of a set: %s", got)
	}
}

// TestWithout: what is left out is that field of the message, and none of those within it.
func TestWithout(t *testing.T) {
	later := report()
	later.ObservedTime = timestamppb.New(time.Unix(2, 0))
	if !bytes.Equal(MessageHash(report(), "observed_time"), MessageHash(later, "observed_time")) || bytes.Equal(MessageHash(report()), MessageHash(later)) {
		t.Error("a field that is left out counts, or one that is not does not")
	}
	other := report()
	other.Conditions[1].Reason = "Other"
	if bytes.Equal(MessageHash(report(), "reason"), MessageHash(other, "reason")) {
		t.Error("a field of that name within another is left out")
	}
}

func BenchmarkMessageHash(b *testing.B) {
	r := report()
	b.ReportAllocs()
	for b.Loop() {
		MessageHash(r)
	}
}

func TestSame(t *testing.T) {
	whole := AssignmentHash(assignment())
	other := bytes.Clone(whole)
	other[31]++
	for _, tc := range []struct {
		name string
		a, b []byte
		want bool
	}{
		{"whole", whole, whole, true},
		{"one of them cut", whole, Cut(whole), true},
		{"both cut", Cut(whole), Cut(other), true},
		{"another", whole, other, false},
		{"cut too much", whole, whole[:7], false},
		{"nothing", nil, nil, false},
		{"one of them nothing", whole, nil, false},
	} {
		if Same(tc.a, tc.b) != tc.want || Same(tc.b, tc.a) != tc.want {
			t.Errorf("%s: not %v", tc.name, tc.want)
		}
	}
}

func TestMessageHashDoesNotConfuseNeighbours(t *testing.T) {
	pairs := [][2]protoreflect.ProtoMessage{
		{&yardarmv1.Facts{ApiGroups: []string{"ab", "c"}}, &yardarmv1.Facts{ApiGroups: []string{"a", "bc"}}},
		{&yardarmv1.Facts{Provider: "x"}, &yardarmv1.Facts{Region: "x"}},
		{&yardarmv1.Facts{Capacity: map[string]string{"a": "1", "b": "2"}}, &yardarmv1.Facts{Capacity: map[string]string{"a": "2", "b": "1"}}},
	}
	for _, p := range pairs {
		if bytes.Equal(MessageHash(p[0]), MessageHash(p[1])) {
			t.Errorf("%v and %v have one hash", p[0], p[1])
		}
		if !bytes.Equal(MessageHash(p[0]), MessageHash(proto.Clone(p[0]))) {
			t.Errorf("%v and its clone differ", p[0])
		}
	}
}

func TestSetHash(t *testing.T) {
	a, b := Item{BundleUID: "a", Hash: []byte{1}}, Item{BundleUID: "b", Hash: []byte{2}}
	base := SetHash([]Item{a, b})
	if !bytes.Equal(base, SetHash([]Item{b, a})) {
		t.Error("order counts")
	}
	held := b
	held.Held = true
	for name, other := range map[string][]Item{
		"fewer": {a}, "none": {}, "held": {a, held}, "another hash": {a, {BundleUID: "b", Hash: []byte{3}}},
	} {
		if bytes.Equal(base, SetHash(other)) {
			t.Errorf("%s: same hash", name)
		}
	}
}
