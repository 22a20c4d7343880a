package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var gateColumns = []column{
	nameColumn,
	col("TYPE", func(_ *app, g *yardarmv1.Gate) string { return gateType(g) }),
	coloured(col("STATE", func(_ *app, g *yardarmv1.Gate) string { return g.GetStatus().GetState() }), gateColor),
	col("CHANGES", (*app).gateChanges).moving(),
	col("ABOUT", func(_ *app, g *yardarmv1.Gate) string { return gateAbout(g.GetSpec()) }),
	col("REASON", func(_ *app, g *yardarmv1.Gate) string { return g.GetSpec().GetReason() }),
	col("BY", func(_ *app, g *yardarmv1.Gate) string { return g.GetStatus().GetActor() }),
	ageColumn,
	col("WHEN", func(a *app, g *yardarmv1.Gate) string { return a.gateWhen(g.GetSpec()) }).onlyWide(),
}

func gateType(g *yardarmv1.Gate) string {
	if g.GetSpec().GetWindow() != nil {
		return yardarmv1.GateWindow
	}
	return yardarmv1.GateFreeze
}

// gateColor is the phase whose colour its state has.
func gateColor(g *yardarmv1.Gate) string {
	if g.GetStatus().GetState() == yardarmv1.GateShut {
		return yardarmv1.PhaseProgressing
	}
	return ""
}

// gateChanges is when a gate opens or shuts by itself.
func (a *app) gateChanges(g *yardarmv1.Gate) string {
	if g.GetStatus().GetChanges() == nil {
		return "-"
	}
	return a.until(g.GetStatus().GetChanges())
}

// gateAbout is as in "bundles web,api; group prod".
func gateAbout(spec *yardarmv1.GateSpec) string {
	var parts []string
	if spec.GetBundles() != nil {
		parts = append(parts, scopeWord("bundle", spec.Bundles)+scope(spec.Bundles))
	}
	if len(spec.GetGroups()) > 0 {
		parts = append(parts, scopeWord("group", &yardarmv1.Scope{Names: spec.Groups})+strings.Join(spec.Groups, ","))
	}
	if spec.GetClusters() != nil {
		parts = append(parts, scopeWord("cluster", spec.Clusters)+scope(spec.Clusters))
	}
	return cmp.Or(strings.Join(parts, "; "), "everything")
}

// scopeWord is the word before a scope, a space after it: in the singular where that is a single name.
func scopeWord(word string, s *yardarmv1.Scope) string {
	if len(s.GetNames()) == 1 && s.GetSelector() == nil {
		return word + " "
	}
	return word + "s "
}

// gateWhen is as in "allow 0 22 * * 1-5 for 2h Europe/Berlin".
func (a *app) gateWhen(spec *yardarmv1.GateSpec) string {
	w := spec.GetWindow()
	switch {
	case w == nil && spec.GetFreeze().GetUntil() == nil:
		return "until it is lifted"
	case w == nil:
		return "until " + a.at(spec.Freeze.Until)
	}
	return fmt.Sprintf("%s %s for %s %s", w.GetEffect(), w.GetSchedule(), table.Duration(w.GetDuration().AsDuration()), cmp.Or(w.GetTimeZone(), "UTC"))
}

// gateTimes is as in "until 2026-03-01 06:00:00, 2026-03-01 22:00:00 to 2026-03-02 06:00:00".
func (a *app) gateTimes(g *yardarmv1.Gate) string {
	var parts []string
	for _, t := range g.GetStatus().GetTimes() {
		if t.GetBegins() == nil {
			parts = append(parts, "until "+a.at(t.GetEnds()))
		} else {
			parts = append(parts, a.at(t.GetBegins())+" to "+a.at(t.GetEnds()))
		}
	}
	return strings.Join(parts, ", ")
}

func (d *sheet) gate(g *yardarmv1.Gate) {
	st := g.GetStatus()
	d.metadata(g.GetMetadata())
	d.field("Type", gateType(g))
	state := table.Paint(table.Clean(st.GetState()), phaseColor(gateColor(g)), d.app.colors())
	if st.GetChanges() != nil {
		state += " until " + d.app.at(st.GetChanges())
	}
	d.painted("State", state)
	d.field("When", d.app.gateWhen(g.GetSpec()))
	d.field("Next", d.app.gateTimes(g))
	d.field("About", gateAbout(g.GetSpec()))
	d.field("Reason", g.GetSpec().GetReason())
	d.field("Written by", strings.Join([]string{st.GetActor(), d.app.at(st.GetWritten())}, ", "))
}
