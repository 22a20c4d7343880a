package cli

import (
	"cmp"
	"fmt"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var roleColumns = []column{
	nameColumn,
	col("ALLOWS", func(_ *app, r *yardarmv1.Role) string { return rules(r) }),
	ageColumn,
	col("DESCRIPTION", func(_ *app, r *yardarmv1.Role) string { return r.GetSpec().GetDescription() }).onlyWide(),
}

var bindingColumns = []column{
	nameColumn,
	col("ROLE", func(_ *app, b *yardarmv1.RoleBinding) string { return b.GetSpec().GetRole() }),
	col("SUBJECTS", func(_ *app, b *yardarmv1.RoleBinding) string { return strings.Join(subjects(b), ",") }),
	col("BUNDLES", func(_ *app, b *yardarmv1.RoleBinding) string { return scope(b.GetSpec().GetBundles()) }),
	col("GROUPS", func(_ *app, b *yardarmv1.RoleBinding) string { return scope(b.GetSpec().GetClusterGroups()) }),
	ageColumn,
}

// rules are what a role allows, as in "get hub,bundles; publish bundles".
func rules(r *yardarmv1.Role) string {
	var parts []string
	for _, rule := range r.GetSpec().GetRules() {
		parts = append(parts, ruleText(rule))
	}
	return strings.Join(parts, "; ")
}

func ruleText(rule *yardarmv1.Rule) string {
	return strings.Join(rule.GetVerbs(), ",") + " " + strings.Join(rule.GetResources(), ",")
}

// subjects are whom a binding gives its role, as in token/ci.
func subjects(b *yardarmv1.RoleBinding) []string {
	var out []string
	for _, s := range b.GetSpec().GetSubjects() {
		out = append(out, strings.ToLower(s.GetKind())+"/"+s.GetName())
	}
	return out
}

// scope is what a binding is for: names, and a selector in the grammar of -l.
func scope(s *yardarmv1.Scope) string {
	if s == nil {
		return "all"
	}
	parts := s.GetNames()
	if s.GetSelector() != nil {
		parts = append(parts[:len(parts):len(parts)], cmp.Or(selectorText(&yardarmv1.ClusterGroupSpec{Selector: s.GetSelector()}), "all"))
	}
	return strings.Join(parts, ",")
}

func (d *sheet) role(r *yardarmv1.Role) {
	d.metadata(r.GetMetadata())
	d.field("Description", r.GetSpec().GetDescription())
	d.section("Allows")
	for _, rule := range r.GetSpec().GetRules() {
		d.line(ruleText(rule))
	}
	d.end()
}

func (d *sheet) binding(b *yardarmv1.RoleBinding) {
	d.metadata(b.GetMetadata())
	d.field("Role", b.GetSpec().GetRole())
	d.field("Bundles", scope(b.GetSpec().GetBundles()))
	d.field("Cluster groups", scope(b.GetSpec().GetClusterGroups()))
	d.section(fmt.Sprintf("Subjects: %d", len(b.GetSpec().GetSubjects())))
	for _, subject := range subjects(b) {
		d.line(subject)
	}
	d.end()
}
