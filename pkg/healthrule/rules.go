package healthrule

import (
	"fmt"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// MaxRules is how many rules a bundle may have: one for each kind in use, of which large bundles have tens.
	MaxRules = 64
	// maxName bounds group and kind, in bytes, as the API server does.
	maxName = 253
	// maxMessage bounds what a rule says of an object, in bytes: a line for people, in a report that names ten objects.
	maxMessage = 512
)

// Violation is one thing that is wrong with rules.
type Violation struct {
	Field   string // within the list, as in "[2].ready"
	Message string // what is wrong and what to do, lower case
}

// Rules judge objects. The nil value has none. Safe for concurrent use.
type Rules struct {
	byKind map[kind]*rule
}

type kind struct{ group, kind string }

type rule struct {
	// failing and message are nil where the rule has none.
	ready, failing, message *expression
	// broken says why the rule says nothing; empty if it does.
	broken string
}

// Judgement is what a rule says of an object.
type Judgement struct {
	Ready bool
	// Failing is set if it does not get ready without help.
	Failing bool
	// Message says what is to be said of an object that is not ready, on one line.
	Message string
	// Broken is set if the rule itself is at fault and can judge nothing.
	Broken bool
}

// Compile checks and plans rules. Those that are not among the violations judge; an object of a kind whose rule is, is never ready, so that
// a spoke that is sent such a rule says so rather than guess.
func Compile(rules []*yardarmv1.HealthRule) (*Rules, []Violation) {
	var found []Violation
	out := &Rules{byKind: make(map[kind]*rule, min(len(rules), MaxRules))}
	for i, r := range rules {
		if i == MaxRules {
			found = append(found, Violation{Message: fmt.Sprintf("has %d rules; at most %d are looked at", len(rules), MaxRules)})
			break
		}
		key := kind{r.GetGroup(), r.GetKind()}
		compiled, violations := compileRule(r)
		for _, v := range violations {
			found = append(found, Violation{Field: fmt.Sprintf("[%d].%s", i, v.Field), Message: v.Message})
		}
		if _, ok := out.byKind[key]; !ok && compiled != nil {
			out.byKind[key] = compiled
		}
	}
	return out, found
}

// compileRule answers nil for a rule that is about no kind, or about one that is not judged.
func compileRule(r *yardarmv1.HealthRule) (*rule, []Violation) {
	switch {
	case r.GetKind() == "":
		return nil, []Violation{{"kind", "is missing"}}
	case len(r.Kind) > maxName:
		return nil, []Violation{{"kind", fmt.Sprintf("is longer than %d bytes", maxName)}}
	case len(r.Group) > maxName:
		return nil, []Violation{{"group", fmt.Sprintf("is longer than %d bytes", maxName)}}
	case r.Group == "" && r.Kind == "Secret":
		// What is said of an object goes to the hub, and the Secret may have been there before the bundle was.
		return nil, []Violation{{"kind", "Secrets cannot be judged by rules, since their values are never told; they are ready once applied"}}
	}
	var found []Violation
	out := &rule{}
	for _, part := range []struct {
		field, text string
		result      resultType
		into        **expression
	}{
		{"ready", r.Ready, boolean, &out.ready},
		{"failing", r.Failing, boolean, &out.failing},
		{"message", r.Message, text, &out.message},
	} {
		if part.text == "" {
			continue
		}
		e, err := compile(part.field, part.text, part.result)
		if err != nil {
			found = append(found, Violation{part.field, err.Error()})
			continue
		}
		*part.into = e
	}
	if r.Ready == "" {
		found = append(found, Violation{"ready", "is missing; it is true once an object is ready"})
	}
	if len(found) > 0 {
		out.broken = fmt.Sprintf("its health rule cannot be used: %s: %s", found[0].Field, found[0].Message)
	}
	return out, found
}

// Has tells whether there is a rule for a kind.
func (r *Rules) Has(group, name string) bool {
	return r != nil && r.byKind[kind{group, name}] != nil
}

// Judge judges an object by the rule for its kind, which there must be. Values in object are those of JSON: map[string]any, []any, string, bool, nil,
// int64 and float64.
func (r *Rules) Judge(group, name string, object map[string]any) Judgement {
	rule := r.byKind[kind{group, name}]
	if rule.broken != "" {
		return Judgement{Broken: true, Message: oneLine(rule.broken)}
	}
	ready, err := rule.ready.holds(object)
	if ready {
		return Judgement{Ready: true}
	}
	why := "its health rule says that it is not ready"
	if err != nil {
		why = err.Error()
	}
	j := Judgement{Message: why}
	if rule.failing != nil {
		j.Failing, err = rule.failing.holds(object)
		switch {
		case j.Failing:
			j.Message = "its health rule says that it fails"
		case err != nil:
			j.Message += "; " + err.Error()
		}
	}
	if rule.message != nil {
		said, err := rule.message.says(object)
		switch {
		case err != nil:
			j.Message += "; " + err.Error()
		case said != "":
			j.Message = said
		}
	}
	j.Message = oneLine(j.Message)
	return j
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}
