package policy

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const (
	wildcard = "*"
	// CoreGroup is how patterns call the group without a name.
	CoreGroup = "core"
)

// pattern is one entry of a list. "*" in it stands for any characters.
type pattern struct {
	text string
	// rule is how it is told, with its place in the file: "kinds.deny[2]: apps/*".
	rule string
}

func newPattern(place, text string) pattern { return pattern{text: text, rule: place + ": " + text} }

// glob matches a text against a pattern that checkCharacters has passed, in which path.Match finds no meaning but that of "*".
func glob(pattern, text string) bool {
	ok, _ := path.Match(pattern, text)
	return ok
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

// checkCharacters refuses what could never match, because no name has such characters.
func checkCharacters(text, characters string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	if bad := strings.Trim(text, characters+wildcard); bad != "" {
		return fmt.Errorf("no name has %q in it", bad[:1])
	}
	return nil
}

func checkNamespace(text string) error { return checkCharacters(text, lower+digits+"-") }

// checkKind refuses what is no pattern of kinds: "Kind" in any group, "group/Kind", "core/Kind".
func checkKind(text string) error {
	group, kind, grouped := strings.Cut(text, "/")
	if !grouped {
		group, kind = wildcard, text
	}
	switch {
	case strings.Contains(kind, "/"):
		return errors.New("a kind is GROUP/Kind, as in apps/Deployment: the version is no part of it")
	case kind != "" && strings.Contains(lower, kind[:1]):
		return errors.New("kinds begin with a capital, as in apps/Deployment: it is not the resource's name, deployments")
	}
	if err := checkCharacters(group, lower+digits+".-"); err != nil {
		return fmt.Errorf("the group: %w", err)
	}
	if err := checkCharacters(kind, lower+strings.ToUpper(lower)+digits); err != nil {
		return fmt.Errorf("the kind: %w", err)
	}
	return nil
}

// kindOf is how a pattern names an object's kind.
func kindOf(ref manifest.Ref) string {
	if ref.Group == "" {
		return CoreGroup + "/" + ref.Kind
	}
	return ref.Group + "/" + ref.Kind
}

// matchKind tells whether an object is of a kind that passes a pattern.
func matchKind(text string, ref manifest.Ref) bool {
	if !strings.Contains(text, "/") {
		return glob(text, ref.Kind)
	}
	return glob(text, kindOf(ref))
}

// rules are lists of patterns. What is denied is denied; what is left is allowed if a list of what is allowed is absent, or
// has it.
type rules struct {
	allow, deny []pattern
	// closed is where the list is of what is allowed, as in "kinds.allow"; empty if there is none. The list may be empty.
	closed string
}

// denyAll are rules that deny everything, told in the words given.
func denyAll(rule string) rules { return rules{deny: []pattern{{text: wildcard, rule: rule}}} }

// check answers the rule that decides. match tells whether a pattern is about the object; name is for the answer.
func (r *rules) check(name string, match func(text string) bool) (rule string, allowed bool) {
	for _, p := range r.deny {
		if match(p.text) {
			return p.rule, false
		}
	}
	for _, p := range r.allow {
		if match(p.text) {
			return p.rule, true
		}
	}
	if r.closed != "" {
		return fmt.Sprintf("%s: has no %s", r.closed, name), false
	}
	return "", true
}
