package resource

import (
	"encoding/json"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// isFree tells whether a message may be any mapping, as the values of a chart.
func isFree(message protoreflect.MessageDescriptor) bool {
	return message != nil && message.FullName() == (*structpb.Struct)(nil).ProtoReflect().Descriptor().FullName()
}

// freeMapping reads any mapping. It returns nil for anything else, after reporting it.
func (w *walker) freeMapping(node *yaml.Node, path string) map[string]any {
	out := make(map[string]any)
	w.mapping(node, path, func(key, value *yaml.Node) {
		if key.ShortTag() == "!!merge" {
			w.fail(key, path, "merges are not taken; write the fields out")
			return
		}
		out[key.Value] = w.free(value, join(path, key.Value))
	})
	return out
}

// free reads any value. Null is one: to a chart it says that a default is not meant.
func (w *walker) free(node *yaml.Node, path string) any {
	target := node
	for target.Kind == yaml.AliasNode {
		target = target.Alias
	}
	if target.Kind == yaml.MappingNode {
		return w.freeMapping(node, path)
	}
	if node = w.enter(node, path); node == nil {
		return nil
	}
	if node.Kind == yaml.SequenceNode {
		w.depth++
		defer func() { w.depth-- }()
		out := []any{}
		for i, item := range node.Content {
			out = append(out, w.free(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return out
	}
	return w.freeScalar(node, path)
}

func (w *walker) freeScalar(node *yaml.Node, path string) any {
	switch node.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var value bool
		if node.Decode(&value) == nil {
			return value
		}
	case "!!int", "!!float":
		var value float64
		if node.Decode(&value) == nil {
			if text := strconv.FormatFloat(value, 'g', -1, 64); json.Valid([]byte(text)) {
				return json.Number(text)
			}
		}
		w.fail(node, path, "is no number that JSON has")
		return nil
	}
	return node.Value
}
