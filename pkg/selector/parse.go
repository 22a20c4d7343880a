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
	requirements, err := p.selector()
	if err != nil {
		return Selector{}, fmt.Errorf("selector: %w", err)
	}
	s, err := New(nil, requirements)
	if err != nil {
		return Selector{}, fmt.Errorf("selector: %w", err)
	}
	return s, nil
}

type parser struct {
	text string
	pos  int // of the next byte to be read
}

func (p *parser) selector() ([]Requirement, error) {
	if p.peek() == "" {
		return nil, nil
	}
	var requirements []Requirement
	for {
		r, err := p.requirement()
		if err != nil {
			return nil, err
		}
		requirements = append(requirements, r)
		switch p.peek() {
		case "":
			return requirements, nil
		case ",":
			p.next()
		default:
			return nil, p.expected(`"," or the end`)
		}
	}
}

func (p *parser) requirement() (Requirement, error) {
	negated := p.peek() == "!"
	if negated {
		p.next()
	}
	if !isWord(p.peek()) {
		return Requirement{}, p.expected("a label key")
	}
	r := Requirement{Key: p.next()}
	switch operator := p.peek(); {
	case negated:
		r.Operator = DoesNotExist
		return r, nil
	case operator == "" || operator == ",":
		r.Operator = Exists
		return r, nil
	case operator == "=" || operator == "==" || operator == "!=":
		p.next()
		r.Operator = In
		if operator == "!=" {
			r.Operator = NotIn
		}
		value, err := p.value()
		r.Values = []string{value}
		return r, err
	case operator == "in" || operator == "notin":
		p.next()
		r.Operator = In
		if operator == "notin" {
			r.Operator = NotIn
		}
		var err error
		r.Values, err = p.values()
		return r, err
	case operator == "<" || operator == ">":
		return r, fmt.Errorf("column %d: %q is not supported in selectors; use an expression", p.column(), operator)
	default:
		return r, p.expected(`one of "=", "==", "!=", "in", "notin"`)
	}
}

// value reads a value that may be left out in front of a comma or the end.
func (p *parser) value() (string, error) {
	switch token := p.peek(); {
	case token == "" || token == ",":
		return "", nil
	case isWord(token):
		return p.next(), nil
	default:
		return "", p.expected("a label value")
	}
}

// values reads a list in parentheses.
func (p *parser) values() ([]string, error) {
	if p.peek() != "(" {
		return nil, p.expected(`"("`)
	}
	p.next()
	var values []string
	for {
		value := ""
		if isWord(p.peek()) {
			value = p.next()
		}
		values = append(values, value)
		switch p.peek() {
		case ",":
			p.next()
		case ")":
			p.next()
			return values, nil
		default:
			return nil, p.expected(`"," or ")"`)
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
