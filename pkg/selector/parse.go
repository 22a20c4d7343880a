package selector

import (
	"fmt"
	"strings"
)

// Parse reads the text grammar of Kubernetes' label selectors:
//
//	selector    = [ requirement { "," requirement } ]
//	requirement = key | "!" key
//	            | key ( "=" | "==" | "!=" ) [ value ]
//	            | key ( "in" | "notin" ) "(" [ value ] { "," [ value ] } ")"
//
// with any white space between tokens; a value left out is the empty value. The empty text matches everything. Errors give the position as a
// 1-based byte column, or wrap [ErrTooLong].
func Parse(text string) (Selector, error) {
	if len(text) > MaxText {
		return Selector{}, fmt.Errorf("selector: %w", ErrTooLong)
	}
	p := parser{text: text}
	terms, err := p.selector()
	if err != nil {
		return Selector{}, fmt.Errorf("selector: %w", err)
	}
	requirements := make([]Requirement, len(terms))
	for i, t := range terms {
		requirements[i] = t.Requirement
	}
	s, err := New(nil, requirements)
	if err != nil {
		return Selector{}, fmt.Errorf("selector: %w", err)
	}
	return s, nil
}

// Comparisons, which [Terms] reads and selectors do not have.
const (
	Less           Operator = "<"
	LessOrEqual    Operator = "<="
	Greater        Operator = ">"
	GreaterOrEqual Operator = ">="
)

// Term is one requirement of a text in which keys need not be those of labels, nor values theirs, and where it says so.
type Term struct {
	Requirement // values as they were written: with one value for comparisons
	// Column is that of the key, and ValueColumns are those of the values: 1-based bytes.
	Column       int
	ValueColumns []int
}

// Terms reads the grammar of [Parse] with comparisons (key < value, and <=, >, >=), and validates neither keys nor values: it is for who has more to select
// by than labels. The empty text has no terms. Errors are those of Parse.
func Terms(text string) ([]Term, error) {
	if len(text) > MaxText {
		return nil, ErrTooLong
	}
	p := parser{text: text, compares: true}
	return p.selector()
}

type parser struct {
	text     string
	pos      int  // of the next byte to be read
	compares bool // comparisons are understood
}

func (p *parser) selector() ([]Term, error) {
	if p.peek() == "" {
		return nil, nil
	}
	var terms []Term
	for {
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
		switch p.peek() {
		case "":
			return terms, nil
		case ",":
			p.next()
		default:
			return nil, p.expected(`"," or the end`)
		}
	}
}

func (p *parser) term() (Term, error) {
	negated := p.peek() == "!"
	if negated {
		p.next()
	}
	if !isWord(p.peek()) {
		return Term{}, p.expected("a label key")
	}
	t := Term{Column: p.column()}
	t.Key = p.next()
	switch operator := p.peek(); {
	case negated:
		t.Operator = DoesNotExist
		return t, nil
	case operator == "" || operator == ",":
		t.Operator = Exists
		return t, nil
	case operator == "=" || operator == "==" || operator == "!=":
		p.next()
		t.Operator = In
		if operator == "!=" {
			t.Operator = NotIn
		}
		return t, p.value(&t)
	case operator == "in" || operator == "notin":
		p.next()
		t.Operator = In
		if operator == "notin" {
			t.Operator = NotIn
		}
		return t, p.values(&t)
	case operator == "<" || operator == ">":
		if !p.compares {
			return t, fmt.Errorf("column %d: %q is not supported in selectors; use an expression", p.column(), operator)
		}
		t.Operator = Operator(p.next())
		if p.peek() == "=" {
			t.Operator += Operator(p.next())
		}
		return t, p.value(&t)
	default:
		return t, p.expected(`one of "=", "==", "!=", "in", "notin"`)
	}
}

// add notes a value that begins at a column.
func (t *Term) add(value string, column int) {
	t.Values, t.ValueColumns = append(t.Values, value), append(t.ValueColumns, column)
}

// value reads a value that may be left out in front of a comma or the end.
func (p *parser) value(t *Term) error {
	column := p.column()
	switch token := p.peek(); {
	case token == "" || token == ",":
		t.add("", column)
	case isWord(token):
		t.add(p.next(), column)
	default:
		return p.expected("a label value")
	}
	return nil
}

// values reads a list in parentheses.
func (p *parser) values(t *Term) error {
	if p.peek() != "(" {
		return p.expected(`"("`)
	}
	p.next()
	for {
		value, column := "", p.column()
		if isWord(p.peek()) {
			value = p.next()
		}
		t.add(value, column)
		switch p.peek() {
		case ",":
			p.next()
		case ")":
			p.next()
			return nil
		default:
			return p.expected(`"," or ")"`)
		}
	}
}

const (
	space   = " \t\r\n"
	symbols = "=!(),<>"
)

// peek returns the next token, "" at the end: one of the symbols, "==", "!=", or a run of anything else.
func (p *parser) peek() string {
	rest := p.rest()
	switch {
	case rest == "":
		return ""
	case strings.HasPrefix(rest, "==") || strings.HasPrefix(rest, "!="):
		return rest[:2]
	case strings.IndexByte(symbols, rest[0]) >= 0:
		return rest[:1]
	}
	if end := strings.IndexAny(rest, space+symbols); end >= 0 {
		return rest[:end]
	}
	return rest
}

// next returns the next token and moves behind it.
func (p *parser) next() string {
	token := p.peek()
	p.pos = len(p.text) - len(p.rest()) + len(token)
	return token
}

// rest returns the text from the next token on.
func (p *parser) rest() string { return strings.TrimLeft(p.text[p.pos:], space) }

func (p *parser) column() int { return len(p.text) - len(p.rest()) + 1 }

func (p *parser) expected(what string) error {
	found := "the end"
	if token := p.peek(); token != "" {
		found = fmt.Sprintf("%q", clip(token))
	}
	return fmt.Errorf("column %d: found %s, expected %s", p.column(), found, what)
}

func isWord(token string) bool {
	return token != "" && strings.IndexByte(symbols, token[0]) < 0
}
