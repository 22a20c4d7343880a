package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"sigs.k8s.io/yaml"
)

// Value returns a message as JSON values, keyed by the names that people write. It is protobuf's JSON form with two differences, which make it the
// shape of a Kubernetes resource: numbers of 64 bits are numbers, and enumerations are their short words, as in "remove". Fields that are not set
// are left out.
func Value(m proto.Message) (map[string]any, error) {
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	plain(value, m.ProtoReflect().Descriptor())
	return value, nil
}

// List wraps values as kubectl does.
func List(items []map[string]any) map[string]any {
	if items == nil {
		items = []map[string]any{}
	}
	return map[string]any{"apiVersion": "yardarm.dev/v1", "kind": "List", "items": items}
}

// JSON returns a value as indented JSON with a newline at its end.
func JSON(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// YAML returns a value as YAML with a newline at its end.
func YAML(value any) ([]byte, error) { return yaml.Marshal(value) }

// plain rewrites numbers and enumerations in the JSON form of a message, in place.
func plain(value map[string]any, message protoreflect.MessageDescriptor) {
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		got, there := value[field.JSONName()]
		if !there {
			continue
		}
		switch v := got.(type) {
		case []any:
			for i := range v {
				v[i] = plainOne(v[i], field)
			}
		case map[string]any:
			if field.IsMap() {
				for key := range v {
					v[key] = plainOne(v[key], field.MapValue())
				}
				continue
			}
			plainOne(v, field)
		default:
			value[field.JSONName()] = plainOne(v, field)
		}
	}
}

func plainOne(value any, field protoreflect.FieldDescriptor) any {
	switch v := value.(type) {
	case map[string]any:
		if field.Message() != nil && !isFree(field.Message()) {
			plain(v, field.Message())
		}
	case string:
		switch field.Kind() {
		case protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Sint64Kind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
			return json.Number(v)
		case protoreflect.EnumKind:
			return shortEnum(field.Enum(), v)
		}
	}
	return value
}

// shortEnum turns WORKLOADS_REMOVE into remove.
func shortEnum(enum protoreflect.EnumDescriptor, name string) string {
	return strings.ToLower(strings.TrimPrefix(name, enumPrefix(enum)))
}

// longEnum is the inverse of shortEnum; it takes the long form too. It returns "" for words that the enumeration does not have.
func longEnum(enum protoreflect.EnumDescriptor, word string) string {
	for _, name := range []string{word, enumPrefix(enum) + strings.ToUpper(word)} {
		if enum.Values().ByName(protoreflect.Name(name)) != nil {
			return name
		}
	}
	return ""
}

// enumPrefix is the enumeration's name in capitals, which protobuf's style puts in front of each value: the first value is always PREFIX_UNSPECIFIED.
func enumPrefix(enum protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(enum.Values().Get(0).Name()), "UNSPECIFIED")
}
