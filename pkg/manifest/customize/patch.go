package customize

import (
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/match"
)

// patch is a Patch, compiled. It has either merge or operations.
type patch struct {
	source     string // "patches[2]"
	size       int    // of its text, bytes
	target     match.Selector
	own        *identity // of the one object that it names itself, where it has no target
	merge      map[string]any
	operations jsonpatch.Patch
	list       []any // operations, as they were parsed
	applied    int   // to how many objects
}

// identity is what an object is, as far as a patch says it.
type identity struct{ apiVersion, kind, namespace, name string }

// compile checks a patch as far as that can be done without the objects.
func compile(index int, p *yardarmv1.Patch) (*patch, []Violation) {
	c := &checker{}
	field := fmt.Sprintf("patches[%d]", index)
	out := &patch{source: field, size: len(p.GetPatch())}
	var err error
	if out.target, err = match.Compile(p.GetTarget()); err != nil {
		c.add(field+".target", err.Error())
	}
	c.selector(field+".target", p.GetTarget())
	field += ".patch"
	value, err := manifest.ParseValue([]byte(p.GetPatch()), maxPatch)
	if problems, ok := errors.AsType[*manifest.Problems](err); ok {
		for _, problem := range problems.Entries {
			message := problem.Message
			if problem.Field != "" {
				message = problem.Field + ": " + message
			}
			if problem.Line > 0 {
				message = fmt.Sprintf("line %d: %s", problem.Line, message)
			}
			c.add(field, message)
		}
		return nil, c.found
	}
	switch value := value.(type) {
	case map[string]any:
		out.merge = value
		out.own = c.merge(field, value, p.Target)
	case []any:
		if p.Target == nil {
			c.add(fmt.Sprintf("patches[%d].target", index), "is missing: a JSON patch does not say which objects it is for")
		}
		out.list = value
		c.operations(field, value)
		if len(c.found) > 0 {
			break
		}
		// The values come from a parser that makes nothing that JSON cannot hold.
		data, err := json.Marshal(value)
		if err == nil {
			out.operations, err = jsonpatch.DecodePatch(data)
		}
		if err != nil {
			c.add(field, "is no JSON patch")
		}
	default:
		c.add(field, "must be a map (a strategic merge patch) or a list (a JSON patch)")
	}
	if len(c.found) > 0 {
		return nil, c.found
	}
	return out, nil
}

// selects tells whether the patch is for an object as it is now.
func (p *patch) selects(object manifest.Object) bool {
	if p.own == nil {
		return p.target.Matches(object, object.Namespace())
	}
	return p.own.apiVersion == object.APIVersion() && p.own.kind == object.Kind() && p.own.name == object.Name() && p.own.namespace == object.Namespace()
}

// apply answers the object as the patch makes it. The object is the patch's to change; the error says what does not fit, and quotes no values.
func (p *patch) apply(object manifest.Object, limits manifest.Limits, work *budget) (manifest.Object, error) {
	ref, apiVersion := object.Ref(), object.APIVersion()
	var out manifest.Object
	var err error
	if p.merge != nil {
		out, err = p.mergeInto(object, work)
	} else {
		out, err = p.operate(object, limits, work)
	}
	if err != nil {
		return nil, err
	}
	if out.Ref() != ref || out.APIVersion() != apiVersion {
		return nil, errors.New("would make it another object; a patch must leave apiVersion, kind, metadata.name and metadata.namespace as they are")
	}
	return out, nil
}

// errWork says that a budget is spent.
var errWork = errors.New("all patches together take too much work; use fewer, or select fewer objects by them")

// budget is how much may still be gone through, in bytes.
type budget struct{ left int }

// spend answers errWork once all is spent.
func (b *budget) spend(n int) error {
	if b.left -= n; b.left < 0 {
		return errWork
	}
	return nil
}
