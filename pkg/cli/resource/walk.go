package resource

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const (
	// maxNodes is how many values a resource may have, counted after aliases are followed: anchors save typing, and a resource that multiplies itself
	// beyond this is a mistake.
	maxNodes = 10_000
	// maxDepth is how deep values may nest. Resources nest to about ten.
	maxDepth = 64
)

// walker turns the YAML of a resource into the JSON form of its message, checking each field against the message's descriptor.
type walker struct {
	lines    map[string]int // of fields, by path
	problems []manifest.Problem
	nodes    int
	depth    int
}

func (w *walker) fail(node *yaml.Node, path, format string, args ...any) {
	w.problems = append(w.problems, manifest.Problem{Line: node.Line, Field: path, Message: fmt.Sprintf(format, args...)})
}

// enter follows an alias and counts the node; it returns nil when there are too many.
func (w *walker) enter(node *yaml.Node, path string) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if w.nodes++; w.nodes == maxNodes || w.depth == maxDepth {
		w.fail(node, path, "there is too much in it: more than %d values, or nested deeper than %d", maxNodes, maxDepth)
	}
	if w.nodes >= maxNodes || w.depth >= maxDepth {
		return nil
	}
	if path != "" {
		w.lines[path] = node.Line
	}
	return node
}

// message reads a mapping. It returns nil for anything else, after reporting it.
func (w *walker) message(node *yaml.Node, message protoreflect.MessageDescriptor, path string) map[string]any {
	out := make(map[string]any)
	w.mapping(node, path, func(key, value *yaml.Node) {
		field := message.Fields().ByJSONName(key.Value)
		at := join(path, key.Value)
		switch {
		case field == nil:
			w.fail(key, at, "there is no such field%s", suggest(key.Value, message))
		case path == "" && key.Value == "status", isNull(value):
		default:
			if got := w.field(value, field, at); got != nil {
				out[key.Value] = got
			}
		}
	})
	return out
}

// mapping calls yield for the entries of a mapping, whose keys are texts that differ.
func (w *walker) mapping(node *yaml.Node, path string, yield func(key, value *yaml.Node)) {
	if node = w.enter(node, path); node == nil {
		return
	}
	if node.Kind != yaml.MappingNode {
		w.fail(node, path, "must be a mapping, is %s", describeNode(node))
		return
	}
	w.depth++
	defer func() { w.depth-- }()
	first := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			w.fail(key, path, "a key must be a text, is %s", describeNode(key))
			continue
		}
		if line, twice := first[key.Value]; twice {
			w.fail(key, join(path, key.Value), "is there twice, first in line %d", line)
			continue
		}
		first[key.Value] = key.Line
		yield(key, value)
	}
}

func (w *walker) field(node *yaml.Node, field protoreflect.FieldDescriptor, path string) any {
	switch {
	case field.IsMap():
		out := make(map[string]any)
		w.mapping(node, path, func(key, value *yaml.Node) {
			at := fmt.Sprintf("%s[%q]", path, key.Value)
			if got := w.single(value, field.MapValue(), at); got != nil {
				out[key.Value] = got
			}
		})
		return out
	case field.IsList():
		list := w.enter(node, path)
		if list == nil {
			return nil
		}
		if list.Kind != yaml.SequenceNode {
			w.fail(list, path, "must be a list, is %s", describeNode(list))
			return nil
		}
		w.depth++
		defer func() { w.depth-- }()
		out := []any{}
		for i, item := range list.Content {
			if got := w.single(item, field, fmt.Sprintf("%s[%d]", path, i)); got != nil {
				out = append(out, got)
			}
		}
		return out
	}
	return w.single(node, field, path)
}

// single reads one value: a message or a scalar. It returns nil after reporting a problem.
func (w *walker) single(node *yaml.Node, field protoreflect.FieldDescriptor, path string) any {
	if isFree(field.Message()) {
		return w.freeMapping(node, path)
	}
	if field.Message() != nil && !strings.HasPrefix(string(field.Message().FullName()), "google.protobuf.") {
		return w.message(node, field.Message(), path)
	}
	if node = w.enter(node, path); node == nil {
		return nil
	}
	if node.Kind != yaml.ScalarNode {
		w.fail(node, path, "must be %s, is %s", describeField(field), describeNode(node))
		return nil
	}
	tag := node.ShortTag()
	switch field.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		if tag == "!!str" {
			return node.Value
		}
		if tag == "!!null" {
			w.fail(node, path, "has no value")
		} else {
			w.fail(node, path, "must be a text, is %s; put it in quotes: %q", describeNode(node), node.Value)
		}
		return nil
	case protoreflect.MessageKind: // a time or a duration, which JSON writes as text
		if isDuration(field) {
			if value, err := time.ParseDuration(node.Value); err == nil {
				return strconv.FormatFloat(value.Seconds(), 'f', -1, 64) + "s"
			}
		} else if tag == "!!str" || tag == "!!timestamp" {
			return node.Value
		}
	case protoreflect.BoolKind:
		if value, err := strconv.ParseBool(strings.ToLower(node.Value)); err == nil && tag == "!!bool" {
			return value
		}
	case protoreflect.EnumKind:
		if name := longEnum(field.Enum(), node.Value); name != "" {
			return name
		}
		w.fail(node, path, "must be %s", describeField(field))
		return nil
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		limit := uint64(math.MaxUint64)
		if field.Kind() == protoreflect.Uint32Kind {
			limit = math.MaxUint32
		}
		if value, err := strconv.ParseUint(node.Value, 0, 64); err == nil && value <= limit && (tag == "!!int" || tag == "!!str" && limit > math.MaxUint32) {
			return json.Number(strconv.FormatUint(value, 10))
		}
	}
	w.fail(node, path, "must be %s, is %s", describeField(field), describeNode(node))
	return nil
}

func describeField(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return "a whole number from 0 on"
	case protoreflect.EnumKind:
		var words []string
		for i := 1; i < field.Enum().Values().Len(); i++ {
			words = append(words, shortEnum(field.Enum(), string(field.Enum().Values().Get(i).Name())))
		}
		return "one of " + strings.Join(words, ", ")
	case protoreflect.MessageKind:
		if isDuration(field) {
			return "a duration such as 90s or 1h30m"
		}
		return "a time such as 2026-01-31T12:00:00Z"
	}
	return "a text"
}

// isDuration tells a duration, which people write as Go and Kubernetes do, from a time.
func isDuration(field protoreflect.FieldDescriptor) bool {
	return field.Message().FullName() == (*durationpb.Duration)(nil).ProtoReflect().Descriptor().FullName()
}

func describeNode(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "a truth value"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "a text"
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// scalarField returns the text of a field of a mapping, and its line.
func scalarField(node *yaml.Node, name string) (string, int) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name && node.Content[i+1].Kind == yaml.ScalarNode && !isNull(node.Content[i+1]) {
			return node.Content[i+1].Value, node.Content[i+1].Line
		}
	}
	return "", node.Line
}

func nameOf(node *yaml.Node) string {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == "metadata" && node.Content[i+1].Kind == yaml.MappingNode {
			name, _ := scalarField(node.Content[i+1], "name")
			return name
		}
	}
	return ""
}

// suggest names the field that was probably meant, if there is one like it.
func suggest(name string, message protoreflect.MessageDescriptor) string {
	best, distance := "", 3 // two slips of the finger
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if strings.EqualFold(name, field.JSONName()) || name == string(field.Name()) {
			best, distance = field.JSONName(), 0
		}
		if d := edits(strings.ToLower(name), strings.ToLower(field.JSONName())); d < distance {
			best, distance = field.JSONName(), d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}
