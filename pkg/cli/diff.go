package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func (a *app) diffCommand() *cobra.Command {
	var f publishFlags
	var trial trialFlags
	cmd := &cobra.Command{
		Use:   "diff DIR|CHART --bundle NAME",
		Short: "Show what publishing a directory would change, and in how many clusters",
		Long: `Show what publishing a directory of manifests would change, and in how many clusters: which objects are
added, changed and pruned, with the fields, from what is assigned to each cluster now to what would be, each
customized for the cluster. Clusters in which the same changes are shown once, group by group. The stages that the
revision would take follow, as things are now: how many clusters each has, which go first, how many at a time,
how many may fail, and what would hold them. Nothing is changed.

A kustomization is built first, and a chart rendered, as 'yardarm render' shows. Values of Secrets are
never shown. It takes a role that may see manifests. Where more than 100 clusters are
each customized in a way of their own, the others are only counted.

That is what the hub knows. With --server-side, connected clusters try the revision as well, at most 50 at
once: their spokes have their API servers make a dry run of what would be applied, as whom it would be
applied. So admission webhooks, policies, quotas, immutable fields and missing rights have their say, and the
fields are compared with those of the live objects. Nothing is changed, neither in the clusters nor by
their spokes. A cluster that is not connected, or whose spoke is too old for it, is told as such.

Exit codes: 0 nothing changes; 1 something does; 2 error, and with --server-side: some cluster would refuse
it, or none could say.`,
		Example: `  yardarm diff ./web --bundle web
  yardarm diff ./web --bundle web --to prod,staging
  yardarm diff ./web --bundle web --server-side --cluster eu-1,us-1
  yardarm diff ./web --bundle web --server-side -l env=staging
  yardarm diff ./web --bundle web -o json | jq '.diff.parts[].clusters'`,
		Args: arguments(1, 1, "the directory to compare"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.trial, err = trial.request(); err != nil {
				return err
			}
			return a.diff(cmd.Context(), args[0], &f)
		},
	}
	cmd.Flags().StringVarP(&f.bundle, "bundle", "b", "", "the bundle that it would be a revision of (required)")
	cmd.Flags().StringSliceVar(&f.groups, "to", nil, "clustergroups that the bundle would be for, separated by commas")
	trial.add(a, cmd)
	f.render.add(cmd)
	formatFlag(cmd, &f.output, formatTable, formatJSON, formatYAML)
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	complete(cmd, "to", a.completeNames(resource.Group))
	return cmd
}

func (a *app) diff(ctx context.Context, dir string, f *publishFlags) error {
	f.dryRun, f.diff = true, true
	resp, err := a.upload(ctx, dir, f)
	if err != nil {
		// 1 says that something changes.
		return &outcome{ExitError, a.inFlags(err, publicationField, publicationFlags)}
	}
	if f.trial != nil && resp.GetTrial() == nil {
		return &outcome{ExitError, errors.New("the hub is older than this program, and has no cluster try anything: upgrade it, or leave --server-side out")}
	}
	for _, warning := range resp.GetWarnings() {
		a.warn("%s", warning)
	}
	show := func() error { return a.printMessage(f.output, resp) }
	if f.output == formatTable {
		show = func() error { return a.printDiff(resp) }
	}
	if err := show(); err != nil {
		return err
	}
	code := ExitYes
	if d := resp.GetDiff(); len(d.GetParts()) > 0 || d.GetNotCompared() > 0 {
		code = ExitNo
	}
	if f.trial != nil {
		code = max(code, trialCode(resp.GetTrial()))
	}
	if code != ExitYes {
		return &outcome{code: code}
	}
	return nil
}

// printDiff writes what changes, the same in a publication's dry run.
func (a *app) printDiff(resp *hubv1.PublishRevisionResponse) error {
	a.print("%s", publishedText(resp, true))
	d := resp.GetDiff()
	for _, p := range d.GetParts() {
		a.print("\n%s", table.Clean(diffHead(p)))
		if p.GetProblem() != "" {
			a.print("  ! %s", table.Clean(p.GetProblem()))
		}
		for _, o := range p.GetObjects() {
			a.printObjectDiff(o)
		}
		if n := p.GetMoreObjects(); n > 0 {
			a.print("  … and %s", plural(n, "more object"))
		}
	}
	if len(d.GetParts()) > 0 && d.GetUnchanged()+d.GetNotCompared() > 0 {
		a.print("")
	}
	if n := d.GetUnchanged(); n > 0 || len(d.GetParts()) == 0 {
		a.print("Nothing changes in %s.", plural(n, "cluster"))
	}
	if n := d.GetNotCompared(); n > 0 {
		a.print("%s not compared: too many are customized each in a way of its own.", plural(n, "cluster"))
	}
	if err := a.printPlan(resp.GetPlan()); err != nil || resp.GetTrial() == nil {
		return err
	}
	a.printTrial(resp.GetTrial())
	return nil
}

// diffHead is as in "12 clusters of group prod: 1 added, 2 changed, 0 pruned (eu-1, eu-2, eu-3…)".
func diffHead(p *hubv1.DiffPart) string {
	text := plural(p.GetClusters(), "cluster")
	if p.GetGroup() == "" {
		text += " that the bundle leaves"
	} else {
		text += " of group " + p.GetGroup()
	}
	text += fmt.Sprintf(": %d added, %d changed, %d pruned", p.GetAdded(), p.GetChanged(), p.GetPruned())
	if names := strings.Join(p.GetExamples(), ", "); names != "" {
		if len(p.GetExamples()) < int(p.GetClusters()) {
			names += "…"
		}
		text += " (" + names + ")"
	}
	return text
}

func (a *app) printObjectDiff(o *hubv1.ObjectDiff) {
	sign, color := "~", table.Yellow
	switch o.GetAction() {
	case "added":
		sign, color = "+", table.Green
	case "pruned":
		sign, color = "-", table.Red
	}
	a.print("  %s %s", table.Paint(sign, color, a.colors()), table.Clean(o.GetObject()))
	for _, f := range o.GetFields() {
		a.printField(f.GetPath(), f.GetBefore(), f.GetAfter())
	}
	if n := o.GetMoreFields(); n > 0 {
		a.print("      … and %s", plural(n, "more field"))
	}
}

func (a *app) printField(path, before, after string) {
	a.print("      %s: %s → %s", table.Clean(path), table.Clean(cmp.Or(before, "(none)")), table.Clean(cmp.Or(after, "(none)")))
}
