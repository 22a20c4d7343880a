package state

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// newerField is one that no message of this spoke has.
var newerField = protowire.AppendString(protowire.AppendTag(nil, 10_000, protowire.BytesType), "of a newer spoke")

// What a newer spoke has kept that this one does not know is there when it is back, whatever this one has done meanwhile.
func TestNewerFieldsStay(t *testing.T) {
	disk := newMemory()
	s := open(t, disk)
	one := assignment("web", 1, content("one"))
	apply(t, s, cursor(1, 1), []*spokev1.Content{content("one").whole()}, assign(one, nil))
	key := holdingPrefix + uidOf("web")
	disk.values[key] = append(disk.values[key], newerField...)

	s = open(t, disk)
	kept := func(after string) {
		t.Helper()
		h := &spokev1.StoredHolding{}
		if err := proto.Unmarshal(disk.values[key], h); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(h.ProtoReflect().GetUnknown(), newerField) {
			t.Errorf("it is gone after %s", after)
		}
	}
	if err := s.Applied(t.Context(), uidOf("web"), Applied{Digest: content("one").digest}, nil); err != nil {
		t.Fatal(err)
	}
	kept("what the cluster holds has been noted")
	apply(t, s, cursor(1, 2), []*spokev1.Content{content("two").whole()}, assign(assignment("web", 2, content("two")), one.Hash))
	kept("another assignment")
	apply(t, s, cursor(1, 3), nil, hold("web"))
	kept("a hold")
	s = open(t, disk)
	apply(t, s, cursor(1, 4), nil, remove("web", assignment("web", 2, content("two")).Hash))
	kept("a restart and a tombstone")
}
