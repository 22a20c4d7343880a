package cli

import (
	"cmp"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
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

var tokenColumns = []column{
	nameColumn,
	col("PREFIX", func(_ *app, t *yardarmv1.Token) string { return t.GetStatus().GetPrefix() }),
	col("ROLES", func(_ *app, t *yardarmv1.Token) string { return strings.Join(t.GetStatus().GetRoles(), ",") }),
	col("EXPIRES", func(a *app, t *yardarmv1.Token) string { return a.until(t.GetStatus().GetExpires()) }).moving(),
	col("LAST USED", func(a *app, t *yardarmv1.Token) string { return cmp.Or(a.ago(t.GetStatus().GetLastUsed()), "never") }).moving(),
	ageColumn,
	col("BY", func(_ *app, t *yardarmv1.Token) string { return t.GetStatus().GetActor() }).onlyWide(),
}

// until is when something ends, as in "in 12d".
func (a *app) until(t *timestamppb.Timestamp) string {
	switch {
	case t == nil:
		return "never"
	case !t.AsTime().After(a.io.Now()):
		return "expired"
	}
	return "in " + table.Left(t.AsTime().Sub(a.io.Now()))
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
	switch {
	case s.GetSelector() == nil:
	case proto.Size(s.GetSelector()) == 0:
		return "all"
	default:
		parts = append(parts[:len(parts):len(parts)], selectorText(&yardarmv1.ClusterGroupSpec{Selector: s.GetSelector()}))
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

func (d *sheet) token(t *yardarmv1.Token) {
	st := t.GetStatus()
	d.metadata(t.GetMetadata())
	d.field("Prefix", st.GetPrefix())
	d.field("Made by", st.GetActor())
	d.field("Expires", d.app.at(st.GetExpires()))
	d.field("Last used", cmp.Or(d.app.at(st.GetLastUsed()), "never"))
	d.field("Roles", cmp.Or(strings.Join(st.GetRoles(), ", "), "none"))
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
