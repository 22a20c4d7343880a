package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// problemsFlags say how much to show.
type problemsFlags struct {
	filter   string
	limit    uint32
	examples uint32
	exitCode bool
	output   string
}

func (a *app) problemsCommand() *cobra.Command {
	var f problemsFlags
	cmd := &cobra.Command{
		Use:   "problems [cluster/NAME] [bundle/NAME]",
		Short: "Show what fails in the fleet, by its cause",
		Long: `Show what fails in the fleet, by its cause: of thousands of clusters that fail for one reason, one row.
What is Failed, Degraded or Held counts, at the worst of its objects. In messages, <name>, <uid> and <n>
stand for names, uids and numbers, which differ between clusters.

Below each, what the clusters that fail have in common and the others have less: a label, a fact or the
version of their spokes. It is told if at least two clusters fail and 90 % of them have it, at least twice
as often as the others that run the same bundles, and chance would hardly have it so (Fisher's exact test,
5 % for all traits that were compared). It says what goes together, and not why.

Clusters that are not connected are counted apart, as in "12 +1?", as of when they were last heard: nobody
knows how they are now.

Before all that, bundles are named whose sources give no new revision, and why: their clusters go on with the
last good one.

With --exit-code, the exit code is 1 if something fails.`,
		Example: `  yardarm problems
  yardarm problems bundle/web --examples 10
  yardarm problems --filter env=prod,phase=failed
  yardarm problems -o json | jq -r '.problems[] | "\(.clusters) \(.reason)"'`,
		Args:              arguments(0, 4, "nothing, cluster/NAME, bundle/NAME or both"),
		ValidArgsFunction: a.completeArgs(resource.Bundle, resource.Cluster),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &hubv1.ListProblemsRequest{Filter: f.filter, Limit: f.limit, Examples: f.examples}
			if len(args) > 0 {
				var err error
				if req.Cluster, req.Bundle, err = clusterAndBundle(args); err != nil {
					return err
				}
			}
			return a.problems(cmd.Context(), req, f)
		},
	}
	cmd.Flags().StringVar(&f.filter, "filter", "", "only of assignments that match, as in 'get assignments --filter'")
	cmd.Flags().Uint32Var(&f.limit, "limit", 20, "show at most this many problems, those of the most clusters")
	cmd.Flags().Uint32Var(&f.examples, "examples", 3, "name at most this many clusters of each")
	cmd.Flags().BoolVar(&f.exitCode, "exit-code", false, "end with 1 if something fails")
	formatFlag(cmd, &f.output, formatTable, formatJSON, formatYAML)
	return cmd
}

func (a *app) problems(ctx context.Context, req *hubv1.ListProblemsRequest, f problemsFlags) error {
	if f.limit == 0 || f.examples == 0 {
		return usage("--limit and --examples must be more than 0")
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	resp, err := hub.ListProblems(ctx, req)
	if err != nil {
		return err
	}
	if f.output == formatTable {
		if req.GetCluster() == "" {
			if err := a.printSources(ctx, hub, req.GetBundle()); err != nil {
				return err
			}
		}
		err = a.printProblems(resp)
	} else {
		err = a.printMessage(f.output, resp)
	}
	if err == nil && f.exitCode && resp.GetFailingClusters() > 0 {
		return &outcome{code: ExitNo}
	}
	return err
}

func (a *app) printProblems(resp *hubv1.ListProblemsResponse) error {
	if len(resp.GetProblems()) == 0 {
		a.print("Nothing fails in %s.", plural(resp.GetClusters(), "cluster"))
		return nil
	}
	t := a.newTable("CLUSTERS", "SINCE", "PHASE", "REASON", "KIND", "BUNDLE")
	for _, p := range resp.GetProblems() {
		kind := p.GetKind()
		if kind == "" {
			kind = "-"
		}
		t.Add(table.Text(problemClusters(p)), table.Text(a.age(p.GetSince())), table.Cell{Text: p.GetPhase(), Color: phaseColor(p.GetPhase())},
			table.Text(p.GetReason()), table.Text(kind), table.Text(strings.Join(p.GetBundles(), ",")))
	}
	// Rows come with lines of text below them, and are aligned all the same.
	var rows bytes.Buffer
	if _, err := t.WriteTo(&rows); err != nil {
		return err
	}
	header, rest, _ := strings.Cut(rows.String(), "\n")
	a.print("%s", header)
	for i, row := range strings.Split(strings.TrimSuffix(rest, "\n"), "\n") {
		a.print("%s", row)
		a.printProblem(resp.GetProblems()[i])
	}
	if more := int(resp.GetTotalSize()) - len(resp.GetProblems()); more > 0 {
		a.print("and %s; --limit shows more", plural(more, "more problem"))
	}
	a.print("\nSomething fails in %d of %s.", resp.GetFailingClusters(), plural(resp.GetClusters(), "cluster"))
	return nil
}

// problemClusters is as in "12", or "12 +3?" where three more were so when they were last heard.
func problemClusters(p *hubv1.Problem) string {
	text := fmt.Sprint(p.GetClusters())
	if n := p.GetUnheardClusters(); n > 0 {
		text += fmt.Sprintf(" +%d?", n)
	}
	return text
}

// printProblem writes what is below a problem's row.
func (a *app) printProblem(p *hubv1.Problem) {
	if p.GetMessage() != "" {
		a.print("  %s", table.Clean(table.Shorten(p.GetMessage(), maxWhy)))
	}
	for _, s := range p.GetShared() {
		a.print("  %s", table.Clean(sharedText(s)))
	}
	var names []string
	for _, e := range p.GetExamples() {
		names = append(names, e.GetCluster())
	}
	text := strings.Join(compactNames(names), ", ")
	if more := int(p.GetClusters()+p.GetUnheardClusters()) - len(compactNames(names)); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	a.print("  in %s", table.Clean(text))
	if n := p.GetUnheardClusters(); n > 0 {
		a.print("  of %s it is not known now: not connected, the first not heard since %s", plural(n, "cluster"), a.at(p.GetUnheardSince()))
	}
}

// compactNames names each cluster once: several of its bundles may fail alike.
func compactNames(names []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// sharedText is as in "all 12 have provider=aws, and 3 % of the 108 others".
func sharedText(s *hubv1.SharedTrait) string {
	what := s.GetKey() + "=" + s.GetValue()
	switch s.GetType() {
	case "label":
		what = "label " + what
	case "spoke":
		what = "spoke " + s.GetValue()
	}
	who := fmt.Sprintf("all %d", s.GetFailingTotal())
	if s.GetFailing() < s.GetFailingTotal() {
		who = fmt.Sprintf("%d of %d", s.GetFailing(), s.GetFailingTotal())
	}
	return fmt.Sprintf("%s have %s, and %s of the %d others", who, what, percent(s.GetOthers(), s.GetOthersTotal()), s.GetOthersTotal())
}

// percent is a share that is told as none and as all only where it is.
func percent(part, all uint32) string {
	switch {
	case part == 0:
		return "none"
	case part == all:
		return "all"
	case 100*part < all:
		return "less than 1 %"
	}
	return fmt.Sprintf("%d %%", 100*part/all)
}
