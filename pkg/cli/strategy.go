package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var strategyColumns = []column{
	nameColumn,
	col("STAGES", func(_ *app, s *yardarmv1.Strategy) string { return stageNames(s.GetSpec()) }),
	col("ON FAILURE", func(_ *app, s *yardarmv1.Strategy) string { return onFailure(s.GetSpec()) }),
	col("BUNDLES", func(_ *app, s *yardarmv1.Strategy) string {
		return cmp.Or(strings.Join(s.GetStatus().GetBundles(), ","), "-")
	}),
	ageColumn,
}

// stageNames is as in "test,early,rest"; those of the default where none are said.
func stageNames(s *yardarmv1.RolloutStrategy) string {
	var names []string
	for i, stage := range s.GetStages() {
		names = append(names, cmp.Or(stage.GetName(), fmt.Sprintf("stage-%d", i+1)))
	}
	return cmp.Or(strings.Join(names, ","), "as by default")
}

func onFailure(s *yardarmv1.RolloutStrategy) string {
	return cmp.Or(s.GetOnFailure(), yardarmv1.OnFailureRollback)
}

func (d *sheet) strategy(s *yardarmv1.Strategy) {
	d.metadata(s.GetMetadata())
	d.field("Bundles", cmp.Or(strings.Join(s.GetStatus().GetBundles(), ", "), "none names it"))
	d.field("On failure", onFailure(s.GetSpec()))
	if len(s.GetSpec().GetStages()) == 0 {
		d.field("Stages", stageNames(s.GetSpec()))
	}
	for i, stage := range s.GetSpec().GetStages() {
		d.field(fmt.Sprintf("Stage %d", i+1), stageText(stage))
	}
}

// stageText is as in "early: until 10 % have it, 25% at a time, 0 may fail, 10m of soak, approval after it".
func stageText(s *yardarmv1.Stage) string {
	var which string
	switch {
	case s.GetGroup() != "":
		which = "group " + s.GetGroup()
	case s.GetSelector() != nil:
		which = selectorText(&yardarmv1.ClusterGroupSpec{Selector: s.GetSelector()})
	case s.GetClusters() > 0:
		which = plural(s.GetClusters(), "cluster")
	case s.GetPercent() > 0:
		which = fmt.Sprintf("until %d %% have it", s.GetPercent())
	default:
		which = "all that are left"
	}
	parts := []string{which, cmp.Or(s.GetConcurrency(), "25%") + " at a time", cmp.Or(s.GetFailureBudget(), "2% (at least 1)") + " may fail"}
	if soak := s.GetSoak().AsDuration(); soak > 0 {
		parts = append(parts, table.Duration(soak)+" of soak")
	}
	if deadline := s.GetProgressDeadline().AsDuration(); deadline > 0 {
		parts = append(parts, "within "+table.Duration(deadline))
	}
	if s.GetApproval() != "" {
		parts = append(parts, "approval "+s.GetApproval()+" it")
	}
	if s.GetOrderBy() != "" {
		parts = append(parts, "in the order of "+s.GetOrderBy())
	}
	text := strings.Join(parts, ", ")
	if s.GetName() != "" {
		return s.GetName() + ": " + text
	}
	return text
}
