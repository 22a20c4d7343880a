package manifest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// serverMetadata are the fields of metadata that only the API server writes. Applying them is refused or has no effect, and they
// would make equal content unequal.
var serverMetadata = [...]string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink",
}

// normalize strips in place what has no part in canonical form. It expects nothing of obj.
func normalize(obj Object) {
	delete(obj, "status")
	metadata := obj.metadata()
	for _, field := range serverMetadata {
		delete(metadata, field)
	}
	for _, field := range [...]string{"labels", "annotations", "namespace"} {
		switch v := metadata[field].(type) {
		case nil:
			delete(metadata, field)
		case string:
			if v == "" && field == "namespace" {
				delete(metadata, field)
			}
		case map[string]any:
			if len(v) == 0 && field != "namespace" {
				delete(metadata, field)
			}
		}
	}
}

// finding is something wrong with an object, not yet tied to a place in a file.
type finding struct {
	path    fieldPath
	message string
	err     error
}

// check returns what is wrong with an object that has been normalized.
func check(obj Object) []finding {
	var found []finding
	report := func(message string, path ...string) {
		found = append(found, finding{path: keys(path...), message: message})
	}
	field := func(m map[string]any, valid func(string) string, path ...string) {
		switch v := m[path[len(path)-1]].(type) {
		case nil:
			report("is missing", path...)
		case string:
			if v == "" {
				report("is empty", path...)
			} else if msg := valid(v); msg != "" {
				report(msg, path...)
			}
		default:
			report(notString(v), path...)
		}
	}
	field(obj, checkAPIVersion, "apiVersion")
	field(obj, checkKind, "kind")

	metadata, ok := obj["metadata"].(map[string]any)
	switch {
	case obj["metadata"] == nil:
		report("is missing", "metadata", "name")
	case !ok:
		report("must be a map, is "+typeName(obj["metadata"]), "metadata")
	default:
		if name, ok := metadata["generateName"]; ok && name != nil && name != "" {
			report("is not supported: the server would make up a new name, and so a new object, each time it is applied; set metadata.name",
				"metadata", "generateName")
		} else {
			field(metadata, func(string) string { return checkObjectName(obj.Ref()) }, "metadata", "name")
		}
		if metadata["namespace"] != nil {
			field(metadata, checkLabel, "metadata", "namespace")
		}
		for _, name := range [...]string{"labels", "annotations"} {
			switch m := metadata[name].(type) {
			case nil:
			case map[string]any:
				for _, key := range sortedKeys(m) {
					if _, ok := m[key].(string); !ok {
						report(notString(m[key]), "metadata", name, key)
					}
				}
			default:
				report("must be a map of strings, is "+typeName(m), "metadata", name)
			}
		}
	}
	var c checker
	if message, err := c.value(map[string]any(obj)); message != "" {
		found = append(found, finding{path: c.path, message: message, err: err})
	}
	return found
}

// notString is the message for a value that should be a string. For one that is written as one it gives the remedy; people do not expect
// that y, no and 1e3 need quotes.
func notString(v any) string {
	message := "must be a string, is " + typeName(v)
	switch v.(type) {
	case bool, int64, float64:
		message += "; put it in quotes"
	}
	return message
}

// checker walks an object and remembers where it is.
type checker struct{ path fieldPath }

// value finds values that are none of the types an Object may hold, strings that are no UTF-8, and nesting beyond maxDepth. It stops at the first,
// with the path leading there.
func (c *checker) value(v any) (message string, err error) {
	if len(c.path) >= maxDepth {
		switch v.(type) {
		case map[string]any, []any:
			return tooDeep, ErrTooDeep
		}
	}
	switch v := v.(type) {
	case nil, bool, int64:
	case float64:
		_, message = normalizeFloat(v)
		return message, nil
	case json.Number: // one that convertNumbers left
		_, message = parseNumber(v.String())
		return message, nil
	case string:
		if !utf8.ValidString(v) {
			return "is not valid UTF-8", nil
		}
	case map[string]any:
		for key, value := range v {
			if !utf8.ValidString(key) {
				return "has a key that is not valid UTF-8", nil
			}
			c.path = append(c.path, step{key: key, index: -1})
			if message, err := c.value(value); message != "" {
				return message, err
			}
			c.path = c.path[:len(c.path)-1]
		}
	case []any:
		for i, value := range v {
			c.path = append(c.path, step{index: i})
			if message, err := c.value(value); message != "" {
				return message, err
			}
			c.path = c.path[:len(c.path)-1]
		}
	default:
		return fmt.Sprintf("has Go type %T, which is no JSON value", v), nil
	}
	return "", nil
}

var tooDeep = "nests deeper than " + strconv.Itoa(maxDepth) + " levels"

func checkAPIVersion(apiVersion string) string {
	group, version := splitAPIVersion(apiVersion)
	if strings.Contains(apiVersion, "/") && group == "" {
		return "has an empty group"
	}
	if msg := checkGroup(group); msg != "" {
		return "group " + msg
	}
	if msg := checkLabel(version); msg != "" {
		return "version " + msg
	}
	return ""
}

func checkGroup(group string) string {
	if group == "" {
		return ""
	}
	if len(group) > 253 {
		return "is longer than 253 characters"
	}
	for label := range strings.SplitSeq(group, ".") {
		if msg := checkLabel(label); msg != "" {
			return "must be a DNS name: " + msg
		}
	}
	return ""
}

// checkKind accepts what, in lower case, is a DNS label without dashes at the start, as CustomResourceDefinitions demand.
func checkKind(kind string) string {
	if kind == "" {
		return "is missing"
	}
	if first := kind[0] | 0x20; first < 'a' || first > 'z' {
		return "must start with a letter"
	}
	return checkLabel(strings.ToLower(kind))
}

// checkLabel accepts DNS labels (RFC 1123).
func checkLabel(s string) string {
	if s == "" {
		return "is empty"
	}
	if len(s) > 63 {
		return "is longer than 63 characters"
	}
	for i := range len(s) {
		c := s[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && (c != '-' || i == 0 || i == len(s)-1) {
			return "may hold only lower-case letters, digits and, inside, dashes"
		}
	}
	return ""
}

// checkObjectName accepts what every API server accepts as a segment of a path, which is all that holds for every kind (RBAC names have
// colons, for example), and DNS labels for namespaces.
func checkObjectName(ref Ref) string {
	name := ref.Name
	switch {
	case name == "":
		return "is missing"
	case name == "." || name == "..":
		return `must not be "." or ".."`
	case len(name) > 253:
		return "is longer than 253 characters"
	case strings.ContainsAny(name, "/%"):
		return `must not contain "/" or "%"`
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "must not contain control characters"
	case ref.Group == "" && ref.Kind == "Namespace":
		return checkLabel(name)
	}
	return ""
}

// typeName names the type of a JSON value in the words of people who write YAML.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	default:
		return fmt.Sprintf("a Go %T", v)
	}
}
