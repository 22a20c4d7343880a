package authz

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Holds tells whether a resource is within a scope; nil is all there is.
func Holds(s *yardarmv1.Scope, m *yardarmv1.ObjectMeta) bool {
	return s == nil || slices.Contains(s.Names, m.GetName()) || s.Selector != nil && matches(s.Selector, m.GetLabels())
}

// matches judges a selector as it is, since it would be compiled for this one question.
func matches(s *yardarmv1.LabelSelector, labels map[string]string) bool {
	for key, value := range s.GetMatchLabels() {
		if have, ok := labels[key]; !ok || have != value {
			return false
		}
	}
	for _, e := range s.GetMatchExpressions() {
		if !(selector.Requirement{Key: e.GetKey(), Operator: selector.Operator(e.GetOperator()), Values: e.GetValues()}).Matches(labels) {
			return false
		}
	}
	return true
}

// contains tells whether all of one scope is certain to be within another, whatever resources there will be.
func contains(outer, inner *yardarmv1.Scope) bool {
	if outer == nil || outer.Selector != nil && proto.Size(outer.Selector) == 0 {
		return true
	}
	if inner == nil || inner.Selector != nil && !proto.Equal(inner.Selector, outer.Selector) {
		return false
	}
	return !slices.ContainsFunc(inner.Names, func(name string) bool { return !slices.Contains(outer.Names, name) })
}
