package query

import (
	"fmt"
	"slices"
	"strings"
)

// Field is what resources of type R can be filtered, counted and ordered by. One of Text, Texts and Number says what a resource has of it.
type Field[R any] struct {
	Name string
	// Text is the one value; empty where there is none.
	Text func(R) string
	// Texts are several values. It yields the same slice each time, and nobody changes it. Such a field gives no order.
	Texts func(R) []string
	// Number is the value of a field that is counted, or a time.
	Number func(R) int64
	// Words are all values that there can be, where those are known.
	Words []string
	// Version says that Text is a version, which is compared number by number.
	Version bool
	// Time says that Number is a time, which gives an order and no filter.
	Time bool
}

// Schema is what one kind of resource can be asked for.
type Schema[R any] struct {
	// Labels are a resource's; nil for a kind that has none.
	Labels func(R) map[string]string
	// Name tells resources apart that are equal otherwise; no two have the same.
	Name   func(R) string
	Fields []Field[R]
}

// labelPrefix in front of a key says that it is a label's, whatever fields there are.
const labelPrefix = "labels."

// maxTerms bounds a filter, and maxKeys an order: each costs a little for every resource.
const (
	maxTerms = 64
	maxKeys  = 8
)

// Error says what is wrong with a filter or an order, and where.
type Error struct {
	// Text is what was asked, and Column where in it the trouble begins: a 1-based byte; 0 where the trouble is the whole.
	Text   string
	Column int
	Reason string
}

// Error shows the place in the text, unless that is too long to be read.
func (e *Error) Error() string {
	if e.Column == 0 {
		return e.Reason
	}
	return fmt.Sprintf("column %d: %s, at %q", e.Column, e.Reason, excerpt(e.Text, e.Column-1))
}

// excerpt is the text from a place on, shortened.
func excerpt(text string, from int) string {
	const limit = 40 // bytes
	text = text[min(from, len(text)):]
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// Field answers the field with the name, or what a label is as one. ok is false where there is neither.
func (s *Schema[R]) Field(name string) (f Field[R], ok bool) {
	label, forced := strings.CutPrefix(name, labelPrefix)
	if i := slices.IndexFunc(s.Fields, func(f Field[R]) bool { return f.Name == name }); i >= 0 {
		return s.Fields[i], true
	}
	if s.Labels == nil {
		return f, false
	}
	if !forced {
		label = name
	}
	return Field[R]{Name: name, Text: func(r R) string { return s.Labels(r)[label] }}, true
}

// isLabel tells whether a name is a label's, and no field's.
func (s *Schema[R]) isLabel(name string) bool {
	return s.Labels != nil && !slices.ContainsFunc(s.Fields, func(f Field[R]) bool { return f.Name == name })
}

// unknown says that there is no such field, and which there are.
func (s *Schema[R]) unknown(name string) string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return fmt.Sprintf("there is no field %q; there are %s", clip(name), strings.Join(names, ", "))
}

// clip shortens s for an error message.
func clip(s string) string {
	const limit = 80 // bytes
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
