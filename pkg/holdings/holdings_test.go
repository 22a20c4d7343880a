package holdings

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func assignment() *yardarmv1.AssignmentSpec {
	return &yardarmv1.AssignmentSpec{
		Cluster: "edge-1", Bundle: "web", BundleUid: "b1", Revision: 3, Digest: "sha256:aa", Size: 42,
		Delivery:          &yardarmv1.DeliveryPolicy{Atomic: true, Namespace: "prod"},
		AcceptedDeletions: []*yardarmv1.AcceptedDeletion{{FromDigest: "sha256:bb", ToDigest: "sha256:aa"}},
		Customization:     &yardarmv1.Customization{Substitute: true}, Labels: map[string]string{"region": "eu"}, Reconcile: 1,
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
		if want := fd.Name() == "cluster" || fd.Name() == "hash"; same != want {
			t.Errorf("without %s: same hash %v, want %v", fd.Name(), same, want)
		}
	}
	inner := assignment()
	inner.Delivery.Namespace = "other"
	if bytes.Equal(whole, AssignmentHash(inner)) {
		t.Error("a nested field does not count")
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
