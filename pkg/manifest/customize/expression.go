package customize

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// expression is one ${…}.
type expression struct {
	text string // as it is written
	// source is "name", "labels", "facts" or "vars", and key what is looked up there.
	source, key string
	otherwise   string // where there is no value
	hasDefault  bool
	filter      string // "int", "float", "bool" or ""
}

// token is a part of a string: an expression, or text. One that is meant to be an expression and is none has a message.
type token struct {
	text       string
	expression *expression
	message    string
}

const (
	sourceName   = "name"
	sourceLabels = "labels"
	sourceFacts  = "facts"
	sourceVars   = "vars"
)

// tokens splits a string. Expressions are what begins in one of these ways; everything else is text, dollar signs included. What begins
// with a source and a dot can only be meant as an expression, so it must be one; ${name…} is common in shell scripts, which go on in ways of
// their own.
func tokens(s string) []token {
	var out []token
	text := func(t string) {
		if t == "" {
			return
		}
		if last := len(out) - 1; last >= 0 && out[last].expression == nil && out[last].message == "" {
			out[last].text += t
			return
		}
		out = append(out, token{text: t})
	}
	for s != "" {
		at := strings.IndexByte(s, '$')
		if at < 0 {
			text(s)
			break
		}
		text(s[:at])
		s = s[at:]
		if strings.HasPrefix(s, "$${") && begins(s[1:]) {
			// One dollar sign less, and the rest is no expression.
			text("${")
			s = s[len("$${"):]
			continue
		}
		if !begins(s) {
			text("$")
			s = s[1:]
			continue
		}
		end := strings.IndexByte(s, '}')
		if end < 0 {
			out = append(out, token{text: s, message: "has no closing brace; to keep the text as it is, write $${"})
			break
		}
		t := token{text: s[:end+1]}
		t.expression, t.message = parseExpression(t.text)
		out = append(out, t)
		s = s[end+1:]
	}
	return out
}

// begins tells whether an expression begins s.
func begins(s string) bool {
	body, ok := strings.CutPrefix(s, "${")
	if !ok {
		return false
	}
	for _, source := range []string{sourceLabels, sourceFacts, sourceVars} {
		if strings.HasPrefix(body, source+".") {
			return true
		}
	}
	rest, ok := strings.CutPrefix(body, sourceName)
	if !ok {
		return false
	}
	rest = strings.TrimLeft(rest, " ")
	return strings.HasPrefix(rest, "}") || strings.HasPrefix(rest, ":-") || strings.HasPrefix(rest, "|")
}

var expressionForm = regexp.MustCompile(`^\$\{(name|(labels|facts|vars)\.([A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?)) *(:-([^|}]*))?(\| *([a-z]+) *)?\}$`)

// parseExpression parses what begins as an expression and ends with a brace.
func parseExpression(text string) (*expression, string) {
	m := expressionForm.FindStringSubmatch(text)
	if m == nil {
		return nil, "is no expression, as ${labels.KEY}, ${labels.KEY:-otherwise} or ${vars.KEY | int} are; to keep the text as it is, write $${"
	}
	e := &expression{text: text, source: m[2], key: m[3], hasDefault: m[4] != "", otherwise: m[5], filter: m[7]}
	if e.source == "" {
		e.source = sourceName
	}
	if m[6] != "" {
		e.otherwise = strings.TrimRight(e.otherwise, " ")
	}
	switch {
	case e.filter != "" && e.filter != "int" && e.filter != "float" && e.filter != "bool":
		return nil, "has a filter that is none of int, float and bool"
	case strings.Contains(e.otherwise, "${"):
		return nil, "has an expression inside; use a variable for what is composed"
	case e.source == sourceFacts && factOf[e.key] == nil:
		return nil, "names no fact; there are " + strings.Join(factNames, ", ")
	}
	return e, ""
}

// factNames are the facts that have one value each, and factOf reads them. A fact that is not known is empty.
var (
	factNames = []string{"distribution", "kubernetesVersion", "nodes", "provider", "region"}
	factOf    = map[string]func(*yardarmv1.Facts) string{
		"distribution":      (*yardarmv1.Facts).GetDistribution,
		"kubernetesVersion": (*yardarmv1.Facts).GetKubernetesVersion,
		"nodes":             func(f *yardarmv1.Facts) string { return strconv.FormatUint(uint64(f.GetNodes()), 10) },
		"provider":          (*yardarmv1.Facts).GetProvider,
		"region":            (*yardarmv1.Facts).GetRegion,
	}
)

// convert gives a value the type that a filter asks for, or answers what is wrong.
func convert(value, filter string) (any, string) {
	switch filter {
	case "int":
		if i, err := strconv.ParseInt(value, 10, 64); err == nil {
			return i, ""
		}
		return nil, "stands for a value that is no integer"
	case "float":
		// ParseFloat knows more than JSON does.
		if f, err := strconv.ParseFloat(value, 64); err == nil && strings.Trim(value, "0123456789+-.eE") == "" {
			return f, ""
		}
		return nil, "stands for a value that is no number"
	case "bool":
		switch value {
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
		return nil, "stands for a value that is neither true nor false"
	}
	return value, ""
}

// values answers what expressions stand for.
type values struct {
	Values
	variables map[string]string
}

// value answers what an expression stands for, or what is missing.
func (v *values) value(e *expression) (value, message string) {
	hint := fmt.Sprintf("or say what otherwise: ${%s.%s:-…}", e.source, e.key)
	switch e.source {
	case sourceName:
		value, message, hint = v.Name, "the cluster has no name", ""
	case sourceLabels:
		value, message = v.Labels[e.key], fmt.Sprintf("the cluster has no label %s: set it, ", clip(e.key))
		if _, ok := v.Labels[e.key]; ok && !e.hasDefault {
			return value, ""
		}
	case sourceFacts:
		value, message = factOf[e.key](v.Facts), fmt.Sprintf("the cluster's %s is not known: use a label that you set, ", e.key)
		if v.Facts == nil {
			value = ""
		}
	case sourceVars:
		text, ok := v.variables[e.key]
		message = fmt.Sprintf("there is no variable %s: set it in the customization, ", clip(e.key))
		if ok {
			var wrong string
			if value, wrong = v.variable(e.key, text); wrong != "" {
				return "", wrong
			}
			if !e.hasDefault {
				return value, ""
			}
		}
	}
	switch {
	case value != "":
		return value, ""
	case e.hasDefault:
		return e.otherwise, ""
	}
	return "", message + hint
}

// variable evaluates a variable's own expressions.
func (v *values) variable(key, text string) (value, message string) {
	var b strings.Builder
	for _, t := range tokens(text) {
		if t.expression == nil && t.message == "" {
			b.WriteString(t.text)
			continue
		}
		message := t.message
		if message == "" {
			message = variableMay(t.expression)
		}
		part := ""
		if message == "" {
			part, message = v.value(t.expression)
		}
		if message != "" {
			return "", fmt.Sprintf("in variable %s: %s: %s", clip(key), clip(t.text), message)
		}
		b.WriteString(part)
	}
	return b.String(), ""
}

// variableMay says what an expression in a variable's value must not be: then nothing is evaluated in circles, and a value is text.
func variableMay(e *expression) string {
	switch {
	case e.source == sourceVars:
		return "a variable's value must not refer to variables"
	case e.filter != "":
		return "filters belong where the variable is used: ${vars.KEY | " + e.filter + "}"
	}
	return ""
}
