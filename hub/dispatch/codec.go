package dispatch

import (
	"bytes"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// Field numbers of a delta in its response, and of the changes and contents in a delta.
var (
	deltaField    = (&spokev1.ConnectResponse{}).ProtoReflect().Descriptor().Fields().ByName("delta").Number()
	changesField  = (&spokev1.Delta{}).ProtoReflect().Descriptor().Fields().ByName("changes").Number()
	contentsField = (&spokev1.Delta{}).ProtoReflect().Descriptor().Fields().ByName("contents").Number()
)

// codec is gRPC's own, but for what it does with large messages: that one takes a buffer of 1 MiB for each beyond 32 KiB, and
// has a copy of every content for every spoke.
type codec struct{ encoding.CodecV2 }

// Marshal answers a message in as many bytes as it has; of a deltaMessage's shared fields, those that all share.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *deltaMessage:
		return m.marshal()
	case proto.Message:
		encoded, err := proto.Marshal(m)
		return mem.BufferSlice{mem.SliceBuffer(encoded)}, err
	}
	return c.CodecV2.Marshal(v)
}

// deltaMessage is a response that is a delta. Of its fields, shared are encoded once, whoever gets them; delta has the others.
type deltaMessage struct {
	delta  *spokev1.Delta
	shared [][]byte
}

func (m *deltaMessage) size() int {
	n := proto.Size(m.delta)
	for _, field := range m.shared {
		n += len(field)
	}
	return n
}

func (m *deltaMessage) marshal() (mem.BufferSlice, error) {
	head := protowire.AppendVarint(protowire.AppendTag(nil, deltaField, protowire.BytesType), uint64(m.size()))
	head, err := proto.MarshalOptions{}.MarshalAppend(head, m.delta)
	out := mem.BufferSlice{mem.SliceBuffer(head)}
	for _, field := range m.shared {
		out = append(out, mem.SliceBuffer(field))
	}
	return out, err
}

// inlineContent is a content as it travels within a delta.
type inlineContent struct {
	*spokev1.Content
	// encoded is the field of the delta.
	encoded []byte
}

// newInlineContent takes c.
func newInlineContent(c *spokev1.Content) (*inlineContent, error) {
	value, err := proto.Marshal(c)
	if err != nil {
		return nil, err
	}
	encoded := protowire.AppendBytes(protowire.AppendTag(nil, contentsField, protowire.BytesType), value)
	if bytes.HasSuffix(encoded, c.Data) {
		c.Data = encoded[len(encoded)-len(c.Data):] // one copy is enough
	}
	return &inlineContent{c, encoded}, nil
}
