package gate

import (
	"fmt"
	"slices"
	"time"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxGroups is how many groups a gate may name, as the proto says.
const maxGroups = 64

// Subject is what may be held back: a bundle in a cluster, by the metadata of both and the cluster's groups.
type Subject struct {
	Bundle, Cluster *yardarmv1.ObjectMeta
	Groups          []string
}

// gate is one that was checked.
type gate struct {
	row               *yardarmv1.Gate
	bundles, clusters *scope
	// window is nil for a freeze, and for what this hub does not know.
	window *window
}

// scope is nil for all there is.
type scope struct {
	names    map[string]bool
	selector *selector.Selector
}

// Check finds what is wrong with a gate, in the order of its fields; but for its scopes, which are checked as others are.
func Check(row *yardarmv1.Gate) []placement.Violation {
	_, violations := compile(row)
	return violations
}

// compile makes a gate. With violations, it is the freeze that one which cannot be read counts as.
func compile(row *yardarmv1.Gate) (*gate, []placement.Violation) {
	c := &checker{}
	spec := row.GetSpec()
	g := &gate{row: row, bundles: newScope(spec.GetBundles()), clusters: newScope(spec.GetClusters())}
	if len(spec.GetGroups()) > maxGroups {
		c.add("spec.groups", "has %d entries; at most %d are kept", len(spec.GetGroups()), maxGroups)
	}
	for i, name := range spec.GetGroups()[:min(len(spec.GetGroups()), maxGroups)] {
		if slices.Contains(spec.Groups[:i], name) {
			c.add(fmt.Sprintf("spec.groups[%d]", i), "names %q a second time", clip(name))
		}
	}
	switch {
	case spec.GetFreeze() == nil && spec.GetWindow() == nil:
		c.add("spec", "freeze or window is needed, which says what the gate is; the freeze {} holds until it is deleted")
	case spec.GetFreeze() != nil && spec.GetWindow() != nil:
		c.add("spec", "has both freeze and window; write two gates")
	case spec.GetWindow() != nil:
		g.window = c.window(spec.Window)
	case spec.Freeze.Until != nil && spec.Freeze.Until.CheckValid() != nil:
		c.add("spec.freeze.until", "is no time")
	}
	if len(c.violations) > 0 {
		g.window = nil
	}
	return g, c.violations
}

type checker struct{ violations []placement.Violation }

func (c *checker) add(field, format string, args ...any) {
	c.violations = append(c.violations, placement.Violation{Field: field, Message: fmt.Sprintf(format, args...)})
}

// newScope is nil, too, for a scope that cannot be read: rather too much is held back than too little.
func newScope(in *yardarmv1.Scope) *scope {
	if in == nil {
		return nil
	}
	out := &scope{names: make(map[string]bool, len(in.Names))}
	for _, name := range in.Names {
		out.names[name] = true
	}
	if in.Selector != nil {
		s, violations := placement.CompileSelector("", in.Selector)
		if len(violations) > 0 {
			return nil
		}
		out.selector = &s
	}
	return out
}

func (s *scope) holds(m *yardarmv1.ObjectMeta) bool {
	return s == nil || s.names[m.GetName()] || s.selector != nil && s.selector.Matches(m.GetLabels())
}

func (g *gate) concerns(s Subject) bool {
	in := func(group string) bool { return slices.Contains(s.Groups, group) }
	groups := g.row.GetSpec().GetGroups()
	return (len(groups) == 0 || slices.ContainsFunc(groups, in)) && g.bundles.holds(s.Bundle) && g.clusters.holds(s.Cluster)
}

// at tells whether the gate by itself is shut, and when that changes; zero for never.
func (g *gate) at(now time.Time) (shut bool, changes time.Time) {
	if g.window != nil {
		open, changes := g.window.at(now)
		return open != g.window.allow, changes
	}
	until := g.row.GetSpec().GetFreeze().GetUntil()
	switch {
	case until == nil || until.CheckValid() != nil:
		return true, time.Time{}
	case now.Before(until.AsTime()):
		return true, until.AsTime()
	}
	return false, time.Time{}
}

// Type is what a gate is, in the words of the API.
func Type(row *yardarmv1.Gate) string {
	if row.GetSpec().GetWindow() != nil {
		return yardarmv1.GateWindow
	}
	return yardarmv1.GateFreeze
}

// Status is how a gate stands by itself.
func Status(row *yardarmv1.Gate, now time.Time) (shut bool, changes time.Time) {
	g, _ := compile(row)
	return g.at(now)
}

// clip bounds what is quoted of foreign text, in bytes.
func clip(text string) string {
	if len(text) > maxText {
		return text[:maxText] + "…"
	}
	return text
}
