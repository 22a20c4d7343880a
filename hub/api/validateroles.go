package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/placement"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxRules is how many rules a role may have, as the proto says.
	maxRules = 64
	// maxSubjects is how many subjects a binding may have, as the proto says.
	maxSubjects = 256
	// maxSubject bounds the name of a subject, in bytes, as the proto says.
	maxSubject = 256
	// maxScope is how many names a scope may have, as the proto says.
	maxScope = 256
)

// role checks what people write of a role.
func (c checker) role(r *yardarmv1.Role) {
	if authz.BuiltIn(r.GetMetadata().GetName()) {
		c.add("metadata.name", fmt.Sprintf("is that of a role that every hub has; its rules are fixed, and another name is needed (%s)", r.Metadata.Name))
	}
	rules := r.GetSpec().GetRules()
	if len(rules) == 0 || len(rules) > maxRules {
		c.add("spec.rules", fmt.Sprintf("has %d entries; between 1 and %d are needed", len(rules), maxRules))
		return
	}
	for i, rule := range rules {
		c.words(fmt.Sprintf("spec.rules[%d].verbs", i), rule.GetVerbs(), authz.Verbs)
		c.words(fmt.Sprintf("spec.rules[%d].resources", i), rule.GetResources(), authz.Resources)
	}
	c.text("spec.description", r.GetSpec().GetDescription())
}

// words checks a list of which all have to be known, or the one word that stands for all.
func (c checker) words(field string, list, known []string) {
	if len(list) == 0 {
		c.add(field, fmt.Sprintf("is empty; name some of %s, or %q", strings.Join(known, ", "), yardarmv1.Any))
	}
	for i, word := range list[:min(len(list), len(known)+1)] {
		switch {
		case word != yardarmv1.Any && !slices.Contains(known, word):
			c.add(fmt.Sprintf("%s[%d]", field, i), fmt.Sprintf("is %q; there are %s, and %q for all", clip(word), strings.Join(known, ", "), yardarmv1.Any))
		case slices.Contains(list[:i], word):
			c.add(fmt.Sprintf("%s[%d]", field, i), fmt.Sprintf("names %q a second time", word))
		}
	}
}

// roleBinding checks what people write of a binding.
func (c checker) roleBinding(b *yardarmv1.RoleBinding) {
	spec := b.GetSpec()
	if spec.GetRole() == "" {
		c.add("spec.role", "is missing")
	}
	if len(spec.GetSubjects()) == 0 || len(spec.GetSubjects()) > maxSubjects {
		c.add("spec.subjects", fmt.Sprintf("has %d entries; between 1 and %d are needed", len(spec.GetSubjects()), maxSubjects))
		return
	}
	for i, s := range spec.GetSubjects() {
		field := fmt.Sprintf("spec.subjects[%d].", i)
		switch s.GetKind() {
		case yardarmv1.SubjectUser, yardarmv1.SubjectGroup, yardarmv1.SubjectToken:
		default:
			c.add(field+"kind", fmt.Sprintf("is %q; it is %s, %s or %s", clip(s.GetKind()), yardarmv1.SubjectUser, yardarmv1.SubjectGroup, yardarmv1.SubjectToken))
		}
		switch {
		case s.GetName() == "":
			c.add(field+"name", "is missing")
		case len(s.GetName()) > maxSubject:
			c.add(field+"name", fmt.Sprintf("has %d bytes; at most %d are kept", len(s.GetName()), maxSubject))
		}
	}
	c.scope("spec.bundles", spec.GetBundles())
	c.scope("spec.clusterGroups", spec.GetClusterGroups())
}

// scope checks a part of a binding; none is everything.
func (c checker) scope(field string, s *yardarmv1.Scope) { c.scopeOr(field, s, "everything") }

// scopeOr checks a scope, where none is what it says.
func (c checker) scopeOr(field string, s *yardarmv1.Scope, none string) {
	switch {
	case s == nil:
		return
	case len(s.GetNames()) == 0 && s.GetSelector() == nil:
		c.add(field, "is empty; give names, a selector or both, or leave it out for "+none)
	case len(s.GetNames()) > maxScope:
		c.add(field+".names", fmt.Sprintf("has %d entries; at most %d are kept", len(s.GetNames()), maxScope))
		return
	}
	for i, name := range s.GetNames() {
		c.name(fmt.Sprintf("%s.names[%d]", field, i), name)
	}
	_, violations := placement.CompileSelector(field+".selector", s.GetSelector())
	for _, v := range violations {
		c.add(v.Field, v.Message)
	}
}
