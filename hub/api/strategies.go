package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxStrategies is how many there may be: they are for a fleet to agree on, not one for each bundle.
	maxStrategies = 256
	// maxNamers is how many bundles are told that name a strategy, as the proto says.
	maxNamers = 100
)

// ListStrategies implements FleetService.
func (s *Server) ListStrategies(ctx context.Context, req *hubv1.ListStrategiesRequest) (*hubv1.ListStrategiesResponse, error) {
	v := s.view(ctx)
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "strategies"}
	p, err := paginate(list, strategyFields, func(add func(*yardarmv1.Strategy)) {
		for row := range v.Strategies() {
			add(row)
		}
	}, v.strategy)
	if err != nil {
		return nil, err
	}
	return &hubv1.ListStrategiesResponse{Strategies: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetStrategy implements FleetService.
func (s *Server) GetStrategy(ctx context.Context, req *hubv1.GetStrategyRequest) (*yardarmv1.Strategy, error) {
	v := s.view(ctx)
	row := v.Strategy(req.GetName())
	if row == nil {
		return nil, strategyNotFound(req.GetName())
	}
	return v.strategy(row), nil
}

// DeleteStrategy implements FleetService.
func (s *Server) DeleteStrategy(ctx context.Context, req *hubv1.DeleteStrategyRequest) (*hubv1.DeleteStrategyResponse, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteStrategyResponse, error) {
		row := c.Strategy(req.GetName())
		if row == nil {
			return nil, strategyNotFound(req.GetName())
		}
		if err := checkVersion(yardarmv1.KindStrategy, row.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		if names := c.view().namers(req.GetName()); len(names) > 0 {
			return nil, precondition(reasonInUse, yardarmv1.KindStrategy, req.GetName(), fmt.Sprintf(
				"strategy %q is what bundles are rolled out by (%s); let them name another first", req.GetName(), strings.Join(names, ", ")))
		}
		return as(&hubv1.DeleteStrategyResponse{}), errors.Join(c.DeleteStrategy(req.GetName()),
			c.event(&yardarmv1.Event{Reason: "StrategyDeleted", Message: fmt.Sprintf("strategy %q deleted", req.GetName())}))
	})
}

// strategy shows a row.
func (v view) strategy(row *yardarmv1.Strategy) *yardarmv1.Strategy {
	out := proto.CloneOf(row)
	out.ApiVersion, out.Kind, out.Status = yardarmv1.APIVersion, yardarmv1.KindStrategy, &yardarmv1.StrategyStatus{Bundles: v.namers(row.GetMetadata().GetName())}
	return out
}

// namers are the bundles that name a strategy, as far as they may be seen.
func (v view) namers(name string) []string {
	var names []string
	for b := range v.Bundles() {
		if b.GetSpec().GetRollout().GetStrategy() == name && v.seesBundle(b) {
			names = append(names, b.GetMetadata().GetName())
		}
	}
	slices.Sort(names)
	return names[:min(len(names), maxNamers)]
}

func strategyNotFound(name string) error {
	return notFound(yardarmv1.KindStrategy, clip(name), "`yardarm get strategies` lists them")
}

// strategy applies a strategy. Rollouts that have begun go on by what they were begun by.
func (a *application) strategy(c *change, i int, in *yardarmv1.Strategy) error {
	current := c.Strategy(in.Metadata.Name)
	if err := checkMeta(yardarmv1.KindStrategy, current.GetMetadata(), in.Metadata); err != nil {
		return err
	}
	sameSpec := current != nil && proto.Equal(current.Spec, in.Spec)
	if there := len(slices.Collect(c.Strategies())); current == nil && there >= maxStrategies {
		a.checker(i).add("metadata.name", fmt.Sprintf("there are %d strategies already, which is as many as a hub keeps; delete those that no bundle names", there))
	}
	unknownStages(c, a.checker(i).at("spec."), in.GetSpec())
	next := replacing(current, &yardarmv1.Strategy{})
	next.Spec = proto.CloneOf(in.Spec)
	var same bool
	next.Metadata, same = c.meta(current.GetMetadata(), in.Metadata, a.uids[i], sameSpec)
	if a.note(i, current != nil, same && sameSpec, current, next) {
		return nil
	}
	if !sameSpec {
		a.strategies[in.Metadata.Name] = i
	}
	return errors.Join(c.PutStrategy(next), c.event(&yardarmv1.Event{Reason: "StrategyConfigured", Message: fmt.Sprintf("strategy %q %s", in.Metadata.Name, a.outcomes[i])}))
}

// strategy checks what people write of a strategy.
func (c checker) strategy(s *yardarmv1.Strategy) {
	if name := s.GetMetadata().GetName(); name == yardarmv1.StrategyDefault || name == yardarmv1.StrategyAllAtOnce {
		c.add("metadata.name", fmt.Sprintf("%q is one that every hub has; take another", name))
	}
	if s.GetSpec().GetStrategy() != "" {
		c.add("spec.strategy", "names another: say the stages here")
	}
	for _, v := range rollout.Check(s.GetSpec(), nil) {
		c.add("spec."+v.Field, v.Message)
	}
}

// rollout checks what a bundle says of its rollouts. Groups are those that the bundle targets.
func (c checker) rollout(said *yardarmv1.RolloutStrategy, groups []string) {
	if said.GetStrategy() != "" {
		c.name("rollout.strategy", said.GetStrategy())
		if len(said.GetStages()) > 0 || said.GetOnFailure() != "" {
			c.add("rollout.strategy", "goes with neither stages nor onFailure: the strategy that it names says them")
		}
		return
	}
	for _, v := range rollout.Check(said, groups) {
		c.add("rollout."+v.Field, v.Message)
	}
}

// unknownStages notes the stages that are for groups which are not there.
func unknownStages(c *change, check checker, strategy *yardarmv1.RolloutStrategy) {
	for i, stage := range strategy.GetStages() {
		if group := stage.GetGroup(); group != "" && c.Group(group) == nil {
			check.add(fmt.Sprintf("stages[%d].group", i), unknownGroup(group))
		}
	}
}

// checkNamed notes that the strategy which a bundle names is not there, or not for all the groups that the bundle targets.
func (c *change) checkNamed(check checker, spec *yardarmv1.BundleSpec) {
	name := spec.GetRollout().GetStrategy()
	if name == "" {
		return
	}
	s := c.Strategy(name)
	if s == nil {
		check.add("rollout.strategy", fmt.Sprintf("there is no strategy %q; apply it first, or in the same call", clip(name)))
		return
	}
	for _, v := range rollout.Check(s.GetSpec(), groupsOf(spec.GetTargets())) {
		check.add("rollout.strategy", fmt.Sprintf("strategy %q is not for this bundle: its %s %s", name, v.Field, v.Message))
	}
}

// checkNamers notes the bundles that a strategy is not for any more.
func (c *change) checkNamers(check checker, s *yardarmv1.Strategy) {
	for b := range c.Bundles() {
		if b.GetSpec().GetRollout().GetStrategy() != s.GetMetadata().GetName() {
			continue
		}
		for _, v := range rollout.Check(s.GetSpec(), groupsOf(b.GetSpec().GetTargets())) {
			check.add("spec."+v.Field, fmt.Sprintf("of bundle %q, which names the strategy: %s", b.GetMetadata().GetName(), v.Message))
		}
	}
}

// stageGroups are the groups that stages are for.
func stageGroups(s *yardarmv1.RolloutStrategy) (groups []string) {
	for _, stage := range s.GetStages() {
		if stage.GetGroup() != "" {
			groups = append(groups, stage.GetGroup())
		}
	}
	return groups
}

// stagesNaming are the strategies and the bundles of which a stage is for a group.
func (c *change) stagesNaming(group string) (names []string) {
	for s := range c.Strategies() {
		if slices.Contains(stageGroups(s.GetSpec()), group) {
			names = append(names, "strategy "+s.GetMetadata().GetName())
		}
	}
	for b := range c.Bundles() {
		if slices.Contains(stageGroups(b.GetSpec().GetRollout()), group) {
			names = append(names, "bundle "+b.GetMetadata().GetName())
		}
	}
	return names
}
