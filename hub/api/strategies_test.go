package api_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func strategy(name string, stages ...*yardarmv1.Stage) *hubv1.Resource {
	return &hubv1.Resource{Resource: &hubv1.Resource_Strategy{Strategy: &yardarmv1.Strategy{Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.RolloutStrategy{Stages: stages}}}}
}

// careful is a strategy for any bundle.
func careful() *hubv1.Resource {
	return strategy("careful", &yardarmv1.Stage{Name: "first", Clusters: 1}, &yardarmv1.Stage{Name: "rest"})
}

// by is a bundle that is rolled out by a strategy with a name.
func by(strategy, name string, groups ...string) *hubv1.Resource {
	b := bundle(name, groups...)
	b.GetBundle().Spec.Rollout = &yardarmv1.RolloutStrategy{Strategy: strategy}
	return b
}

// Bundles share a strategy by its name, which is there for as long as one does.
func TestStrategies(t *testing.T) {
	h := apitest.Start(t)
	// One call brings all of it, in whatever order.
	resp := apply(t, h, by("careful", "web", "prod"), careful(), by("careful", "db", "prod"), group("prod", "env=prod"))
	if got := resp.Results[1].Resource.GetStrategy(); got.Kind != yardarmv1.KindStrategy || !slices.Equal(got.Status.Bundles, []string{"db", "web"}) {
		t.Errorf("strategy %v", got)
	}
	if got := outcomes(apply(t, h, careful())); got != "unchanged" {
		t.Errorf("applied again it is %s", got)
	}
	publish(t, h, "api", "1", "prod")
	if _, err := h.Publish(t.Context(), &hubv1.Publication{Bundle: "api", Rollout: &yardarmv1.RolloutStrategy{Strategy: "careful"}}, apitest.ConfigMap("", "api", "1")); err != nil {
		t.Fatal(err)
	}
	list := must[*hubv1.ListStrategiesResponse](t)(h.ListStrategies(t.Context(), &hubv1.ListStrategiesRequest{Filter: "name=care*"}))
	if list.TotalSize != 1 || !slices.Equal(list.Strategies[0].Status.Bundles, []string{"api", "db", "web"}) {
		t.Errorf("listed are %v", list)
	}
	_, err := h.DeleteStrategy(t.Context(), &hubv1.DeleteStrategyRequest{Name: "careful"})
	refused(t, err, codes.FailedPrecondition, "careful", "api, db, web")
	apply(t, h, bundle("web", "prod"), bundle("db", "prod"), bundle("api", "prod"))
	_, err = h.DeleteStrategy(t.Context(), &hubv1.DeleteStrategyRequest{Name: "careful", ResourceVersion: "1"})
	refused(t, err, codes.Aborted, "careful")
	must[*hubv1.DeleteStrategyResponse](t)(h.DeleteStrategy(t.Context(), &hubv1.DeleteStrategyRequest{Name: "careful"}))
	_, err = h.GetStrategy(t.Context(), &hubv1.GetStrategyRequest{Name: "careful"})
	refused(t, err, codes.NotFound, "careful", "yardarm get strategies")
}

// What makes no sense is refused with its field, also where it comes of another resource.
func TestStrategiesAreRefused(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("test", "env=test"), group("lab", "env=lab"),
		strategy("groups", &yardarmv1.Stage{Group: "test"}, &yardarmv1.Stage{Group: "prod"}), by("groups", "web", "prod"))
	own := by("groups", "own", "prod")
	own.GetBundle().Spec.Rollout.Stages = []*yardarmv1.Stage{{}}
	nested := strategy("nested")
	nested.GetStrategy().Spec.Strategy = "groups"
	for _, test := range []struct {
		resource *hubv1.Resource
		field    string
		words    string
	}{
		{by("nowhere", "db", "prod"), "spec.rollout.strategy", "there is no strategy \"nowhere\""},
		{by("UPPER", "db", "prod"), "spec.rollout.strategy", "UPPER"},
		{by("groups", "db", "prod", "lab"), "spec.rollout.strategy", "(those of lab)"},
		{by("groups", "web", "lab"), "spec.rollout.strategy", "(those of lab)"},
		{own, "spec.rollout.strategy", "neither stages nor onFailure"},
		{nested, "spec.strategy", "say the stages here"},
		{strategy("default"), "metadata.name", "every hub has"},
		{strategy("all-at-once"), "metadata.name", "every hub has"},
		{strategy("none", &yardarmv1.Stage{Group: "nowhere"}, &yardarmv1.Stage{}), "spec.stages[0].group", "nowhere"},
		{strategy("shrinks", &yardarmv1.Stage{Percent: 50}, &yardarmv1.Stage{Percent: 20}, &yardarmv1.Stage{}), "spec.stages[1].percent", "have to grow"},
		{strategy("groups", &yardarmv1.Stage{Group: "test"}), "spec.stages", "of bundle \"web\""},
	} {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{test.resource}})
		if got := fields(refused(t, err, codes.InvalidArgument, test.words)); len(got) != 1 || got[0] != "resources[0]."+test.field {
			t.Errorf("%s: fields %v", test.words, got)
		}
	}
	_, err := h.Publish(t.Context(), &hubv1.Publication{Bundle: "new", Groups: []string{"prod"}, Rollout: &yardarmv1.RolloutStrategy{Strategy: "nowhere"}}, apitest.ConfigMap("", "new", "1"))
	refused(t, err, codes.InvalidArgument, "publication.rollout.strategy", "nowhere")
	_, err = h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Groups: []string{"lab"}}, apitest.ConfigMap("", "web", "1"))
	refused(t, err, codes.InvalidArgument, "publication.rollout.strategy", "(those of lab)")
	_, err = h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: "test"})
	refused(t, err, codes.FailedPrecondition, "strategy groups")
	// Both at once are one change, in which neither is wrong.
	apply(t, h, strategy("groups", &yardarmv1.Stage{Group: "lab"}), by("groups", "web", "lab"))
}

// Whoever publishes somewhere sees strategies and names them; to change what all share takes a binding without a scope.
func TestStrategiesAreForAll(t *testing.T) {
	for _, role := range []string{"publisher", "operator"} {
		h, c := scoped(t, role)
		apply(t, h, careful())
		if _, err := c.GetStrategy(t.Context(), &hubv1.GetStrategyRequest{Name: "careful"}); err != nil {
			t.Error(err)
		}
		_, err := c.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{strategy("mine")}})
		refused(t, err, codes.PermissionDenied, "strategies")
		_, err = c.DeleteStrategy(t.Context(), &hubv1.DeleteStrategyRequest{Name: "careful"})
		refused(t, err, codes.PermissionDenied, "strategies")
		can := must[*hubv1.CanIResponse](t)(c.CanI(t.Context(), &hubv1.CanIRequest{Verb: "apply", Resource: "strategies"}))
		if can.Allowed || !strings.Contains(can.Reason, "strategies") {
			t.Errorf("%s: %v", role, can)
		}
	}
}
