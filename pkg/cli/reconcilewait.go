package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// reconcileWait waits until assignments that were asked for are ready. The request has made other assignments of them, so that they are so only once
// their spokes have reported on it.
type reconcileWait struct {
	app   *app
	flags waitFlags
	// asked are the names of those that are waited for. One that is gone is not any more.
	asked       []string
	assignments map[string]*yardarmv1.Assignment
	line        *line

	// What is known of them: those that are ready, those left out, and those that are not ready, worst first.
	ready, absent int
	blocking      []*yardarmv1.Assignment
}

func (w *reconcileWait) run(ctx context.Context, hub *client.Client, req *hubv1.WatchRequest) error {
	defer w.line.clear()
	synced := false
	for change, err := range hub.Watch(ctx, req, w.app.following(w.line.say)) {
		if err != nil {
			return w.end(ctx, err)
		}
		synced = synced || change.Type == client.Synced
		w.take(change)
		if !synced {
			continue
		}
		w.judge()
		switch {
		case len(w.blocking) == 0:
			w.line.clear()
			w.app.print("%s", w.progress())
			return nil
		case w.flags.failFast && hopeless(w.blocking[0]):
			return failed("%s%s", w.progress(), w.blockers(hopeless))
		}
		w.line.set("%s", w.progress())
	}
	return w.end(ctx, context.Cause(ctx))
}

// end says what blocks if time is up.
func (w *reconcileWait) end(ctx context.Context, err error) error {
	if !errors.Is(timeUp(ctx, err), errTimeUp) {
		return err
	}
	return timedOut("after %s, %s%s", w.flags.timeout, w.progress(), w.blockers(func(*yardarmv1.Assignment) bool { return true }))
}

func (w *reconcileWait) take(change client.Change) {
	x, ok := change.Object.(*yardarmv1.Assignment)
	switch {
	case !ok:
	case change.Type == client.Deleted:
		delete(w.assignments, x.GetMetadata().GetName())
	default:
		w.assignments[x.GetMetadata().GetName()] = x
	}
}

func (w *reconcileWait) judge() {
	w.ready, w.absent, w.blocking = 0, 0, nil
	for _, name := range w.asked {
		x := w.assignments[name]
		switch phase := x.GetStatus().GetPhase(); {
		case x == nil || !assigned(x):
		case phase == yardarmv1.PhaseReady:
			w.ready++
		case w.flags.ignoreStale && (phase == yardarmv1.PhaseStale || phase == yardarmv1.PhaseNeverConnected):
			w.absent++
		default:
			w.blocking = append(w.blocking, x)
		}
	}
	slices.SortStableFunc(w.blocking, func(a, b *yardarmv1.Assignment) int { return cmp.Compare(severity(a), severity(b)) })
}

// hopeless tells an assignment that does not get ready without somebody doing something.
func hopeless(x *yardarmv1.Assignment) bool {
	return x.GetStatus().GetPhase() == yardarmv1.PhaseFailed || x.GetStatus().GetPhase() == yardarmv1.PhaseHeld
}

// progress is as in "1 of 3 assignments are ready, 1 left out: stale or never connected".
func (w *reconcileWait) progress() string {
	text := fmt.Sprintf("%d of %s ready", w.ready, plural(w.ready+len(w.blocking), "assignment"))
	if w.absent > 0 {
		text += fmt.Sprintf(" (%d left out: stale or never connected)", w.absent)
	}
	return text
}

// blockers names those that block, a line each.
func (w *reconcileWait) blockers(which func(*yardarmv1.Assignment) bool) string {
	var b strings.Builder
	named, more := 0, 0
	for _, x := range w.blocking {
		switch {
		case !which(x):
		case named == maxBlockers:
			more++
		default:
			named++
			fmt.Fprintf(&b, "\n%s: %s: %s", typeName(x), w.app.phase(x), w.app.shortWhy(x))
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, "\nand %s", plural(more, "more assignment"))
	}
	return b.String()
}
