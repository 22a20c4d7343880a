package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/selector"
)

// Filter is a filter over resources of type R. The zero value lets all pass. It is immutable.
type Filter[R any] struct {
	terms []func(R) bool
	// labels are those terms that a label has one of some values.
	labels []selector.Requirement
}

// Matches tells whether a resource passes.
func (f Filter[R]) Matches(r R) bool {
	for _, holds := range f.terms {
		if !holds(r) {
			return false
		}
	}
	return true
}

// Empty tells whether f lets everything pass.
func (f Filter[R]) Empty() bool { return len(f.terms) == 0 }

// And is a filter that lets pass what both do.
func (f Filter[R]) And(holds func(R) bool) Filter[R] {
	f.terms = append(slices.Clip(f.terms), holds)
	return f
}

// Labels are the labels that whatever passes has, each with one of some values: what to look them up by. They must not be changed.
func (f Filter[R]) Labels() []selector.Requirement { return f.labels }

// Filter reads a filter. The errors are [*Error].
func (s *Schema[R]) Filter(text string) (Filter[R], error) {
	terms, err := selector.Terms(text)
	if err != nil {
		return Filter[R]{}, &Error{Text: text, Reason: err.Error()}
	}
	if len(terms) > maxTerms {
		return Filter[R]{}, &Error{Text: text, Reason: fmt.Sprintf("has %d parts; at most %d are taken", len(terms), maxTerms)}
	}
	var f Filter[R]
	for _, t := range terms {
		holds, err := s.term(t)
		if err != nil {
			err.Text = text
			return Filter[R]{}, err
		}
		f.terms = append(f.terms, holds)
		if s.isLabel(t.Key) && t.Operator == selector.In {
			t.Key = strings.TrimPrefix(t.Key, labelPrefix)
			f.labels = append(f.labels, t.Requirement)
		}
	}
	return f, nil
}

func (s *Schema[R]) term(t selector.Term) (func(R) bool, *Error) {
	field, ok := s.Field(t.Key)
	switch {
	case !ok:
		return nil, &Error{Column: t.Column, Reason: s.unknown(t.Key)}
	case s.isLabel(t.Key):
		return s.labelTerm(t)
	case field.Time:
		return nil, &Error{Column: t.Column, Reason: fmt.Sprintf("%s is a time, which can be ordered by but not filtered", t.Key)}
	case field.Number != nil:
		return numberTerm(field, t)
	case field.Version && compares(t.Operator):
		return versionTerm(field, t)
	case compares(t.Operator):
		return nil, &Error{Column: t.Column, Reason: fmt.Sprintf("%s is no number and no version, so %q does not go with it", t.Key, t.Operator)}
	}
	return textTerm(field, t)
}

func compares(o selector.Operator) bool {
	switch o {
	case selector.Less, selector.LessOrEqual, selector.Greater, selector.GreaterOrEqual:
		return true
	}
	return false
}

// labelTerm is a requirement of Kubernetes' grammar, by its rules.
func (s *Schema[R]) labelTerm(t selector.Term) (func(R) bool, *Error) {
	if compares(t.Operator) {
		return nil, &Error{Column: t.Column, Reason: fmt.Sprintf("%q is a label, and labels are texts, so %q does not go with it", clip(t.Key), t.Operator)}
	}
	t.Key = strings.TrimPrefix(t.Key, labelPrefix)
	if err := selector.ValidateKey(t.Key); err != nil {
		return nil, &Error{Column: t.Column, Reason: err.Error()}
	}
	for i, value := range t.Values {
		if err := selector.ValidateValue(value); err != nil {
			return nil, &Error{Column: t.ValueColumns[i], Reason: err.Error()}
		}
	}
	requirement, labels := t.Requirement, s.Labels
	return func(r R) bool { return requirement.Matches(labels(r)) }, nil
}

// numberTerm compares with one number, or looks for it among several.
func numberTerm[R any](f Field[R], t selector.Term) (func(R) bool, *Error) {
	numbers := make([]int64, len(t.Values))
	for i, value := range t.Values {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, &Error{Column: t.ValueColumns[i], Reason: fmt.Sprintf("%s is a number, and %q is none", f.Name, clip(value))}
		}
		numbers[i] = n
	}
	switch t.Operator {
	case selector.In:
		return func(r R) bool { return slices.Contains(numbers, f.Number(r)) }, nil
	case selector.NotIn:
		return func(r R) bool { return !slices.Contains(numbers, f.Number(r)) }, nil
	case selector.Exists:
		return func(r R) bool { return f.Number(r) != 0 }, nil
	case selector.DoesNotExist:
		return func(r R) bool { return f.Number(r) == 0 }, nil
	}
	n := numbers[0]
	return func(r R) bool { return ordered(t.Operator, f.Number(r), n) }, nil
}

func ordered(o selector.Operator, a, b int64) bool {
	switch o {
	case selector.Less:
		return a < b
	case selector.LessOrEqual:
		return a <= b
	case selector.Greater:
		return a > b
	default:
		return a >= b
	}
}

// versionTerm compares versions as far as the one in the text goes.
func versionTerm[R any](f Field[R], t selector.Term) (func(R) bool, *Error) {
	want, parts, ok := parseVersion(t.Values[0])
	if !ok {
		return nil, &Error{Column: t.ValueColumns[0], Reason: fmt.Sprintf("%q is no version such as 1.30 or v1.30.4", clip(t.Values[0]))}
	}
	return func(r R) bool {
		have, _, ok := parseVersion(f.Text(r))
		return ok && ordered(t.Operator, cut(have, parts), want)
	}, nil
}

// textTerm looks for a field's values among those of the text.
func textTerm[R any](f Field[R], t selector.Term) (func(R) bool, *Error) {
	patterns := make([]pattern, len(t.Values))
	for i, value := range t.Values {
		if len(f.Words) > 0 && value != "" && !slices.ContainsFunc(f.Words, newPattern(value, false).matches) {
			return nil, &Error{Column: t.ValueColumns[i], Reason: fmt.Sprintf("%q is no %s; there are %s", clip(value), f.Name, strings.Join(f.Words, ", "))}
		}
		patterns[i] = newPattern(value, f.Version)
	}
	one := func(value string) bool {
		return slices.ContainsFunc(patterns, func(p pattern) bool { return p.matches(value) })
	}
	has := func(r R) bool { return f.Text(r) != "" }
	found := func(r R) bool { return one(f.Text(r)) }
	if f.Texts != nil {
		has = func(r R) bool { return len(f.Texts(r)) > 0 }
		found = func(r R) bool { return slices.ContainsFunc(f.Texts(r), one) }
	}
	switch t.Operator {
	case selector.In:
		return found, nil
	case selector.NotIn:
		return func(r R) bool { return !found(r) }, nil
	case selector.Exists:
		return has, nil
	default:
		return func(r R) bool { return !has(r) }, nil
	}
}
