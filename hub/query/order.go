package query

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Value is what a resource is ordered by: the number first, then the text.
type Value struct {
	N int64  `json:"n,omitempty"`
	S string `json:"s,omitempty"`
}

func (v Value) compare(other Value) int {
	return cmp.Or(cmp.Compare(v.N, other.N), strings.Compare(v.S, other.S))
}

// Order is an order of resources of type R. It is total: no two resources are equal in it. It is immutable.
type Order[R any] struct {
	keys []orderKey[R] // the last is the name
}

type orderKey[R any] struct {
	value func(R) Value
	desc  bool
}

// Order reads an order; the empty text is the order of names. The errors are [*Error].
func (s *Schema[R]) Order(text string) (Order[R], error) {
	name := orderKey[R]{value: func(r R) Value { return Value{S: s.Name(r)} }}
	if strings.TrimSpace(text) == "" {
		return Order[R]{keys: []orderKey[R]{name}}, nil
	}
	var o Order[R]
	column := 1
	for part := range strings.SplitSeq(text, ",") {
		at := column + len(part) - len(strings.TrimLeft(part, " \t"))
		column += len(part) + 1
		words := strings.Fields(part)
		if len(words) == 0 {
			return o, &Error{Text: text, Column: at, Reason: "a field is missing"}
		}
		key := orderKey[R]{desc: len(words) == 2 && words[1] == "desc"}
		if len(words) > 2 || len(words) == 2 && !key.desc && words[1] != "asc" {
			return o, &Error{Text: text, Column: at, Reason: `a field, and "desc" or "asc" or nothing behind it, is wanted`}
		}
		field, ok := s.Field(words[0])
		switch {
		case !ok:
			return o, &Error{Text: text, Column: at, Reason: s.unknown(words[0])}
		case field.Texts != nil:
			return o, &Error{Text: text, Column: at, Reason: fmt.Sprintf("%s has several values, and gives no order", field.Name)}
		case len(o.keys) == maxKeys:
			return o, &Error{Text: text, Column: at, Reason: fmt.Sprintf("at most %d fields are taken", maxKeys)}
		}
		key.value = field.value
		o.keys = append(o.keys, key)
	}
	o.keys = append(o.keys, name)
	return o, nil
}

func (f Field[R]) value(r R) Value {
	switch {
	case f.Number != nil:
		return Value{N: f.Number(r)}
	case f.Version:
		text := f.Text(r)
		v, _, _ := parseVersion(text)
		return Value{N: v, S: text}
	}
	return Value{S: f.Text(r)}
}

// Position is where a resource stands in an order. It outlives the resource.
type Position []Value

// Position answers where a resource stands.
func (o Order[R]) Position(r R) Position {
	p := make(Position, len(o.keys))
	for i, key := range o.keys {
		p[i] = key.value(r)
	}
	return p
}

// Valid tells whether a position, which may come from a caller, is one of this order.
func (o Order[R]) Valid(p Position) bool { return len(p) == len(o.keys) }

func (o Order[R]) compare(r R, p Position) int {
	for i, key := range o.keys {
		if c := key.value(r).compare(p[i]); c != 0 {
			if key.desc {
				return -c
			}
			return c
		}
	}
	return 0
}

// Top collects the first resources of an order, one by one as they come.
type Top[R any] struct {
	order Order[R]
	after Position
	limit int
	items []ranked[R] // in order, one more than limit at most
	total int
}

type ranked[R any] struct {
	item     R
	position Position
}

// NewTop makes a Top for limit resources behind a position, nil for the first ones.
func NewTop[R any](order Order[R], after Position, limit int) *Top[R] {
	return &Top[R]{order: order, after: after, limit: limit}
}

// Add takes a resource.
func (t *Top[R]) Add(r R) {
	t.total++
	full := len(t.items) > t.limit
	if full && t.order.compare(r, t.items[t.limit].position) >= 0 {
		return
	}
	if t.after != nil && t.order.compare(r, t.after) <= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(t.items, r, func(have ranked[R], r R) int { return -t.order.compare(r, have.position) })
	if full {
		t.items = t.items[:t.limit]
	}
	t.items = slices.Insert(t.items, at, ranked[R]{r, t.order.Position(r)})
}

// Result answers the first resources, how many there were of all, and whether some come behind these.
func (t *Top[R]) Result() (items []R, total int, more bool) {
	more = len(t.items) > t.limit
	for _, r := range t.items[:min(len(t.items), t.limit)] {
		items = append(items, r.item)
	}
	return items, t.total, more
}
