// Package match tells which objects of a bundle an ObjectSelector means. Customizations and rules of the delivery policy select
// by it, in the hub, which checks what people write, and in the spoke.
package match

import (
	"fmt"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/selector"
)

// Selector is an ObjectSelector, compiled. The zero Selector matches every object.
type Selector struct {
	group, version, kind string
	name, namespace      pattern
	labels               selector.Selector
}

// Compile checks and compiles a selector; nil matches every object. The error says what is wrong with its labels, the only
// part that can be.
func Compile(s *yardarmv1.ObjectSelector) (Selector, error) {
	out := Selector{
		group: s.GetGroup(), version: s.GetVersion(), kind: s.GetKind(),
		name: compilePattern(s.GetName()), namespace: compilePattern(s.GetNamespace()),
	}
	if s.GetLabels() == "" {
		return out, nil
	}
	labels, err := selector.Parse(s.GetLabels())
	if err != nil {
		return Selector{}, fmt.Errorf("labels: %w", err)
	}
	out.labels = labels
	return out, nil
}

// Matches tells whether an object is meant. Its namespace is the one that it goes to, which its manifest need not name.
func (s *Selector) Matches(object manifest.Object, namespace string) bool {
	if s.group != "" && s.group != object.Group() || s.version != "" && s.version != object.Version() || s.kind != "" && s.kind != object.Kind() {
		return false
	}
	if !s.name.matches(object.Name()) || !s.namespace.matches(namespace) {
		return false
	}
	return s.labels.Empty() || s.labels.Matches(object.Labels())
}

// pattern is a text in which "*" stands for any characters, split at the stars. The zero pattern matches everything.
type pattern []string

func compilePattern(text string) pattern {
	if text == "" {
		return nil
	}
	return strings.Split(text, "*")
}

func (p pattern) matches(text string) bool {
	if len(p) == 0 {
		return true
	}
	first, last := p[0], p[len(p)-1]
	if len(p) == 1 {
		return text == first
	}
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	// The leftmost place of each part leaves the most for those that follow.
	for _, part := range p[1 : len(p)-1] {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}
