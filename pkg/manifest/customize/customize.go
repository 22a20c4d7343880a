package customize

import (
	"errors"
	"fmt"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// Language is the newest version of the language that this package evaluates.
const Language = yardarmv1.CustomizationLanguage

// ErrLanguage says that a customization needs a newer version of this package.
var ErrLanguage = errors.New("the customization is written in a newer version of its language")

// Values are what a cluster puts in place of expressions.
type Values struct {
	Name   string
	Labels map[string]string
	// Facts may be nil where none are known or needed.
	Facts *yardarmv1.Facts
}

// Apply answers the set as a customization makes it for a cluster; the set itself, if it changes nothing. The error is a [*Problems], or wraps
// [ErrLanguage]. Neither set nor c is changed.
func Apply(set *manifest.Set, c *yardarmv1.Customization, v Values) (*manifest.Set, error) {
	return applyWithin(maxWork, set, c, v)
}

func applyWithin(work int, set *manifest.Set, c *yardarmv1.Customization, v Values) (*manifest.Set, error) {
	return new(application).apply(work, set, c, v)
}

// Part is Apply to a part of a bundle's objects: patches that select none of them are for others. varies tells whether v matters to what comes out.
func Part(set *manifest.Set, c *yardarmv1.Customization, v Values) (out *manifest.Set, varies bool, err error) {
	a := &application{part: true}
	out, err = a.apply(maxWork, set, c, v)
	if varies = strings.Contains(string(set.Canonical()), "${"); !varies {
		for i, p := range a.patches {
			varies = varies || p != nil && p.applied > 0 && strings.Contains(c.Patches[i].GetPatch(), "${")
		}
	}
	return out, varies && c.GetSubstitute(), err
}

// apply answers what comes out, or what is wrong with it.
func (a *application) apply(work int, set *manifest.Set, c *yardarmv1.Customization, v Values) (*manifest.Set, error) {
	if c.GetLanguage() > Language {
		return nil, fmt.Errorf("%w: it needs version %d, and this program knows %d; upgrade it", ErrLanguage, c.Language, Language)
	}
	a.values, a.substitute, a.work = values{Values: v, variables: c.GetVariables()}, c.GetSubstitute(), budget{left: work}
	var found []Violation
	if a.patches, found = compileAll(c); len(found) > 0 {
		// The hub would have refused it.
		for _, violation := range found {
			a.problems.add(Problem{Source: violation.Field, Message: violation.Message})
		}
		return nil, &a.problems
	}
	out, err := set.Edit(manifest.Limits{}, a.edit)
	if !a.part {
		a.unused()
	}
	if len(a.problems.Entries) > 0 {
		return nil, &a.problems
	}
	if problems, ok := errors.AsType[*manifest.Problems](err); ok {
		a.unfit(set, problems)
		return nil, &a.problems
	}
	return out, err
}

// application is one call of Apply or Part.
type application struct {
	part       bool // of the objects; what is for none of them is for others
	patches    []*patch
	substitute bool
	values     values
	work       budget
	spent      bool // of work; the rest is not looked at
	problems   Problems
}

// edit answers the object as it is to be; nil if it stays as it is, or if there are problems with it.
func (a *application) edit(ref manifest.Ref, object manifest.Object) manifest.Object {
	limits := manifest.Limits{ObjectBytes: maxObject}
	own := false // object is ours to change
	for _, p := range a.patches {
		if a.spent || !p.selects(object) {
			continue
		}
		p.applied++
		if !own {
			object, own = object.Clone(), true
		}
		patched, err := p.apply(object, limits, &a.work)
		if errors.Is(err, errWork) {
			a.spent = true
			a.problems.add(Problem{Message: err.Error()})
			return nil
		}
		if err != nil {
			a.problems.add(Problem{Object: ref, Source: p.source, Message: err.Error()})
			return nil
		}
		object = patched
	}
	report := func(field, source, message string) {
		a.problems.add(Problem{Object: ref, Field: field, Source: source, Message: message})
	}
	if a.substitute && substitutes(object, report) {
		if !own {
			object, own = object.Clone(), true
		}
		s := substitution{values: &a.values, report: report, room: limits.ObjectBytes}
		s.in(map[string]any(object), "")
	}
	if !own {
		return nil
	}
	return object
}

// unused finds patches that were for nothing.
func (a *application) unused() {
	if a.spent {
		return
	}
	for _, p := range a.patches {
		if p.applied == 0 {
			a.problems.add(Problem{Source: p.source, Message: "selects no object of the bundle; what it selects by must be as the manifests say it, the namespace included"})
		}
	}
}

// unfit takes in what is wrong with the objects that came out.
func (a *application) unfit(set *manifest.Set, found *manifest.Problems) {
	for _, p := range found.Entries {
		problem := Problem{Field: p.Field, Message: "after customization, it " + p.Message}
		for _, ref := range set.Refs() {
			if ref.String() == p.Object {
				problem.Object = ref
			}
		}
		if problem.Object == (manifest.Ref{}) {
			problem.Message = p.Object + " " + problem.Message
		}
		a.problems.add(problem)
	}
	a.problems.More += found.More
}
