package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxWhy is how long a reason is in a line of a table, in characters: two lines of a usual terminal. describe and -o json have all of it.
	maxWhy = 160
	// minMessage is what is left of a message in any case, however long the name of its object is, in characters.
	minMessage = 40
)

// cause is why an assignment is not ready.
type cause struct {
	object  string // as in "apps/Deployment prod/web"; empty where it is about the whole
	file    string // that the object was published from; empty where that is not known
	reason  string
	message string
	since   *timestamppb.Timestamp // of the object
}

// causeOf finds it: the first object that is not ready, or the reason for the whole. What is held or removed is so by a decision, and not by how its objects
// are.
func causeOf(x *yardarmv1.Assignment) cause {
	st := x.GetStatus()
	whole := cause{reason: st.GetReason(), message: st.GetMessage()}
	decided := st.GetPhase() == yardarmv1.PhaseHeld || st.GetPhase() == yardarmv1.PhaseRemoving
	problems := st.GetReport().GetProblems()
	if st.GetReport().GetPhase() != st.GetPhase() || len(problems) == 0 || decided && whole != (cause{}) {
		return whole
	}
	p := problems[0]
	return cause{object: p.GetObject(), file: p.GetFile(), reason: p.GetReason(), message: p.GetMessage(), since: p.GetSince()}
}

// text is as in "apps/Deployment prod/web: ImagePullBackOff: no such image".
func (c cause) text() string {
	var parts []string
	for _, part := range []string{c.object, c.reason, c.message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// short is text in at most maxWhy characters, of which suffix takes some. It is the message that is cut, so that what programs look for stays.
func (c cause) short(suffix string) string {
	message := c.message
	c.message = ""
	rest := len([]rune(c.text())) + len(": ") + len([]rune(suffix))
	c.message = table.Shorten(message, max(maxWhy-rest, minMessage))
	return c.text()
}

// blocker says in one line why a cluster is not ready: its phase and for how long, the reason, and the first object that has it.
func (a *app) blocker(x *yardarmv1.Assignment, revision uint32) string {
	st := x.GetStatus()
	text := fmt.Sprintf("cluster/%s: %s", x.GetSpec().GetCluster(), cmp.Or(a.phase(x), yardarmv1.PhasePending))
	current := st.GetReport().GetPhase() == st.GetPhase()
	lasting := ""
	if current {
		lasting = a.lasting(st.GetReport().GetSince())
	}
	text += lasting
	if x.GetSpec().GetRevision() != revision {
		text += fmt.Sprintf(", still at revision %d", x.GetSpec().GetRevision())
	}
	if st.GetPhase() == yardarmv1.PhaseReady {
		return table.Clean(text)
	}
	c := causeOf(x)
	suffix := ""
	if since := a.lasting(c.since); since != "" && since != lasting {
		suffix = " (" + strings.TrimSpace(since) + ")"
	}
	if more := len(st.GetReport().GetProblems()) - 1; more > 0 && current && c.object != "" {
		suffix += fmt.Sprintf(" (and %s)", plural(more, "more object"))
	}
	if why := c.short(suffix); why != "" {
		text += ": " + why + suffix
	}
	return table.Clean(text)
}

// lasting is as in " for 3m"; empty for a time that is not known, or so short that it says nothing.
func (a *app) lasting(since *timestamppb.Timestamp) string {
	if since == nil || a.io.Now().Sub(since.AsTime()) < 2*time.Second {
		return ""
	}
	return " for " + a.age(since)
}

// phase is an assignment's phase, and for how long for one that is not known any more.
func (a *app) phase(x *yardarmv1.Assignment) string {
	phase := x.GetStatus().GetPhase()
	if phase == yardarmv1.PhaseStale {
		return phase + a.lasting(x.GetStatus().GetAsOf())
	}
	return phase
}

// why says in all its length why an assignment is not ready.
func (a *app) why(x *yardarmv1.Assignment) string {
	if allWell(x) {
		return "-"
	}
	c := causeOf(x)
	return table.Clean(c.text() + a.sinceObject(c))
}

// shortWhy is why, cut to what a table has room for.
func (a *app) shortWhy(x *yardarmv1.Assignment) string {
	if allWell(x) {
		return "-"
	}
	c := causeOf(x)
	suffix := a.sinceObject(c)
	return table.Clean(c.short(suffix) + suffix)
}

// allWell: it is ready, and with the bundle's latest revision.
func allWell(x *yardarmv1.Assignment) bool {
	return x.GetStatus().GetPhase() == yardarmv1.PhaseReady && x.GetStatus().GetReason() != yardarmv1.ReasonBehind
}

// sinceObject is as in " (for 3m)".
func (a *app) sinceObject(c cause) string {
	if since := a.lasting(c.since); since != "" {
		return " (" + strings.TrimSpace(since) + ")"
	}
	return ""
}
