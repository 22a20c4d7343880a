package why

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxGroups is how many groups are named of those that do not have the cluster.
const maxGroups = 3

// matched says by which group, and by what of the cluster.
func (e *explainer) matched(b *yardarmv1.Bundle) string {
	groups := e.tx.GroupsOf(e.uid)
	for _, t := range b.GetSpec().GetTargets() {
		if !slices.Contains(groups, t.GetGroup()) {
			continue
		}
		if !e.sees(t.GetGroup()) {
			return "a group that the bundle targets has the cluster"
		}
		text := fmt.Sprintf("group %q has the cluster, by %s", t.GetGroup(), criteria(e.tx.Group(t.GetGroup()).GetSpec()))
		if t.GetVariant() != "" {
			text += fmt.Sprintf("; it is for the variant %q", t.GetVariant())
		}
		return text
	}
	return ""
}

// variant is what the cluster is to get of a bundle's source.
func (e *explainer) variant(b *yardarmv1.Bundle) string {
	groups := e.tx.GroupsOf(e.uid)
	for _, t := range b.GetSpec().GetTargets() {
		if slices.Contains(groups, t.GetGroup()) && t.GetVariant() != "" {
			return fmt.Sprintf("the variant %q", t.GetVariant())
		}
	}
	return "a target without a variant"
}

// criteria is what a group selects by, as in "env=prod and facts.nodes > 2".
func criteria(spec *yardarmv1.ClusterGroupSpec) string {
	var parts []string
	if spec.GetSelector() != nil {
		s, _ := placement.CompileSelector("", spec.GetSelector())
		if s.Empty() {
			parts = append(parts, "being a cluster")
		} else {
			parts = append(parts, s.String())
		}
	}
	if spec.GetExpression() != "" {
		parts = append(parts, spec.GetExpression())
	}
	return strings.Join(parts, " and ")
}

// unmatched says what of each group the cluster does not meet; byFacts that its labels meet one, and its facts do not.
func (e *explainer) unmatched(b *yardarmv1.Bundle) (text string, byFacts bool) {
	var lines []string
	hidden := 0
	for _, t := range b.GetSpec().GetTargets() {
		g := e.tx.Group(t.GetGroup())
		if g == nil {
			continue
		}
		line, facts := e.requirement(g)
		byFacts = byFacts || facts
		if !e.sees(t.GetGroup()) {
			hidden++
			continue
		}
		lines = append(lines, line)
	}
	if more := len(lines) - maxGroups; more > 0 {
		lines = append(lines[:maxGroups], fmt.Sprintf("and %d more groups do not have it either", more))
	}
	if hidden > 0 {
		lines = append(lines, fmt.Sprintf("%d groups that you may not see do not have it", hidden))
	}
	return strings.Join(lines, "; "), byFacts
}

// requirement is the first one of a group that the cluster does not meet.
func (e *explainer) requirement(g *yardarmv1.ClusterGroup) (text string, byFacts bool) {
	name, labels := g.GetMetadata().GetName(), e.cluster.GetMetadata().GetLabels()
	s, _ := placement.CompileSelector("", g.GetSpec().GetSelector())
	for _, r := range s.Requirements() {
		if !r.Matches(labels) {
			return fmt.Sprintf("group %q asks for %s, and the cluster has %s", name, r, labelText(labels, r)), false
		}
	}
	m, _ := placement.Compile(g)
	if m == nil {
		return fmt.Sprintf("group %q cannot be evaluated", name), false
	}
	result := m.Match(e.cluster.GetMetadata().GetName(), labels, e.tx.Observed(e.uid).GetFacts())
	if result.Err != nil {
		return fmt.Sprintf("group %q asks for %s, which gives no answer: %v", name, g.GetSpec().GetExpression(), result.Err), m.ReadsFacts()
	}
	return fmt.Sprintf("group %q asks for %s, which is not so", name, g.GetSpec().GetExpression()), m.ReadsFacts()
}

// labelText is what a cluster has of the label that a requirement asks for.
func labelText(labels map[string]string, r selector.Requirement) string {
	if value, ok := labels[r.Key]; ok {
		return r.Key + "=" + value
	}
	return "no label " + r.Key
}
