package api

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	// fieldsKey is the metadata key of the fields that a caller wants of an answer. hub/gateway makes it of the query parameter "fields", too. It belongs to the
	// call and not to its request, as AIP-157 allows: so it is the same for every method, streams included, and a new one cannot be without.
	fieldsKey = "x-yardarm-fields"
	// maxMask is how long its value may be, in bytes: some fifty paths.
	maxMask = 4 << 10
)

// mask is which fields of a message are wanted, by their names, and which parts of those; an empty one wants all.
type mask map[string]mask

// maskOf is the mask of a call, whose paths are those of the method's answer; nil where all is wanted.
func maskOf(ctx context.Context, method string) (mask, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	text := strings.Join(md.Get(fieldsKey), ",")
	if text == "" {
		return nil, nil
	}
	if len(text) > maxMask {
		return nil, invalid("fields", fmt.Sprintf("has %d bytes; at most %d are read", len(text), maxMask))
	}
	name := method[strings.LastIndexByte(method, '/')+1:]
	service := hubv1.File_yardarm_hub_v1_fleet_proto.Services().ByName("FleetService")
	answer := service.Methods().ByName(protoreflect.Name(name)).Output()
	m := mask{}
	for path := range strings.SplitSeq(text, ",") {
		if err := m.add(answer, strings.TrimSpace(path)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// add wants what a path names: fields by either of their names, with dots between. Of a list, it is what each entry has; of a map, the rest is a key.
func (m mask) add(d protoreflect.MessageDescriptor, path string) error {
	at, rest := m, path
	for {
		name, more, deeper := strings.Cut(rest, ".")
		field := d.Fields().ByJSONName(name)
		if field == nil {
			field = d.Fields().ByTextName(name)
		}
		switch {
		case field == nil:
			return invalid("fields", fmt.Sprintf("%q: a %s has no field %q; /openapi.json lists them", clip(path), d.Name(), clip(name)))
		case deeper && field.Message() == nil:
			return invalid("fields", fmt.Sprintf("%q: %s has no fields of its own", clip(path), name))
		}
		next, wanted := at[string(field.Name())]
		switch {
		case wanted && len(next) == 0:
			return nil // all of it is wanted already
		case !deeper:
			at[string(field.Name())] = nil
			return nil
		case next == nil:
			next = mask{}
			at[string(field.Name())] = next
		}
		if field.IsMap() {
			next[more] = nil
			return nil
		}
		at, d, rest = next, field.Message(), more
	}
}

// of is the message with what is wanted of it. Parts are shared with the message, which stays as it is: answers have parts of the store's rows.
func (m mask) of(message protoreflect.Message) protoreflect.Message {
	if len(m) == 0 {
		return message
	}
	out := message.New()
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		part, wanted := m[string(field.Name())]
		switch {
		case !wanted:
		case len(part) == 0:
			out.Set(field, value)
		case field.IsMap():
			entries := out.Mutable(field).Map()
			value.Map().Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
				if _, wanted := part[key.String()]; wanted {
					entries.Set(key, entry)
				}
				return true
			})
		case field.IsList():
			list := out.Mutable(field).List()
			for i := range value.List().Len() {
				list.Append(protoreflect.ValueOfMessage(part.of(value.List().Get(i).Message())))
			}
		default:
			out.Set(field, protoreflect.ValueOfMessage(part.of(value.Message())))
		}
		return true
	})
	return out
}

// cut is an answer with what is wanted of it.
func (m mask) cut(answer any) any {
	message, ok := answer.(proto.Message)
	if !ok || len(m) == 0 {
		return answer
	}
	return m.of(message.ProtoReflect()).Interface()
}
