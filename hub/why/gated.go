package why

import (
	"fmt"
	"time"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/drive"
	"github.com/yardarm-dev/yardarm/hub/rollout/gate"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// gated says which gate holds the cluster back, until when, and who wrote it.
func (e *explainer) gated(p part, v gate.Verdict, opens time.Time) bool {
	reason, what, until := yardarmv1.WhyGatedByFreeze, "freeze", "it is lifted"
	if gate.Type(v.By) == yardarmv1.GateWindow {
		reason, what, until = yardarmv1.WhyGatedByWindow, "window", "somebody changes it: its gates leave no moment that is to be foreseen"
	}
	if !opens.IsZero() {
		until = opens.UTC().Format(time.RFC3339)
	}
	name := v.By.GetMetadata().GetName()
	text := fmt.Sprintf("it is held by %s %q of %s until %s", what, name, v.By.GetStatus().GetActor(), until)
	if why := v.By.GetSpec().GetReason(); why != "" {
		text += ": " + why
	}
	return e.keep(p, reason, text, fmt.Sprintf("see the gate: yardarm describe gate %s; in an emergency: yardarm rollout override bundle/%s --message WHY", name, p.bundle),
		v.By.GetStatus().GetWritten())
}

// staysBy says of a cluster that is to go back which gate keeps it; empty if none does.
func (e *explainer) staysBy(p part) string {
	if !p.joined || rollout.Phase(p.row.Phase) != rollout.RollingBack {
		return ""
	}
	v, _ := drive.Hold(e.tx, p.of, p.row, e.uid, e.now)
	if !v.Gate.Keeps() {
		return ""
	}
	return fmt.Sprintf("; its rollout goes back, and freeze %q of %s keeps it", v.By.GetMetadata().GetName(), v.By.GetStatus().GetActor())
}
