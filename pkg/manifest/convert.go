package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// converter turns the syntax tree of one document into values. It reports everything that is wrong with a tree, except that what would
// cost too much ends the conversion of the object at hand. One goroutine owns it.
type converter struct {
	report     func(line int, path fieldPath, message string, err error)
	offset     int                 // added to the lines of nodes to get lines of the file
	objectMax  int                 // limit of an object in canonical form, bytes
	aliasNodes int                 // values made by aliases so far in the document
	active     map[*yaml.Node]bool // anchors being expanded, to find those that contain themselves

	// Of the object at hand:
	path   fieldPath
	size   int // rough size of what has been converted, in bytes
	failed bool
}

// object converts n, which is an object of the document.
func (c *converter) object(n *yaml.Node) (Object, bool) {
	c.path, c.size, c.failed = c.path[:0], 0, false
	obj, _ := c.value(n, 1).(map[string]any)
	return Object(obj), !c.failed
}

func (c *converter) value(n *yaml.Node, depth int) any {
	if c.failed {
		return nil
	}
	if len(c.active) > 0 {
		if c.aliasNodes++; c.aliasNodes > maxAliasNodes {
			c.abort(n, fmt.Sprintf("makes more than %d values by aliases in this document", maxAliasNodes), ErrAliasBomb)
			return nil
		}
	}
	switch n.Kind {
	case yaml.ScalarNode:
		value, message := scalar(n)
		if message != "" {
			c.wrong(n, message)
			return nil
		}
		c.grow(n, len(n.Value)+1)
		return value
	case yaml.AliasNode:
		return expand(c, n, func(target *yaml.Node) any { return c.value(target, depth) })
	case yaml.MappingNode:
		return c.mapping(n, depth)
	case yaml.SequenceNode:
		if !c.collection(n, depth, "!!seq") {
			return nil
		}
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			c.path = append(c.path, step{index: i})
			list = append(list, c.value(item, depth+1))
			c.path = c.path[:len(c.path)-1]
		}
		return list
	default:
		c.wrong(n, "is no value")
		return nil
	}
}

func (c *converter) mapping(n *yaml.Node, depth int) any {
	if !c.collection(n, depth, "!!map") {
		return nil
	}
	m := make(map[string]any, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	var merge *yaml.Node
	for i := 0; i+1 < len(n.Content) && !c.failed; i += 2 {
		keyNode, valueNode := n.Content[i], n.Content[i+1]
		key, ok := c.key(keyNode)
		if !ok {
			continue
		}
		c.path = append(c.path, step{key: key, index: -1})
		if first, dup := lines[key]; dup {
			c.wrong(keyNode, fmt.Sprintf("is a duplicate key, first set in line %d", first+c.offset))
		}
		lines[key] = keyNode.Line
		if keyNode.Tag == "!!merge" && keyNode.Style == 0 {
			merge = valueNode
		} else {
			c.grow(keyNode, len(key)+4)
			m[key] = c.value(valueNode, depth+1)
		}
		c.path = c.path[:len(c.path)-1]
	}
	if merge != nil {
		c.merge(m, merge, depth)
	}
	return m
}

// merge adds to m what the value of a "<<" key has and m has not. In a list of maps, earlier ones win.
func (c *converter) merge(m map[string]any, n *yaml.Node, depth int) {
	switch n.Kind {
	case yaml.AliasNode:
		expand(c, n, func(target *yaml.Node) any {
			c.merge(m, target, depth)
			return nil
		})
	case yaml.MappingNode:
		merged, _ := c.mapping(n, depth+1).(map[string]any)
		for key, value := range merged {
			if _, ok := m[key]; !ok {
				m[key] = value
			}
		}
	case yaml.SequenceNode:
		if depth >= maxDepth {
			c.abort(n, tooDeep, ErrTooDeep)
			return
		}
		for _, item := range n.Content {
			c.merge(m, item, depth+1)
		}
	default:
		c.wrong(n, `the value of "<<" must be a map or a list of maps`)
	}
}

// expand calls fn with what the alias n stands for.
func expand(c *converter, n *yaml.Node, fn func(target *yaml.Node) any) any {
	if c.active[n.Alias] {
		c.abort(n, "uses the anchor *"+clip(n.Value)+" inside of itself", ErrAliasBomb)
		return nil
	}
	if c.active == nil {
		c.active = make(map[*yaml.Node]bool)
	}
	c.active[n.Alias] = true
	defer delete(c.active, n.Alias)
	return fn(n.Alias)
}

func (c *converter) key(n *yaml.Node) (string, bool) {
	key, message := keyText(n)
	if message != "" {
		c.wrong(n, message)
	}
	return key, message == ""
}

// keyText returns the string that a key stands for, or a message. Like sigs.k8s.io/yaml it accepts booleans and integers. That library also
// accepts other numbers, and writes them as float32: 1.30 becomes 1.3, which nobody wants of a key.
func keyText(n *yaml.Node) (key, message string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return "", "has a key that is not a string"
	}
	value, message := scalar(n)
	if message != "" {
		return "", "has a key that " + message
	}
	switch value := value.(type) {
	case string:
		return value, ""
	case bool:
		return strconv.FormatBool(value), ""
	case nil:
		return "", "has a key that is null"
	}
	if i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64); err == nil {
		return strconv.FormatInt(i, 10), ""
	}
	return "", "has a key that is a number but not an integer; put it in quotes"
}

// collection checks what maps and lists have in common.
func (c *converter) collection(n *yaml.Node, depth int, tag string) bool {
	if n.Style&yaml.TaggedStyle != 0 && n.Tag != tag {
		c.wrong(n, "has the tag "+clip(n.Tag)+", which Kubernetes manifests cannot have here")
		return false
	}
	if depth > maxDepth {
		c.abort(n, tooDeep, ErrTooDeep)
		return false
	}
	c.grow(n, 2)
	return true
}

func (c *converter) grow(n *yaml.Node, size int) {
	c.size += size
	// Twice the limit, because the size is rough and fields of the server are yet to be stripped. The exact limit is kept by builder.
	if c.size > 2*c.objectMax && !c.failed {
		c.abort(n, fmt.Sprintf("makes the object larger than %d bytes, which etcd refuses", c.objectMax), ErrObjectTooLarge)
	}
}

func (c *converter) wrong(n *yaml.Node, message string) {
	c.report(n.Line+c.offset, c.path, message, nil)
}

func (c *converter) abort(n *yaml.Node, message string, err error) {
	c.failed = true
	c.report(n.Line+c.offset, c.path, message, err)
}
