package placement

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Matcher tells which clusters belong to a group. It is immutable and safe for concurrent use.
type Matcher struct {
	selector   selector.Selector
	expression *selector.Expression // nil where the group has none
}

// Violation is one thing that is wrong with what a person wrote.
type Violation struct {
	Field   string // as a path in the resource: spec.selector.matchExpressions[0]
	Message string
}

// Result is what a Matcher says about one cluster.
type Result struct {
	// Member: the cluster belongs to the group.
	Member bool
	// Within: the labels let it in. A cluster that is within and no member is kept out by its facts, or by an expression over facts that could not be
	// evaluated, and what it holds must not be deleted on that account alone. How far labels reach is said by the selector: an expression that reads
	// facts counts as facts as a whole.
	Within bool
	// Err says why the expression gives no answer; the cluster is no member then. It wraps the errors of pkg/selector.
	Err error
}

// Compile makes the Matcher of a group. With violations, which are in the order of the group's fields, the Matcher is nil.
func Compile(group *yardarmv1.ClusterGroup) (*Matcher, []Violation) {
	m := &Matcher{}
	var violations []Violation
	spec := group.GetSpec()
	if spec.GetSelector() == nil && spec.GetExpression() == "" {
		return nil, []Violation{{"spec", "selector or expression is needed; the empty selector {} selects every cluster"}}
	}
	if spec.GetSelector() != nil {
		m.selector, violations = CompileSelector("spec.selector", spec.Selector)
	}
	if spec.GetExpression() != "" {
		expression, err := selector.Compile(spec.Expression)
		switch {
		case err != nil:
			violations = append(violations, expressionViolations(err)...)
		case expression.ReadsFacts() && spec.Selector == nil:
			violations = append(violations, Violation{"spec.expression",
				"reads facts, which spokes report of themselves; a selector beside it has to say by labels which clusters may belong to the group ({} is all)"})
		default:
			m.expression = expression
			violations = append(violations, unknownFacts(expression)...)
		}
	}
	if len(violations) > 0 {
		return nil, violations
	}
	return m, nil
}

// ReadsFacts tells whether a cluster's facts matter to the group.
func (m *Matcher) ReadsFacts() bool { return m.expression != nil && m.expression.ReadsFacts() }

// Requirements are those of the group's selector, all of which a cluster's labels meet that Match says anything of. None where it has no selector, or the empty one.
func (m *Matcher) Requirements() []selector.Requirement { return m.selector.Requirements() }

// Match tells whether a cluster belongs to the group. Facts are nil while its spoke has reported none; an expression that needs one then gives an
// error.
func (m *Matcher) Match(name string, labels map[string]string, facts *yardarmv1.Facts) Result {
	if !m.selector.Matches(labels) {
		return Result{}
	}
	if m.expression == nil {
		return Result{Member: true, Within: true}
	}
	if !m.expression.ReadsFacts() {
		member, err := m.expression.Eval(name, labels, nil)
		return Result{Member: member, Within: member, Err: err}
	}
	member, err := m.expression.Eval(name, labels, factsMap(facts))
	return Result{Member: member, Within: true, Err: err}
}

// CompileSelector checks a selector, each part alone, too, so that a violation names its field below path, which is that of the selector.
func CompileSelector(path string, in *yardarmv1.LabelSelector) (selector.Selector, []Violation) {
	var violations []Violation
	for _, key := range slices.Sorted(maps.Keys(in.GetMatchLabels())) {
		if _, err := selector.New(map[string]string{key: in.GetMatchLabels()[key]}, nil); err != nil {
			violations = append(violations, Violation{fmt.Sprintf("%s.matchLabels[%q]", path, key), err.Error()})
		}
	}
	requirements := make([]selector.Requirement, len(in.GetMatchExpressions()))
	for i, e := range in.GetMatchExpressions() {
		requirements[i] = selector.Requirement{Key: e.GetKey(), Operator: selector.Operator(e.GetOperator()), Values: e.GetValues()}
		if _, err := selector.New(nil, requirements[i:i+1]); err != nil {
			violations = append(violations, Violation{fmt.Sprintf("%s.matchExpressions[%d]", path, i), err.Error()})
		}
	}
	if len(violations) > 0 {
		return selector.Selector{}, violations
	}
	s, err := selector.New(in.GetMatchLabels(), requirements)
	if err != nil {
		return selector.Selector{}, []Violation{{path, err.Error()}}
	}
	return s, nil
}

func expressionViolations(err error) []Violation {
	var compile *selector.CompileError
	if !errors.As(err, &compile) {
		return []Violation{{"spec.expression", err.Error()}}
	}
	violations := make([]Violation, len(compile.Issues))
	for i, issue := range compile.Issues {
		violations[i] = Violation{"spec.expression", fmt.Sprintf("%d:%d: %s", issue.Line, issue.Column, issue.Message)}
	}
	return violations
}

// unknownFacts finds misspelt facts, which would only ever say that they are missing.
func unknownFacts(expression *selector.Expression) []Violation {
	known := slices.Sorted(maps.Keys(factsMap(&yardarmv1.Facts{})))
	var violations []Violation
	for _, name := range expression.Facts() {
		if !slices.Contains(known, name) {
			violations = append(violations, Violation{"spec.expression",
				fmt.Sprintf("there is no fact %q; there are %s", name, strings.Join(known, ", "))})
		}
	}
	return violations
}

// factsMap gives facts to expressions under their JSON names. All fields of reported facts are there, the unknown ones empty, so that comparing
// one that a spoke could not find out is no error; before the first report none is there.
func factsMap(f *yardarmv1.Facts) map[string]any {
	if f == nil {
		return nil
	}
	capacity := make(map[string]any, len(f.Capacity))
	for name, quantity := range f.Capacity {
		capacity[name] = quantity
	}
	groups := make([]any, len(f.ApiGroups))
	for i, g := range f.ApiGroups {
		groups[i] = g
	}
	return map[string]any{
		"kubernetesVersion": f.KubernetesVersion,
		"distribution":      f.Distribution,
		"provider":          f.Provider,
		"region":            f.Region,
		"nodes":             f.Nodes,
		"capacity":          capacity,
		"apiGroups":         groups,
	}
}
