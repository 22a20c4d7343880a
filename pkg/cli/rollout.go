package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (a *app) rolloutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout VERB bundle/NAME",
		Short: "See how a revision goes through its clusters, steer it, or return to an earlier one",
		Long: `See how a bundle's latest revision goes through its clusters, steer it, or return to an earlier one.

A revision goes stage by stage, by the strategy that the bundle says (spec.rollout). Where it says nothing:
one canary first (a cluster labelled yardarm.dev/canary=true, if there is one), of which no failure is
tolerated; then until 10 % of the clusters have it; then the rest, a quarter of a stage at a time. A cluster
counts once it is ready with just this revision. If more fail than may (2 %, and at least one), every
cluster that was reached returns to the last revision that was good there. Clusters that are away hold
nothing up; they get it when they come back, and those that were failing before do not count.

Gates hold a revision back whatever its stages allow: freezes and windows of time ('yardarm freeze --help').`,
		Example: `  yardarm rollout status bundle/web
  yardarm rollout approve bundle/web -m "looks good"
  yardarm rollout undo bundle/web --to-revision 3

  # A strategy, in a bundle that 'yardarm apply' takes
  spec:
    rollout:
      onFailure: rollback         # or pause
      stages:
      - {name: test, group: test, soak: 10m}
      - {name: early, percent: 10, failureBudget: "0", approval: after}
      - {name: rest, concurrency: "50", orderBy: region, progressDeadline: 30m}

  # The same for several bundles, which say 'rollout: {strategy: careful}'
  apiVersion: yardarm.dev/v1
  kind: Strategy
  metadata: {name: careful}
  spec: {stages: [{name: test, group: test, soak: 10m}, {name: rest}]}`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("say what: status, watch, pause, resume, approve, promote, retry, override, undo or history; 'yardarm rollout --help' tells more")
		},
	}
	cmd.AddCommand(a.rolloutStatusCommand(), a.rolloutWatchCommand(), a.undoCommand(), a.historyCommand())
	for _, verb := range steering {
		cmd.AddCommand(a.steerCommand(verb))
	}
	return cmd
}

func (a *app) undoCommand() *cobra.Command {
	var to uint32
	var wait, dryRun bool
	var waiting waitFlags
	var output string
	cmd := &cobra.Command{
		Use:   "undo bundle/NAME",
		Short: "Return to an earlier revision, by making a new one with its content",
		Long: `Return to an earlier revision of a bundle. This makes a new revision with the content of that one, so that
history only grows. Where the current revision is an undo itself, the one before it is what was taken back: then
--to-revision has to say which one is meant. --wait and -o are as with 'yardarm publish'.

` + exitHelp(),
		Example: `  yardarm rollout undo bundle/web
  yardarm rollout undo bundle/web --to-revision 3 --wait --timeout 2m`,
		Args:              arguments(1, 2, "bundle/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := oneBundle(args)
			if err != nil {
				return err
			}
			if wait && dryRun {
				return usage("--wait and --dry-run do not go together")
			}
			if cmd.Flags().Changed("to-revision") && to == 0 {
				return usage("--to-revision is 0; revisions count from 1, and 'yardarm rollout history bundle/%s' lists them", name)
			}
			if err := checkPublished(output, wait, &waiting); err != nil {
				return err
			}
			hub, err := a.connect()
			if err != nil {
				return err
			}
			if to == 0 {
				if err := a.checkUndo(cmd.Context(), hub, name); err != nil {
					return err
				}
			}
			resp, err := hub.UndoRollout(cmd.Context(), &hubv1.UndoRolloutRequest{Bundle: name, ToRevision: to, DryRun: dryRun})
			if err != nil {
				return err
			}
			return a.published(cmd.Context(), resp, output, dryRun, wait, waiting)
		},
	}
	cmd.Flags().Uint32Var(&to, "to-revision", 0, "the revision to return to; by default the one before the current one")
	dryRunFlag(cmd, &dryRun)
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is ready in all clusters")
	waiting.add(cmd)
	formatFlag(cmd, &output, formatTable, formatJSON, formatYAML, formatName, formatJUnit)
	complete(cmd, "to-revision", a.completeRevisions)
	return cmd
}

// offeredRevisions is how many revisions are offered where one has to be named.
const offeredRevisions = 10

// checkUndo refuses to undo an undo unless a revision is named: the one before it is what somebody has just taken back.
func (a *app) checkUndo(ctx context.Context, hub *client.Client, name string) error {
	bundle, err := hub.GetBundle(ctx, &hubv1.GetBundleRequest{Name: name})
	if err != nil || bundle.GetStatus().GetLatestRevision() == 0 {
		return err // the hub says what is wrong with undoing nothing
	}
	current, undo := bundle.GetStatus().GetLatestRevision(), uint32(0)
	var b strings.Builder
	listed := 0
	for r, err := range hub.Revisions(ctx, &hubv1.ListRevisionsRequest{Bundle: name, PageSize: offeredRevisions + 1}) {
		if err != nil {
			return err
		}
		switch spec := r.GetSpec(); {
		case spec.GetNumber() > current:
			continue
		case spec.GetNumber() == current:
			if undo = spec.GetProvenance().GetUndoOf(); undo == 0 {
				return nil
			}
			continue
		default:
			fmt.Fprintf(&b, "\n%d  %s  %s ago  %s", spec.GetNumber(), revisionDigest(spec), a.age(revisionTime(r)), cmp.Or(revisionMessage(r), "-"))
		}
		if listed++; listed == offeredRevisions {
			break
		}
	}
	if undo == 0 {
		return nil
	}
	return failed("bundle/%s revision %d is an undo itself: it has returned to revision %d. Say with --to-revision which one to return to now:%s", name, current, undo, b.String())
}

func (a *app) historyCommand() *cobra.Command {
	var limit int
	var output string
	cmd := &cobra.Command{
		Use:   "history bundle/NAME",
		Short: "List a bundle's revisions, newest first, with who made them and why",
		Example: `  yardarm rollout history bundle/web
  yardarm rollout history bundle/web --limit 5`,
		Args:              arguments(1, 2, "bundle/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := oneBundle(args)
			if err != nil {
				return err
			}
			return a.history(cmd.Context(), name, limit, output)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "show at most this many; 0 shows all")
	formatFlag(cmd, &output, formatTable, formatJSON, formatYAML, formatName)
	return cmd
}

// oneBundle reads bundle/NAME, bundle NAME or, since nothing else can be meant, NAME.
func oneBundle(args []string) (string, error) {
	if len(args) == 1 && !strings.Contains(args[0], "/") {
		return args[0], nil
	}
	_, name, err := one(args, resource.Bundle)
	return name, err
}

func (a *app) history(ctx context.Context, name string, limit int, output string) error {
	if limit < 0 {
		return usage("--limit is %d; it must not be negative", limit)
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	bundle, err := hub.GetBundle(ctx, &hubv1.GetBundleRequest{Name: name})
	if err != nil {
		return err
	}
	var f getFlags
	f.bundle, f.limit = name, limit
	objects, _, more, err := fetch(ctx, hub, resource.Selection{Type: resource.Revision}, f)
	if err != nil {
		return err
	}
	if more {
		a.say("there are more revisions than these %d; raise --limit to see them", limit)
	}
	if output != formatTable {
		return a.printObjects(output, objects, false)
	}
	if len(objects) == 0 {
		a.say("bundle/%s has no revision yet; 'yardarm publish DIR --bundle %s' makes one", name, name)
		return nil
	}
	return a.printHistory(bundle, objects)
}

func (a *app) printHistory(bundle *yardarmv1.Bundle, revisions []client.Object) error {
	t := a.newTable("REVISION", "DIGEST", "OBJECTS", "BY", "AGE", "COMMIT", "MESSAGE")
	for _, object := range revisions {
		r, ok := object.(*yardarmv1.Revision)
		if !ok {
			continue
		}
		t.Add(historyRow(a, bundle, r)...)
	}
	return a.write(t)
}
