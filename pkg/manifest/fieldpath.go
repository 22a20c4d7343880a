package manifest

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

// step is one level of a fieldPath: a key of a map, or a position in a list if index is not negative.
type step struct {
	key   string
	index int
}

// fieldPath says where in an object a value is.
type fieldPath []step

func keys(names ...string) fieldPath {
	path := make(fieldPath, len(names))
	for i, name := range names {
		path[i] = step{key: name, index: -1}
	}
	return path
}

// String returns the path as people write it: spec.containers[0].image, metadata.labels[app.kubernetes.io/name].
func (p fieldPath) String() string {
	path := ""
	for _, s := range p {
		if s.index >= 0 {
			path = JoinIndex(path, s.index)
		} else {
			path = JoinKey(path, s.key)
		}
	}
	return path
}

// JoinKey returns the path of a key of the map at path, "" being the whole object: spec.replicas, metadata.labels[app.kubernetes.io/name].
func JoinKey(path, key string) string {
	switch {
	case !plainKey(key):
		return path + "[" + clip(key) + "]"
	case path == "":
		return clip(key)
	default:
		return path + "." + clip(key)
	}
}

// JoinIndex returns the path of an item of the list at path: spec.containers[0].
func JoinIndex(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }

// plainKey tells whether a key can follow a dot without being misread.
func plainKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '$' {
			return false
		}
	}
	return key != ""
}

// line returns the line in which the field that p names begins, or that of its nearest ancestor that is there.
func (p fieldPath) line(n *yaml.Node) int {
	line := n.Line
	for _, s := range p {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var next *yaml.Node
		switch {
		case s.index >= 0:
			if n.Kind == yaml.SequenceNode && s.index < len(n.Content) {
				next = n.Content[s.index]
				line = next.Line
			}
		case n.Kind == yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if key, message := keyText(n.Content[i]); message == "" && key == s.key {
					next = n.Content[i+1]
					line = n.Content[i].Line
					break
				}
			}
		}
		if next == nil {
			return line
		}
		n = next
	}
	return line
}
