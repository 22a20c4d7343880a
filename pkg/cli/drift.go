package cli

import (
	"fmt"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// drifted is how many objects differ from what was applied, or did when that was last known; empty for none.
func drifted(x *yardarmv1.Assignment) string {
	r := x.GetStatus().GetReport()
	switch n := r.GetObjects().GetDrifted(); {
	case n == 0:
		return ""
	case r.GetPhase() != x.GetStatus().GetPhase():
		return fmt.Sprintf("was %d", n)
	default:
		return fmt.Sprint(n)
	}
}

// printDrifted lists assignments of which objects differ from what was applied, though they may be ready.
func (a *app) printDrifted(list []*yardarmv1.Assignment, limit int) error {
	if len(list) == 0 {
		return nil
	}
	a.print("\nDrifted:")
	t := a.newTable("BUNDLE", "CLUSTER", "OBJECTS", "FIRST")
	shown := first(list, limit)
	for _, x := range shown {
		t.Add(table.Text(x.GetSpec().GetBundle()), table.Text(x.GetSpec().GetCluster()), table.Text(drifted(x)), table.Text(firstDrift(x)))
	}
	if err := a.write(t); err != nil {
		return err
	}
	a.printMore(len(list)-len(shown), "assignment")
	return nil
}

// firstDrift is as in "apps/Deployment prod/web spec.replicas (kubectl-edit)", of the first that stands.
func firstDrift(x *yardarmv1.Assignment) string {
	for _, d := range x.GetStatus().GetReport().GetDrift() {
		if d.GetCorrected() != nil {
			continue
		}
		text := d.GetObject() + " " + driftField(d)
		if d.GetManager() != "" {
			text += " (" + d.GetManager() + ")"
		}
		return table.Shorten(text, maxWhy)
	}
	return ""
}

// driftField is the field; an object that is gone, or was, has none.
func driftField(d *yardarmv1.Drift) string {
	if d.GetPath() == "" {
		return "(gone)"
	}
	return d.GetPath()
}

// drift lists every field that differs, or did within the last hour.
func (d *sheet) drift(list []*yardarmv1.Assignment) {
	t := d.table("CLUSTER", "BUNDLE", "OBJECT", "FIELD", "DESIRED", "LIVE", "MANAGER", "SINCE", "STATE")
	for _, x := range list {
		for _, f := range x.GetStatus().GetReport().GetDrift() {
			state := table.Cell{Text: "stands: " + f.GetReason(), Color: table.Yellow}
			if f.GetCorrected() != nil {
				state = table.Text("repaired " + d.app.ago(f.GetCorrected()))
			}
			t.Add(table.Text(x.GetSpec().GetCluster()), table.Text(x.GetSpec().GetBundle()), table.Text(f.GetObject()), table.Text(driftField(f)),
				table.Text(f.GetDesired()), table.Text(f.GetLive()), table.Text(f.GetManager()), table.Text(d.app.ago(f.GetSince())), state)
		}
	}
	if t.Len() > 0 {
		d.section("Drift")
		d.write(t)
		d.end()
	}
}
