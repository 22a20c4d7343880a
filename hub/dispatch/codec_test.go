package dispatch

import (
	"strings"
	"testing"

	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// TestDeltaMessage: what travels in pieces is the delta that it would be in one piece, and two spokes share a content's bytes.
func TestDeltaMessage(t *testing.T) {
	c := codec{encoding.GetCodecV2(encodingproto.Name)}
	delta := &spokev1.Delta{
		Cursor: &spokev1.Cursor{Epoch: []byte("epoch"), Index: 7}, HoldingsHash: []byte("hash"),
		Changes: []*spokev1.Change{{BaseHash: []byte("base"), Change: &spokev1.Change_Remove{Remove: &spokev1.Tombstone{Bundle: "web"}}}},
	}
	var shared [][]byte
	want := proto.CloneOf(delta)
	for _, size := range []int{0, 1, 200, 100_000} {
		content := &spokev1.Content{Digest: "sha256:x", Size: uint64(size), BaseDigest: "sha256:y", Data: []byte(strings.Repeat("z", size))}
		inline, err := newInlineContent(content)
		if err != nil {
			t.Fatal(err)
		}
		shared = append(shared, inline.encoded)
		want.Contents = append(want.Contents, content)
	}
	message := &deltaMessage{delta, shared}
	encoded, err := c.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	var got spokev1.ConnectResponse
	if err := c.Unmarshal(encoded, &got); err != nil || !proto.Equal(got.GetDelta(), want) {
		t.Errorf("it comes out as another delta: %v", err)
	}
	if message.size() != proto.Size(want) {
		t.Errorf("size: got %d, want %d", message.size(), proto.Size(want))
	}
	again, err := c.Marshal(&deltaMessage{delta, shared})
	if err != nil {
		t.Fatal(err)
	}
	if last := len(encoded) - 1; &encoded[last].ReadOnlyData()[0] != &again[last].ReadOnlyData()[0] {
		t.Error("a content is copied for each spoke")
	}
	// A message takes what it has, and not a buffer of the next size.
	whole, err := c.Marshal(&spokev1.FetchResponse{Data: make([]byte, 50_000)})
	if err != nil || cap(whole.Materialize()) > 60_000 || whole.Len() < 50_000 {
		t.Errorf("50,000 bytes of content take %d, %v", cap(whole.Materialize()), err)
	}
}
