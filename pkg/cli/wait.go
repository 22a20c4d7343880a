package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// What can be waited for.
const (
	forReady     = "ready"
	forConnected = "connected"
	forDeleted   = "deleted"
)

// maxBlockers is how many clusters are named when a wait ends; the others are counted.
const maxBlockers = 20

// returnGrace is how many seconds a wait goes on once a rollout goes back, until some cluster is known to have failed: two watches tell of the bundle and of its
// assignments, and the second may be behind.
const returnGrace = 1

// errTimeUp is the cause of a context whose time is up.
var errTimeUp = errors.New("time is up")

// waitFlags are shared by all that wait.
type waitFlags struct {
	timeout     time.Duration
	failFast    bool
	ignoreStale bool
	allowNone   bool
}

func (f *waitFlags) add(cmd *cobra.Command) {
	f.addCommon(cmd)
	cmd.Flags().BoolVar(&f.allowNone, "allow-none", false, "a bundle that no cluster is to run counts as ready")
}

// addCommon adds the flags that make sense whatever is waited for.
func (f *waitFlags) addCommon(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.timeout, "timeout", 5*time.Minute, "how long to wait; 0 waits without end")
	cmd.Flags().BoolVar(&f.ignoreStale, "ignore-stale", false, "leave out clusters that are stale or have never connected")
	cmd.Flags().BoolVar(&f.failFast, "fail-fast", true, "end as soon as a cluster has failed or holds")
}

// check refuses what makes no sense.
func (f *waitFlags) check() error {
	if f.timeout < 0 {
		return usage("--timeout is %s; it must not be negative", f.timeout)
	}
	return nil
}

func (a *app) waitCommand() *cobra.Command {
	var f waitFlags
	var revision uint32
	var what, output string
	cmd := &cobra.Command{
		Use:   "wait bundle/NAME | cluster/NAME",
		Short: "Wait until a revision is ready everywhere, or a cluster is connected",
		Long: `Wait until a revision of a bundle is ready in all its clusters, or until a cluster is connected.

It looks at what is the case first, and then at every change. It is bound to the revision: once the bundle
moves on to a later one, it ends; one that is not there yet is waited for, so that a pipeline may wait
before it publishes. It also ends when the rollout has failed, or waits for an approval, and when a
cluster has failed that the rollout does not judge any more, or holds (--fail-fast=false waits on, for
it may come right). Degraded clusters may heal by themselves and are waited for, as are those that are
stale or have never connected (--ignore-stale leaves those out).

Where it does not end well, what blocks is named. -o json and -o junit write the verdict for programs and
for the pages of a CI system, whatever it is: 'yardarm publish --help' says more.

` + exitHelp(),
		Example: `  yardarm wait bundle/web --timeout 2m
  yardarm wait bundle/web --revision 3 --ignore-stale
  yardarm wait cluster/eu-1 --for connected
  yardarm wait cluster/eu-1 --for deleted`,
		Args:              arguments(1, 2, "bundle/NAME or cluster/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle, resource.Cluster),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, name, err := one(args, resource.Bundle, resource.Cluster)
			if err != nil {
				return err
			}
			return a.wait(cmd.Context(), t, name, what, revision, f, output)
		},
	}
	f.add(cmd)
	cmd.Flags().Uint32Var(&revision, "revision", 0, "the revision to wait for; by default the latest one")
	cmd.Flags().StringVar(&what, "for", "", "what to wait for: ready (bundles), connected (clusters) or deleted")
	formatFlag(cmd, &output, formatTable, formatJSON, formatYAML, formatJUnit)
	complete(cmd, "revision", a.completeRevisions)
	complete(cmd, "for", words(forReady, forConnected, forDeleted))
	return cmd
}

func (a *app) wait(ctx context.Context, t resource.Type, name, what string, revision uint32, f waitFlags, output string) error {
	if err := f.check(); err != nil {
		return err
	}
	isBundle := t.Is(resource.Bundle)
	if what == "" {
		what = forConnected
		if isBundle {
			what = forReady
		}
	}
	switch {
	case what == forDeleted:
	case isBundle && what != forReady:
		return usage("--for %s: a bundle can be waited for to be ready or deleted", what)
	case !isBundle && what != forConnected:
		return usage("--for %s: a cluster can be waited for to be connected or deleted", what)
	}
	if revision != 0 && (!isBundle || what != forReady) {
		return usage("--revision goes with waiting for a bundle to be ready")
	}
	if output != formatTable && what != forReady {
		return usage("-o %s goes with waiting for a bundle to be ready", output)
	}
	if what == forReady {
		return a.concluded(ctx, output, nil, func() (*readyWait, error) { return a.waitReady(ctx, name, revision, f) })
	}
	ctx, cancel := a.withTimeout(ctx, f.timeout)
	defer cancel()
	if what == forDeleted {
		return a.waitDeleted(ctx, t, name, f.timeout)
	}
	return a.waitConnected(ctx, name, f.timeout)
}

// withTimeout is context.WithTimeoutCause with errTimeUp, by our own clock; 0 means no timeout. The goroutine ends with the context.
func (a *app) withTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if timeout > 0 {
		after := a.io.After(timeout)
		go func() {
			select {
			case <-after:
				cancel(errTimeUp)
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}

// waitReady waits for a revision; 0 is the latest. It answers what was learnt of it, also with an error.
func (a *app) waitReady(ctx context.Context, name string, revision uint32, f waitFlags) (*readyWait, error) {
	w := &readyWait{
		app:         a,
		question:    question{bundle: name, revision: revision, ignoreAbsent: f.ignoreStale, failFast: f.failFast, allowNone: f.allowNone},
		assignments: make(map[string]*yardarmv1.Assignment),
		failed:      make(map[string]*yardarmv1.Assignment),
		line:        a.newLine(),
	}
	ctx, cancel := a.withTimeout(ctx, f.timeout)
	defer cancel()
	hub, err := a.connect()
	if err != nil {
		return w, err
	}
	bundle, err := hub.GetBundle(ctx, &hubv1.GetBundleRequest{Name: name})
	if errors.Is(timeUp(ctx, err), errTimeUp) {
		return w, timedOut("bundle/%s: the hub has not answered within %s", name, f.timeout)
	}
	if err != nil {
		return w, meant(ctx, hub, resource.Bundle, name, err)
	}
	if revision == 0 {
		if bundle.GetStatus().GetLatestRevision() == 0 {
			return w, failed("bundle/%s has no revision yet; 'yardarm publish DIR --bundle %s' makes one", name, name)
		}
		w.question.revision = bundle.GetStatus().GetLatestRevision()
	}
	err = w.run(ctx, hub)
	w.line.clear()
	if errors.Is(err, errTimeUp) || errors.Is(context.Cause(ctx), errTimeUp) {
		err = w.tooLate(f.timeout)
	}
	return w, err
}

// readyWait is the state of one wait. It belongs to one goroutine; the watches send to it.
type readyWait struct {
	app      *app
	question question

	bundle      *yardarmv1.Bundle // nil before synced, and once deleted
	assignments map[string]*yardarmv1.Assignment
	// failed are those whose clusters have said that the revision failed there, as they were then: by now they may have returned to another.
	failed    map[string]*yardarmv1.Assignment
	snapshots int // complete ones, of the two
	// ticks counts the seconds since the wait began, and returns is the one in which the rollout began to go back; 0 before.
	ticks, returns int
	verdict        verdict
	line           *line
}

func (w *readyWait) run(ctx context.Context, hub *client.Client) error {
	type message struct {
		change client.Change
		err    error
		note   string // to be shown, if not empty
	}
	// Room for a burst, so that many changes are judged at once.
	changes := make(chan message, 64)
	ctx, cancel := context.WithCancel(ctx)
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	watch := func(req *hubv1.WatchRequest, options client.WatchOptions) {
		watches.Go(func() {
			for change, err := range hub.Watch(ctx, req, options) {
				select {
				case changes <- message{change: change, err: err}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	note := func(text string) {
		select {
		case changes <- message{note: text}:
		case <-ctx.Done():
		}
	}
	watch(&hubv1.WatchRequest{Kind: yardarmv1.KindBundle, Name: w.question.bundle}, client.WatchOptions{})
	// That the hub is lost is told once: the two watches share its connection.
	watch(&hubv1.WatchRequest{Kind: yardarmv1.KindAssignment, Bundle: w.question.bundle}, w.app.following(note))
	handle := func(m message) error {
		switch {
		case m.err != nil:
			return m.err
		case m.note != "":
			w.line.say(m.note)
		default:
			w.take(m.change)
		}
		return nil
	}
	tick := time.NewTicker(lineInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			w.line.flush()
			w.ticks++
		case m := <-changes:
			if err := handle(m); err != nil {
				return err
			}
		}
		for more := true; more; {
			select {
			case m := <-changes:
				if err := handle(m); err != nil {
					return err
				}
			default:
				more = false
			}
		}
		if !w.synced() {
			continue
		}
		if done, err := w.decide(); done {
			return err
		}
	}
}

// synced tells whether the bundle and all its assignments are known.
func (w *readyWait) synced() bool { return w.snapshots == 2 }

func (w *readyWait) take(change client.Change) {
	if change.Type == client.Synced {
		w.snapshots++
		return
	}
	switch object := change.Object.(type) {
	case *yardarmv1.Bundle:
		w.bundle = object
		if change.Type == client.Deleted {
			w.bundle = nil
		}
	case *yardarmv1.Assignment:
		name, report := object.GetMetadata().GetName(), object.GetStatus().GetReport()
		w.assignments[name] = object
		if change.Type == client.Deleted {
			delete(w.assignments, name)
		}
		switch {
		case report.GetRevision() != w.question.revision:
		case report.GetPhase() == yardarmv1.PhaseFailed:
			w.failed[name] = object
		default:
			delete(w.failed, name)
		}
	}
}

func (w *readyWait) judge() verdict {
	list := make([]*yardarmv1.Assignment, 0, len(w.assignments))
	for _, x := range w.assignments {
		list = append(list, x)
	}
	return judge(w.question, w.bundle, list)
}

// decide ends the wait, or shows how far it is.
func (w *readyWait) decide() (done bool, err error) {
	w.verdict = w.judge()
	v, q := w.verdict, w.question
	switch v.answer {
	case answerWait:
		if v.unpublished {
			w.line.set("%s", w.unpublished())
			return false, nil
		}
		w.line.set("bundle/%s revision %d: %s%s", q.bundle, q.revision, v.progress(), w.stage())
		return false, nil
	case answerReady:
		w.line.clear()
		w.app.print("%s", w.success())
		return true, nil
	case answerGone:
		return true, failed("bundle/%s has been deleted", q.bundle)
	case answerSuperseded:
		return true, ended(ExitSuperseded, "bundle/%s revision %d is superseded: the bundle is at revision %d", q.bundle, q.revision, v.revision)
	case answerRolledBack:
		if w.returns == 0 {
			w.returns = w.ticks + 1
		}
		if len(w.failed) == 0 && w.ticks < w.returns+returnGrace {
			return false, nil
		}
		return true, ended(ExitRolledBack, "bundle/%s revision %d is rolled back: %s; 'yardarm rollout status bundle/%s' shows where", q.bundle, q.revision,
			w.bundle.GetStatus().GetRollout().GetFailure(), q.bundle)
	case answerStopped:
		return true, failed("bundle/%s revision %d has stopped: %s; 'yardarm rollout status bundle/%s' shows where", q.bundle, q.revision,
			w.bundle.GetStatus().GetRollout().GetFailure(), q.bundle)
	case answerApproval:
		if w.bundle.GetStatus().GetRollout().GetWaitsFor() == yardarmv1.RolloutWaitConfirmation {
			return true, ended(ExitApproval, "bundle/%s revision %d awaits a confirmation: 'yardarm rollout approve bundle/%s' gives it, and 'yardarm rollout status bundle/%s' says of what",
				q.bundle, q.revision, q.bundle, q.bundle)
		}
		return true, ended(ExitApproval, "bundle/%s revision %d awaits an approval%s: 'yardarm rollout approve bundle/%s' gives it", q.bundle, q.revision, w.stage(), q.bundle)
	case answerNone:
		if v.absent > 0 {
			return true, failed("bundle/%s revision %d is nowhere to be seen: all of its %s are stale or have never connected", q.bundle, q.revision, plural(v.absent, "cluster"))
		}
		groups := strings.Join(targets(w.bundle), ", ")
		if groups == "" {
			return true, failed("bundle/%s targets no group, so no cluster runs it; publish it with --to GROUP", q.bundle)
		}
		return true, failed("no cluster is to run bundle/%s: none belongs to %s; 'yardarm get groups' shows how they select, and --allow-none takes this for ready", q.bundle, groups)
	}
	return true, failed("bundle/%s revision %d has failed; %s%s", q.bundle, q.revision, v.progress(), w.blockers(func(x *yardarmv1.Assignment) bool {
		return x.GetStatus().GetPhase() == yardarmv1.PhaseFailed || x.GetStatus().GetPhase() == yardarmv1.PhaseHeld
	}))
}

// stage is where the rollout is, as in " (stage canary)"; empty once it is over.
func (w *readyWait) stage() string {
	if r := w.bundle.GetStatus().GetRollout(); r.GetStage() != "" && r.GetPhase() != yardarmv1.RolloutCompleted {
		return fmt.Sprintf(" (stage %s)", r.GetStage())
	}
	return ""
}

// unpublished says that the revision is not there yet.
func (w *readyWait) unpublished() string {
	text := fmt.Sprintf("bundle/%s has no revision %d yet", w.question.bundle, w.question.revision)
	if newest := w.bundle.GetStatus().GetLatestRevision(); newest > 0 {
		return fmt.Sprintf("%s (the newest is %d)", text, newest)
	}
	return text
}

// tooLate says what blocks when time is up.
func (w *readyWait) tooLate(timeout time.Duration) error {
	q := w.question
	if !w.synced() {
		return timedOut("bundle/%s revision %d: the hub has not said within %s how its clusters are", q.bundle, q.revision, timeout)
	}
	if w.verdict.unpublished {
		return timedOut("%s after %s", w.unpublished(), timeout)
	}
	return timedOut("bundle/%s revision %d is not ready after %s; %s%s", q.bundle, q.revision, timeout, w.verdict.progress(),
		w.blockers(func(*yardarmv1.Assignment) bool { return true }))
}

// blockers names the clusters that block, a line each.
func (w *readyWait) blockers(which func(*yardarmv1.Assignment) bool) string {
	var b strings.Builder
	named, more := 0, 0
	for _, x := range w.verdict.blocking {
		switch {
		case !which(x):
		case named == maxBlockers:
			more++
		default:
			named++
			b.WriteString("\n" + w.app.blocker(x, w.question.revision))
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, "\nand %s", plural(more, "more cluster"))
	}
	return b.String()
}
