package api_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
)

// asSent is a codec that sends bytes as they are, and throws away what comes.
type asSent struct{}

func (asSent) Name() string { return "proto" }

func (asSent) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (asSent) Unmarshal(mem.BufferSlice, any) error { return nil }

var _ encoding.CodecV2 = asSent{}

// listening is how long a stream is listened to that may have nothing to say.
const listening = 50 * time.Millisecond

// FuzzEveryMethod sends bytes to the methods of the descriptor. None fails by them.
func FuzzEveryMethod(f *testing.F) {
	h := apitest.Start(f)
	for i := range fleetMethods().Len() {
		input := fleetMethods().Get(i).Input()
		for _, text := range []string{"", "nothing", "\xff", strings.Repeat("x", 10_000), "Bundle"} {
			raw, err := proto.MarshalOptions{AllowPartial: true}.Marshal(filled(input, text, 3))
			if err != nil {
				raw = []byte(text) // of a text that is none
			}
			f.Add(uint8(i), raw)
		}
		f.Add(uint8(i), []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x07}) // a field that says that it has 2 GiB
	}
	f.Fuzz(func(t *testing.T, number uint8, raw []byte) {
		m := fleetMethods().Get(int(number) % fleetMethods().Len())
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		stream, err := h.Conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
			"/"+string(m.Parent().FullName())+"/"+string(m.Name()), grpc.ForceCodecV2(asSent{}))
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.SendMsg(&raw)
		_ = stream.CloseSend()
		if m.IsStreamingServer() {
			time.AfterFunc(listening, cancel)
		}
		if err = stream.RecvMsg(nil); errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled && ctx.Err() != nil {
			return
		}
		if st := status.Convert(err); st.Code() == codes.Internal && strings.HasPrefix(st.Message(), "grpc: ") {
			return // the library's word for bytes that are no message
		}
		answered(t, err)
	})
}

// filled is a message with something in every field, as deep as that.
func filled(d protoreflect.MessageDescriptor, text string, depth int) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		value := func(field protoreflect.FieldDescriptor) (protoreflect.Value, bool) {
			switch field.Kind() {
			case protoreflect.StringKind:
				return protoreflect.ValueOfString(text), true
			case protoreflect.BytesKind:
				return protoreflect.ValueOfBytes([]byte(text)), true
			case protoreflect.BoolKind:
				return protoreflect.ValueOfBool(len(text) > 0), true
			case protoreflect.Uint32Kind:
				return protoreflect.ValueOfUint32(1 << 31), true
			case protoreflect.Uint64Kind:
				return protoreflect.ValueOfUint64(1 << 63), true
			case protoreflect.Int32Kind:
				return protoreflect.ValueOfInt32(-1 << 31), true
			case protoreflect.Int64Kind:
				return protoreflect.ValueOfInt64(-1 << 63), true
			case protoreflect.EnumKind:
				return protoreflect.ValueOfEnum(77), true
			case protoreflect.MessageKind:
				if depth > 0 { // values of charts hold values
					return protoreflect.ValueOfMessage(filled(field.Message(), text, depth-1)), true
				}
			}
			return protoreflect.Value{}, false
		}
		switch {
		case field.IsMap():
			if v, ok := value(field.MapValue()); ok && field.MapKey().Kind() == protoreflect.StringKind {
				m.Mutable(field).Map().Set(protoreflect.ValueOfString(text).MapKey(), v)
			}
		case field.IsList():
			if v, ok := value(field); ok {
				m.Mutable(field).List().Append(v)
			}
		default:
			if v, ok := value(field); ok {
				m.Set(field, v)
			}
		}
	}
	return m
}
