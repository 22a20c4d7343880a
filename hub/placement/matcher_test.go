package placement

import (
	"errors"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func clusterGroup(s *yardarmv1.LabelSelector, expression string) *yardarmv1.ClusterGroup {
	return &yardarmv1.ClusterGroup{Spec: &yardarmv1.ClusterGroupSpec{Selector: s, Expression: expression}}
}

func TestMatch(t *testing.T) {
	prod := &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
	regions := &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"},
		MatchExpressions: []*yardarmv1.LabelRequirement{{Key: "region", Operator: "In", Values: []string{"eu", "us"}}, {Key: "old", Operator: "DoesNotExist"}}}
	all := &yardarmv1.LabelSelector{}
	facts := &yardarmv1.Facts{KubernetesVersion: "v1.37.2", Provider: "aws", Nodes: 5, Capacity: map[string]string{"cpu": "40"}, ApiGroups: []string{"apps/v1", "v1"}}
	for _, test := range []struct {
		name       string
		selector   *yardarmv1.LabelSelector
		expression string
		labels     map[string]string
		facts      *yardarmv1.Facts
		member     bool
		within     bool
		err        error
	}{
		{"label matches", prod, "", map[string]string{"env": "prod"}, nil, true, true, nil},
		{"label differs", prod, "", map[string]string{"env": "test"}, nil, false, false, nil},
		{"label is missing", prod, "", nil, nil, false, false, nil},
		{"requirements match", regions, "", map[string]string{"env": "prod", "region": "eu"}, nil, true, true, nil},
		{"one requirement does not match", regions, "", map[string]string{"env": "prod", "region": "eu", "old": ""}, nil, false, false, nil},
		{"everything", all, "", nil, nil, true, true, nil},
		{"expression over labels matches", nil, `labels.env == "prod"`, map[string]string{"env": "prod"}, nil, true, true, nil},
		{"expression over labels does not match", nil, `labels.env == "prod"`, map[string]string{"env": "test"}, nil, false, false, nil},
		{"expression over labels has no answer", nil, `labels.env == "prod"`, nil, nil, false, false, selector.ErrMissingKey},
		{"expression over the name", nil, `name == "one"`, nil, nil, true, true, nil},
		{"expression is not asked where the selector says no", prod, `labels.none == "x"`, nil, nil, false, false, nil},
		{"facts match", prod, "facts.nodes >= 5", map[string]string{"env": "prod"}, facts, true, true, nil},
		{"facts narrow", prod, "facts.nodes > 5", map[string]string{"env": "prod"}, facts, false, true, nil},
		{"facts do not widen", prod, "facts.nodes >= 5", map[string]string{"env": "test"}, facts, false, false, nil},
		{"facts are not known yet", prod, "facts.nodes >= 5", map[string]string{"env": "prod"}, nil, false, true, selector.ErrMissingKey},
		{"a fact that the spoke could not find out", all, `facts.region == ""`, nil, facts, true, true, nil},
		{"version", all, `facts.kubernetesVersion.startsWith("v1.37")`, nil, facts, true, true, nil},
		{"capacity", all, `facts.capacity.cpu == "40" && facts.provider == "aws" && facts.distribution == ""`, nil, facts, true, true, nil},
		{"API groups", all, `"apps/v1" in facts.apiGroups`, nil, facts, true, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, violations := Compile(clusterGroup(test.selector, test.expression))
			if m == nil || len(violations) > 0 {
				t.Fatalf("it does not compile: %v", violations)
			}
			r := m.Match("one", test.labels, test.facts)
			if r.Member != test.member || r.Within != test.within || !errors.Is(r.Err, test.err) {
				t.Errorf("got %+v", r)
			}
			if reads := strings.Contains(test.expression, "facts"); m.ReadsFacts() != reads {
				t.Errorf("reads facts: %v, want %v", m.ReadsFacts(), reads)
			}
		})
	}
}

func TestViolations(t *testing.T) {
	for _, test := range []struct {
		name  string
		group *yardarmv1.ClusterGroup
		want  []string // fields, each with part of its message
	}{
		{"nothing", clusterGroup(nil, ""), []string{"spec: selector or expression"}},
		{"no spec", &yardarmv1.ClusterGroup{}, []string{"spec: selector or expression"}},
		{"facts without a boundary", clusterGroup(nil, "facts.nodes > 1"), []string{"spec.expression: reads facts"}},
		{"misspelt fact", clusterGroup(&yardarmv1.LabelSelector{}, "facts.nodes > 1 && facts.nodez > 1"),
			[]string{`spec.expression: there is no fact "nodez"; there are apiGroups, capacity, `}},
		{"expression does not compile", clusterGroup(nil, `labels.env = "x"`), []string{"spec.expression: 1:12: "}},
		{"expression of another type", clusterGroup(nil, "name"), []string{"spec.expression: 1:1: "}},
		{"expression too long", clusterGroup(nil, strings.Repeat("x", selector.MaxText+1)), []string{"spec.expression: "}},
		{"labels", clusterGroup(&yardarmv1.LabelSelector{MatchLabels: map[string]string{"-": "x", "good": "good", "a": "!"}}, ""),
			[]string{`spec.selector.matchLabels["-"]: `, `spec.selector.matchLabels["a"]: `}},
		{"requirements", clusterGroup(&yardarmv1.LabelSelector{MatchExpressions: []*yardarmv1.LabelRequirement{
			{Key: "good", Operator: "Exists"}, {Key: "a", Operator: "Like"}, {Key: "b", Operator: "In"}, nil}}, "("),
			[]string{"spec.selector.matchExpressions[1]: ", "spec.selector.matchExpressions[2]: ", "spec.selector.matchExpressions[3]: ", "spec.expression: "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, violations := Compile(test.group)
			if m != nil {
				t.Error("there is a matcher")
			}
			if len(violations) < len(test.want) {
				t.Fatalf("violations are %v", violations)
			}
			for i, want := range test.want {
				if got := violations[i].Field + ": " + violations[i].Message; !strings.HasPrefix(got, want) {
					t.Errorf("violation %d is %q, want %q", i, got, want)
				}
			}
		})
	}
}
