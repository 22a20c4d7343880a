package customize

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// What a customization may hold. It is part of each assignment and of what a spoke keeps.
	maxPatches    = 256
	maxPatch      = 256 << 10 // bytes
	maxAllPatches = 1 << 20   // bytes
	maxVariables  = 256
	maxVariable   = 4 << 10 // bytes
	maxKey        = 63      // bytes, as a label's name

	// maxOperations is how many operations a JSON patch may have.
	maxOperations = 1000
	// maxMerged is how many items a list may have that is merged: each is compared with each.
	maxMerged = 5000
	// maxObject is how large an object may get, in bytes of canonical form: as large as manifest lets it be.
	maxObject = 3 << 19
	// maxWork is how much one Apply may go through, in bytes of patches and objects: a hundred patches of a hundred large objects take a
	// tenth of it, and all of it some seconds.
	maxWork = 1 << 30
)

// Check tells what is wrong with a customization, whatever it is applied to. Whether its patches fit, and whether a cluster has all values,
// only [Apply] can tell. A bundle's customization and a target's may each be checked by itself: what one refers to may be the other's. What a cluster
// gets is both as one, which is to be checked for its bounds as well.
func Check(c *yardarmv1.Customization) []Violation {
	_, found := compileAll(c)
	return found
}

// compileAll compiles all patches, and checks everything else.
func compileAll(c *yardarmv1.Customization) ([]*patch, []Violation) {
	if c == nil {
		return nil, nil
	}
	var out checker
	var patches []*patch
	size := 0
	for _, p := range c.Patches {
		size += len(p.GetPatch())
	}
	if len(c.Patches) > maxPatches {
		out.add("patches", fmt.Sprintf("there are more than %d", maxPatches))
	} else if size > maxAllPatches {
		out.add("patches", fmt.Sprintf("are larger than %d bytes together", maxAllPatches))
	} else {
		for i, p := range c.Patches {
			compiled, found := compile(i, p)
			out.found = append(out.found, found...)
			patches = append(patches, compiled)
			if compiled != nil && c.Substitute {
				out.expressions(compiled.source+".patch", compiled.value())
			}
		}
	}
	out.variables(c.Variables)
	return patches, out.found
}

// checker collects violations.
type checker struct{ found []Violation }

func (c *checker) add(field, message string) {
	if len(c.found) < maxProblems {
		c.found = append(c.found, Violation{Field: field, Message: message})
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func (c *checker) variables(variables map[string]string) {
	if len(variables) > maxVariables {
		c.add("variables", fmt.Sprintf("there are more than %d", maxVariables))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(variables)) {
		field, value := "variables["+clip(key)+"]", variables[key]
		if len(key) > maxKey || !variableName.MatchString(key) {
			c.add(field, fmt.Sprintf("is no name: letters, digits and, inside, '.', '_' and '-'; at most %d", maxKey))
		}
		if len(value) > maxVariable {
			c.add(field, fmt.Sprintf("is longer than %d bytes", maxVariable))
			continue
		}
		for _, t := range tokens(value) {
			message := t.message
			if t.expression != nil {
				message = variableMay(t.expression)
			}
			if message != "" {
				c.add(field, clip(t.text)+": "+message)
			}
		}
	}
}

// expressions finds what is meant as an expression in a patch and is none.
func (c *checker) expressions(field string, v any) {
	eachString(v, func(s string) {
		for _, t := range tokens(s) {
			if t.message != "" {
				c.add(field, clip(t.text)+": "+t.message)
			}
		}
	})
}

// selector finds stars where they stand for nothing.
func (c *checker) selector(field string, s *yardarmv1.ObjectSelector) {
	for _, part := range []struct{ name, text string }{{"group", s.GetGroup()}, {"version", s.GetVersion()}, {"kind", s.GetKind()}} {
		if strings.Contains(part.text, "*") {
			c.add(field+"."+part.name, `"*" stands for itself here; leave the field out to select by the others alone`)
		}
	}
}

// merge checks a strategic merge patch against what no patch may do, and answers the object that it names if it has no target.
func (c *checker) merge(field string, patch map[string]any, target *yardarmv1.ObjectSelector) *identity {
	if patch[directive] == "delete" {
		c.add(field, deleteWhole)
		return nil
	}
	metadata, isMap := patch["metadata"].(map[string]any)
	if _, there := patch["metadata"]; there && !isMap {
		c.add(field, "metadata must be a map: a patch must leave an object's name and namespace as they are")
		return nil
	}
	if how, ok := metadata[directive]; ok {
		c.add(field, fmt.Sprintf("metadata must not be changed as a whole by %s: %v, since an object's name is in it", directive, how))
		return nil
	}
	own := &identity{}
	for _, part := range []struct {
		in        map[string]any
		key, path string
		into      *string
		selected  string
	}{
		{patch, "apiVersion", "apiVersion", &own.apiVersion, ""},
		{patch, "kind", "kind", &own.kind, target.GetKind()},
		{metadata, "name", "metadata.name", &own.name, target.GetName()},
		{metadata, "namespace", "metadata.namespace", &own.namespace, target.GetNamespace()},
	} {
		value, there := part.in[part.key]
		text, isText := value.(string)
		switch {
		case !there:
			if target == nil && part.key != "namespace" {
				c.add(field, "has no target, so it must name its object itself; "+part.path+" is missing")
			}
		case !isText || text == "":
			c.add(field, part.path+" must be a text: a patch must leave it as it is")
		case part.selected != "" && !strings.Contains(part.selected, "*") && text != part.selected:
			c.add(field, part.path+" is not that of the target; leave it out, since a patch must leave it as it is")
		default:
			*part.into = text
		}
	}
	if target != nil {
		return nil
	}
	return own
}

// identityPaths are what the operations of a JSON patch must not touch: what an object is, and all that holds it.
var identityPaths = []string{"", "/apiVersion", "/kind", "/metadata", "/metadata/name", "/metadata/namespace"}

// operations checks the operations of a JSON patch.
func (c *checker) operations(field string, operations []any) {
	if len(operations) > maxOperations {
		c.add(field, fmt.Sprintf("has more than %d operations", maxOperations))
		return
	}
	for i, operation := range operations {
		at := fmt.Sprintf("operation %d", i)
		m, ok := operation.(map[string]any)
		if !ok {
			c.add(field, at+" must be a map with op and path")
			continue
		}
		op, _ := m["op"].(string)
		path, hasPath := pointer(m, "path")
		from, hasFrom := pointer(m, "from")
		_, hasValue := m["value"]
		switch {
		case !slices.Contains([]string{"add", "remove", "replace", "move", "copy", "test"}, op):
			c.add(field, at+": op must be add, remove, replace, move, copy or test")
		case !hasPath:
			c.add(field, at+`: path must be a JSON pointer, as in "/spec/replicas"`)
		case (op == "move" || op == "copy") && !hasFrom:
			c.add(field, at+`: from must be a JSON pointer, as in "/spec/replicas"`)
		case (op == "add" || op == "replace" || op == "test") && !hasValue:
			c.add(field, at+": value is missing")
		case op != "test" && slices.Contains(identityPaths, path):
			c.add(field, fmt.Sprintf("%s: %q must stay as it is: a patch must not make an object another one", at, path))
		case op == "move" && slices.Contains(identityPaths, from):
			c.add(field, fmt.Sprintf("%s: %q must stay where it is: a patch must not make an object another one", at, from))
		}
	}
}

// pointer answers a JSON pointer in an operation, in the one spelling that it has.
func pointer(operation map[string]any, key string) (string, bool) {
	path, ok := operation[key].(string)
	return path, ok && (path == "" || strings.HasPrefix(path, "/"))
}
