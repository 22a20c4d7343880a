package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// barLength is how many characters a stage's bar has.
const barLength = 20

func (a *app) rolloutStatusCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status bundle/NAME",
		Short: "Show how far a bundle's latest revision is, stage by stage, and what happens next",
		Example: `  yardarm rollout status bundle/web
  yardarm rollout status bundle/web -o json`,
		Args:              arguments(1, 2, "bundle/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := oneBundle(args)
			if err != nil {
				return err
			}
			hub, err := a.connect()
			if err != nil {
				return err
			}
			r, err := hub.GetRollout(cmd.Context(), &hubv1.GetRolloutRequest{Bundle: name})
			if err != nil {
				return err
			}
			if output != formatTable {
				return a.printMessage(output, r)
			}
			return a.printRollout(r)
		},
	}
	formatFlag(cmd, &output, formatTable, formatJSON, formatYAML)
	return cmd
}

func (a *app) rolloutWatchCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "watch bundle/NAME",
		Short: "Follow a bundle's rollout until it has come to its end",
		Long: `Follow the rollout of a bundle's latest revision, a line for each change, until it has come to its end, or the
bundle has a later one. An approval is waited for: 'yardarm wait' ends with it.

` + exitHelp(ExitApproval),
		Example:           `  yardarm rollout watch bundle/web`,
		Args:              arguments(1, 2, "bundle/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := oneBundle(args)
			if err != nil {
				return err
			}
			return a.watchRollout(cmd.Context(), name, timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to follow it; 0 follows it without end")
	return cmd
}

func (a *app) watchRollout(ctx context.Context, name string, timeout time.Duration) error {
	if timeout < 0 {
		return usage("--timeout is %s; it must not be negative", timeout)
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	ctx, cancel := a.withTimeout(ctx, timeout)
	defer cancel()
	last, revision := "", uint32(0)
	for r, err := range hub.FollowRollout(ctx, &hubv1.WatchRolloutRequest{Bundle: name}, a.followOptions()) {
		switch {
		case errors.Is(timeUp(ctx, err), errTimeUp):
			return timedOut("bundle/%s has not come to its end after %s: %s", name, timeout, last)
		case err != nil:
			return err
		case revision != 0 && r.GetSpec().GetRevision() != revision:
			return ended(ExitSuperseded, "bundle/%s revision %d is superseded: the bundle is at revision %d", name, revision, r.GetSpec().GetRevision())
		}
		revision = r.GetSpec().GetRevision()
		if line := rolloutLine(r); line != last {
			a.print("%s", table.Clean(line))
			last = line
		}
		switch st := r.GetStatus(); {
		case st.GetPhase() == yardarmv1.RolloutCompleted:
			a.printPace(st.GetPace())
			return nil
		case st.GetPhase() == yardarmv1.RolloutRolledBack:
			return ended(ExitRolledBack, "bundle/%s revision %d is rolled back: %s", name, r.GetSpec().GetRevision(), st.GetFailure())
		case st.GetPhase() == yardarmv1.RolloutPaused && st.GetFailure() != "":
			return failed("bundle/%s revision %d has stopped: %s", name, r.GetSpec().GetRevision(), st.GetFailure())
		}
	}
	return context.Cause(ctx)
}

// rolloutLine is all of it in a line: "revision 3 Progressing: canary 1/1, rest 2/9 (3 on their way); waits for clusters".
func rolloutLine(r *yardarmv1.Rollout) string {
	var stages []string
	for _, s := range r.GetStatus().GetStages() {
		text := fmt.Sprintf("%s %d/%d", s.GetName(), s.GetDone(), s.GetClusters())
		if others := stageOthers(s); others != "" {
			text += " (" + others + ")"
		}
		stages = append(stages, text)
	}
	return fmt.Sprintf("revision %d %s: %s; %s", r.GetSpec().GetRevision(), r.GetStatus().GetPhase(), strings.Join(stages, ", "), nextOf(r))
}

// stageOthers is where those are that are not done, nor wait for their turn.
func stageOthers(s *yardarmv1.StageStatus) string {
	var parts []string
	for _, p := range []struct {
		n    uint32
		word string
	}{
		{s.GetGiven(), "on their way"}, {s.GetFailed() - s.GetFailedBefore(), "failed"}, {s.GetFailedBefore(), "failing as before"}, {s.GetLost(), "lost"},
		{s.GetReturning(), "going back"}, {s.GetReturned(), "back"}, {s.GetAway(), "away"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	return strings.Join(parts, ", ")
}

func (a *app) printRollout(r *yardarmv1.Rollout) error {
	st, name := r.GetStatus(), r.GetSpec().GetBundle()
	a.print("bundle/%s revision %d: %s%s", name, r.GetSpec().GetRevision(), st.GetPhase(), a.lasting(st.GetSince()))
	if from := originsText(r); from != "" {
		a.print("%s.", from)
	}
	if st.GetFailure() != "" {
		a.print("Failed: %s.", table.Clean(st.GetFailure()))
	}
	a.print("Next: %s%s.\n", table.Clean(nextOf(r)), table.Clean(a.nextDue(st)))
	t := a.newTable("STAGE", "PROGRESS", "DONE", "OTHERS", "AT A TIME", "MAY FAIL", "APPROVAL")
	for i, s := range st.GetStages() {
		mark := ""
		if s.GetName() == st.GetStage() && st.GetPhase() != yardarmv1.RolloutCompleted {
			mark = " <"
		}
		t.Add(table.Text(s.GetName()+mark), table.Text(bar(s)), table.Text(fmt.Sprintf("%d/%d", s.GetDone(), s.GetClusters())), table.Text(stageOthers(s)),
			table.Text(fmt.Sprint(s.GetConcurrency())), table.Text(mayFail(r, i)), table.Text(approvalText(s)))
	}
	if err := a.write(t); err != nil {
		return err
	}
	a.printArrivals(st)
	return errors.Join(a.printRolloutGates(st), a.printRolloutClusters(st), a.printActions(st))
}

// originsText says where its clusters come from, as in "It has taken over from revision 3, and its clusters come from revisions 3 (2) and 2 (10)"; empty where
// there is nothing to say.
func originsText(r *yardarmv1.Rollout) string {
	st := r.GetStatus()
	var parts, from []string
	if st.GetSupersedes() != 0 {
		parts = append(parts, fmt.Sprintf("It has taken over from revision %d, which was under way", st.GetSupersedes()))
	}
	for _, o := range st.GetOrigins() {
		if o.GetRevision() != 0 && o.GetRevision() != r.GetSpec().GetRevision() {
			from = append(from, fmt.Sprintf("revision %d (%d)", o.GetRevision(), o.GetClusters()))
		}
	}
	if len(from) > 0 {
		parts = append(parts, "Clusters come from "+strings.Join(from, ", "))
	}
	return strings.Join(parts, ". ")
}

// gatesText says which gate is waited for, and when it opens, as in ": freeze friday until 2026-12-24T08:00:00Z".
func gatesText(st *yardarmv1.RolloutStatus) string {
	if len(st.GetGates()) == 0 {
		return ""
	}
	g := st.GetGates()[0]
	text := ": " + g.GetType() + " " + g.GetGate()
	if g.GetOpens() != nil {
		text += " until " + g.GetOpens().AsTime().Format(time.RFC3339)
	}
	if more := len(st.GetGates()) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

func (a *app) printRolloutGates(st *yardarmv1.RolloutStatus) error {
	if st.GetGatesOverridden() {
		a.print("\nAll gates are overridden for this revision.")
	}
	if len(st.GetGates()) == 0 {
		return nil
	}
	a.print("")
	t := a.newTable("GATE", "TYPE", "HOLDS", "OPENS", "BY", "REASON")
	for _, g := range st.GetGates() {
		opens := "-"
		if g.GetOpens() != nil {
			opens = a.until(g.GetOpens())
		}
		t.Add(table.Text(g.GetGate()), table.Text(g.GetType()), table.Text(plural(g.GetClusters(), "cluster")), table.Text(opens), table.Text(g.GetActor()), table.Text(g.GetReason()))
	}
	return a.write(t)
}

// bar is how much of a stage is done.
func bar(s *yardarmv1.StageStatus) string {
	n := barLength
	if s.GetClusters() > 0 {
		n = int(s.GetDone()) * barLength / int(s.GetClusters())
	}
	return strings.Repeat("#", n) + strings.Repeat(".", barLength-n)
}

// mayFail is how many more of the i-th stage's clusters may fail, of how many.
func mayFail(r *yardarmv1.Rollout, i int) string {
	s := r.GetStatus().GetStages()[i]
	if stages := r.GetSpec().GetStrategy().GetStages(); i < len(stages) && stages[i].GetFailureBudget() == yardarmv1.ShareAll {
		return "all"
	}
	left := int(s.GetFailureBudget()) - int(s.GetFailed()-s.GetFailedBefore())
	return fmt.Sprintf("%d of %d", max(left, 0), s.GetFailureBudget())
}

func approvalText(s *yardarmv1.StageStatus) string {
	switch {
	case s.GetApproval() == "":
		return "-"
	case s.GetApproved():
		return "given"
	}
	return "needed " + s.GetApproval()
}

func (a *app) printActions(st *yardarmv1.RolloutStatus) error {
	if len(st.GetActions()) == 0 {
		return nil
	}
	a.print("")
	t := a.newTable("WHEN", "WHO", "DID", "AT STAGE", "MESSAGE")
	for _, did := range st.GetActions() {
		t.Add(table.Text(a.ago(did.GetTime())), table.Text(did.GetActor()), table.Text(did.GetAction()), table.Text(did.GetStage()), table.Text(did.GetMessage()))
	}
	return a.write(t)
}

// nextOf is what happens next, or who has to do what for it.
func nextOf(r *yardarmv1.Rollout) string {
	name, st := r.GetSpec().GetBundle(), r.GetStatus()
	switch st.GetPhase() {
	case yardarmv1.RolloutPending:
		return "it is about to begin"
	case yardarmv1.RolloutCompleted:
		return "nothing; clusters that are away get it when they come back"
	case yardarmv1.RolloutRollingBack:
		if st.GetWaitsFor() == yardarmv1.RolloutWaitGate {
			return "the clusters that are frozen return once they are not" + gatesText(st)
		}
		return "the clusters that were reached return to the last revision that was good there"
	case yardarmv1.RolloutRolledBack:
		return "nothing, until a newer revision is published, or 'yardarm rollout retry bundle/" + name + "' begins this one anew"
	case yardarmv1.RolloutPaused:
		if st.GetFailure() != "" {
			return "nothing, until a newer revision is published, 'yardarm rollout retry bundle/" + name + "' or 'yardarm rollout undo bundle/" + name + "'"
		}
		return "nothing, until 'yardarm rollout resume bundle/" + name + "'"
	}
	switch st.GetWaitsFor() {
	case yardarmv1.RolloutWaitApproval:
		return "stage " + st.GetStage() + " waits for 'yardarm rollout approve bundle/" + name + "'"
	case yardarmv1.RolloutWaitConfirmation:
		return "nothing, until 'yardarm rollout approve bundle/" + name + "' confirms this: " + st.GetConfirmation()
	case yardarmv1.RolloutWaitPresence:
		return "stage " + st.GetStage() + " waits for a cluster that is there, or gets ready with it"
	case yardarmv1.RolloutWaitGate:
		return "stage " + st.GetStage() + " waits until its clusters may be changed" + gatesText(st)
	}
	return "stage " + st.GetStage() + " goes on as clusters get ready"
}
