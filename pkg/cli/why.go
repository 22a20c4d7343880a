package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// blocker says in one line why a cluster is not ready: its phase and since when, the reason, and the first object that has it.
func (a *app) blocker(x *yardarmv1.Assignment, revision uint32) string {
	st := x.GetStatus()
	text := fmt.Sprintf("cluster/%s: %s", x.GetSpec().GetCluster(), cmp.Or(a.phase(x), yardarmv1.PhasePending))
	if st.GetReport().GetSince() != nil && st.GetReport().GetPhase() == st.GetPhase() {
		text += " since " + a.ago(st.GetReport().GetSince())
	}
	if x.GetSpec().GetRevision() != revision {
		text += fmt.Sprintf(", still at revision %d", x.GetSpec().GetRevision())
	}
	if why := a.why(x); why != "" && why != "-" {
		text += ": " + why
	}
	if more := len(st.GetReport().GetProblems()) - 1; more > 0 && st.GetReport().GetPhase() == st.GetPhase() {
		text += fmt.Sprintf(" (and %s)", plural(more, "more object"))
	}
	return table.Clean(text)
}

// problem is one object, what is wrong with it, and since when.
func (a *app) problem(p *yardarmv1.ObjectProblem) string {
	text := p.GetObject() + ": " + p.GetReason()
	if p.GetMessage() != "" {
		text += ": " + p.GetMessage()
	}
	if p.GetSince() != nil {
		text += " (since " + a.ago(p.GetSince()) + ")"
	}
	return table.Clean(text)
}

func reasonPrefix(reason string) string {
	if reason == "" {
		return ""
	}
	return reason + ": "
}

// phase is an assignment's phase, and since when for one that is not known any more.
func (a *app) phase(x *yardarmv1.Assignment) string {
	phase := x.GetStatus().GetPhase()
	if phase == yardarmv1.PhaseStale && x.GetStatus().GetAsOf() != nil {
		return phase + " since " + a.ago(x.GetStatus().GetAsOf())
	}
	return phase
}

// why says why an assignment is not ready: the first object that is not, or the reason for the whole.
func (a *app) why(x *yardarmv1.Assignment) string {
	st := x.GetStatus()
	if st.GetPhase() == yardarmv1.PhaseReady {
		return "-"
	}
	problems := st.GetReport().GetProblems()
	if st.GetReport().GetPhase() == st.GetPhase() && len(problems) > 0 {
		return a.problem(problems[0])
	}
	return strings.TrimSuffix(reasonPrefix(st.GetReason())+st.GetMessage(), ": ")
}
