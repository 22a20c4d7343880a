package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// delivery writes what a policy says beyond the defaults.
func (d *sheet) delivery(p *yardarmv1.DeliveryPolicy) {
	if p.GetAtomic() {
		d.field("Delivery", "atomic: all objects pass a dry run before the first one is written")
	}
	d.field("Namespace", p.GetNamespace())
	d.field("Depends on", dependencies(p.GetDependsOn()))
	if p.GetTimeout() != nil {
		d.field("Timeout", p.GetTimeout().AsDuration().String())
	}
	d.field("Takeover", p.GetTakeover())
	d.field("Conflict", p.GetConflict())
	d.field("Drift policy", p.GetDrift())
	for _, rule := range p.GetIgnore() {
		d.field("Left alone", strings.Join(rule.GetPaths(), ", ")+" of "+selected(rule.GetTarget()))
	}
	if p.GetKeep() {
		d.field("Kept", "objects stay in the cluster when they leave the bundle, or the bundle leaves")
	}
	if p.GetRecreate() {
		d.field("Recreated", "objects of which an immutable field changes are deleted and made anew")
	}
	for _, rule := range p.GetHealth() {
		d.field("Health rule", strings.TrimPrefix(rule.GetGroup()+"/"+rule.GetKind(), "/")+" is ready when "+rule.GetReady())
	}
	d.field("Service account", p.GetServiceAccount())
}

// dependencies is as in "db, queue (applied)".
func dependencies(list []*yardarmv1.Dependency) string {
	var parts []string
	for _, d := range list {
		text := d.GetBundle()
		if d.GetState() == yardarmv1.DependencyApplied {
			text += " (applied)"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// selected is as in "apps/Deployment web*", or "all objects".
func selected(s *yardarmv1.ObjectSelector) string {
	kind := strings.TrimPrefix(s.GetGroup()+"/"+s.GetKind(), "/")
	name := strings.TrimPrefix(s.GetNamespace()+"/"+s.GetName(), "/")
	parts := slices.DeleteFunc([]string{kind, s.GetVersion(), name, s.GetLabels()}, func(part string) bool { return part == "" })
	if len(parts) == 0 {
		return "all objects"
	}
	return strings.Join(parts, " ")
}

// customizations writes which clusters get which.
func (d *sheet) customizations(all *yardarmv1.Customization, targets []*yardarmv1.Target) {
	t := d.table("FOR", "CUSTOMIZATION")
	if text := customization(all); text != "" {
		t.Add(table.Text("all clusters"), table.Text(text))
	}
	for _, target := range targets {
		if text := customization(target.GetCustomization()); text != "" {
			t.Add(table.Text("group "+target.GetGroup()), table.Text(text))
		}
	}
	if t.Len() > 0 {
		d.section("Customizations")
		d.write(t)
		d.end()
	}
}

// customization is as in "2 patches, substitutes ${…}, variables size, tier"; empty for one that says nothing.
func customization(c *yardarmv1.Customization) string {
	var parts []string
	switch n := len(c.GetPatches()); {
	case n == 1:
		parts = append(parts, "1 patch")
	case n > 1:
		parts = append(parts, fmt.Sprintf("%d patches", n))
	}
	if c.GetSubstitute() {
		parts = append(parts, "substitutes ${…}")
	}
	if len(c.GetVariables()) > 0 {
		parts = append(parts, "variables "+strings.Join(slices.Sorted(maps.Keys(c.GetVariables())), ", "))
	}
	return strings.Join(parts, ", ")
}

// times is as in "3 times"; empty for none.
func times(n uint64) string {
	if n == 0 {
		return ""
	}
	return plural(n, "time")
}
