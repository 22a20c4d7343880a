package scenario

import (
	"strconv"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// told is what is timed of a watch's message: its type, and when its cluster was changed, in nanoseconds; 0 where it does not say. A thousand clients that
// decode all of their messages would be on machines of their own, and not on the hub's.
type told struct {
	kind string
	at   int64
}

// tellingCodec is gRPC's, but reads no more of a watch's messages than is timed.
type tellingCodec struct{ encoding.CodecV2 }

func newTellingCodec() tellingCodec { return tellingCodec{encoding.GetCodecV2(grpcproto.Name)} }

func (c tellingCodec) Unmarshal(data mem.BufferSlice, message any) error {
	m, ok := message.(*told)
	if !ok {
		return c.CodecV2.Unmarshal(data, message)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	*m = toldBy(buffer.ReadOnlyData())
	return nil
}

// The fields on the way to the label.
var (
	typeField     = fieldOf(&hubv1.WatchResponse{}, "type")
	clusterField  = fieldOf(&hubv1.WatchResponse{}, "cluster")
	metadataField = fieldOf(&yardarmv1.Cluster{}, "metadata")
	labelsField   = fieldOf(&yardarmv1.ObjectMeta{}, "labels")
)

func fieldOf(m proto.Message, name string) protowire.Number {
	return m.ProtoReflect().Descriptor().Fields().ByTextName(name).Number()
}

func toldBy(message []byte) (out told) {
	eachPart(message, typeField, func(kind []byte) { out.kind = string(kind) })
	eachPart(message, clusterField, func(cluster []byte) {
		eachPart(cluster, metadataField, func(meta []byte) {
			eachPart(meta, labelsField, func(label []byte) {
				var key, value string
				eachPart(label, 1, func(k []byte) { key = string(k) })
				if key != changedLabel {
					return
				}
				eachPart(label, 2, func(v []byte) { value = string(v) })
				out.at, _ = strconv.ParseInt(value, 10, 64)
			})
		})
	})
	return out
}

// eachPart calls fn with each value of a field that is text or a message; of what is no message, with none.
func eachPart(message []byte, field protowire.Number, fn func([]byte)) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return
		}
		if number == field && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			fn(value)
		}
		message = message[n:]
	}
}
