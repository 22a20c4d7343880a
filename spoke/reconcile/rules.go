package reconcile

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/healthrule"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/health"
)

// rules are the assignment's health rules, compiled once for as long as they stay the same. A bundle without any never compiles, and the first
// that does makes CEL's environment.
type rules struct {
	source   []*yardarmv1.HealthRule
	compiled *healthrule.Rules // nil if there are none
}

// useRules judges by other rules from now on. What was judged by the old ones, or would be by the new, is looked at again.
func (b *bundle) useRules(source []*yardarmv1.HealthRule) {
	if slices.EqualFunc(b.rules.source, source, func(x, y *yardarmv1.HealthRule) bool { return proto.Equal(x, y) }) {
		return
	}
	old := b.rules.compiled
	b.rules = rules{source: source}
	if len(source) > 0 {
		var violations []healthrule.Violation
		b.rules.compiled, violations = healthrule.Compile(source)
		for _, v := range violations {
			b.logger.Warn("health rule cannot be used", "field", "health"+v.Field, "error", v.Message)
		}
	}
	maps.DeleteFunc(b.health, func(ref manifest.Ref, _ verdict) bool {
		return old.Has(ref.Group, ref.Kind) || b.rules.compiled.Has(ref.Group, ref.Kind)
	})
}

// passive tells whether an object is ready as soon as it is applied.
func (b *bundle) passive(ref manifest.Ref) bool {
	return health.Passive(ref.Group, ref.Kind) && !b.rules.compiled.Has(ref.Group, ref.Kind)
}
