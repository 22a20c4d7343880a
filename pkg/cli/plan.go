package cli

import (
	"fmt"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// printPlan writes the stages that a revision would take; nothing where there is no plan.
func (a *app) printPlan(p *yardarmv1.RolloutPlan) error {
	if len(p.GetStages()) == 0 {
		return nil
	}
	by := ""
	if p.GetStrategy() != "" {
		by = " by strategy " + p.GetStrategy()
	}
	a.print("\nIt would take these stages%s:\n", by)
	t := a.newTable("STAGE", "CLUSTERS", "AT A TIME", "MAY FAIL", "SOAK", "APPROVAL", "HELD BY")
	for _, s := range p.GetStages() {
		may, soak, approval := fmt.Sprint(s.GetFailureBudget()), "-", "-"
		if s.GetTolerant() {
			may = "all"
		}
		if s.GetSoak().AsDuration() > 0 {
			soak = table.Duration(s.GetSoak().AsDuration())
		}
		if s.GetApproval() != "" {
			approval = "needed " + s.GetApproval()
		}
		t.Add(table.Text(s.GetName()), table.Text(plannedClusters(s)), table.Text(fmt.Sprint(s.GetConcurrency())), table.Text(may), table.Text(soak), table.Text(approval),
			table.Text(a.plannedGates(s)))
	}
	if err := a.write(t); err != nil {
		return err
	}
	if n := p.GetUnmoved(); n > 0 {
		a.print("\n%s with no stage: nothing changes there.", plural(n, "cluster"))
	}
	return nil
}

// plannedClusters is as in "12, 1 away (eu-1, eu-2, eu-3…)".
func plannedClusters(s *yardarmv1.PlannedStage) string {
	text := fmt.Sprint(s.GetClusters())
	if s.GetAway() > 0 {
		text += fmt.Sprintf(", %d away", s.GetAway())
	}
	if names := strings.Join(s.GetExamples(), ", "); names != "" {
		if len(s.GetExamples()) < int(s.GetClusters()) {
			names += "…"
		}
		text += " (" + names + ")"
	}
	return text
}

// plannedGates is as in "freeze friday (12), window nightly (2, opens in 3h)".
func (a *app) plannedGates(s *yardarmv1.PlannedStage) string {
	var parts []string
	for _, g := range s.GetGates() {
		opens := ""
		if g.GetOpens() != nil {
			opens = ", opens " + a.until(g.GetOpens())
		}
		parts = append(parts, fmt.Sprintf("%s %s (%d%s)", g.GetType(), g.GetGate(), g.GetClusters(), opens))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
