package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func (a *app) labelCommand() *cobra.Command {
	req := &hubv1.LabelClusterRequest{}
	var output string
	cmd := &cobra.Command{
		Use:   "label NAME | cluster NAME… KEY=VALUE… KEY-…",
		Short: "Set and remove labels of clusters",
		Long: `Set and remove labels of clusters. Labels decide which groups a cluster belongs to, and so what it runs:
a cluster that leaves a group loses the bundles that only this group gave it.`,
		Example: `  yardarm label eu-1 env=prod
  yardarm label cluster eu-1 eu-2 tier=gold --overwrite
  yardarm label cluster/eu-1 canary-
  yardarm label eu-1 env=prod --dry-run     # which groups would it join and leave?`,
		Args:              arguments(2, -1, "a cluster and labels, as in cluster eu-1 env=prod"),
		ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.label(cmd.Context(), args, req, output)
		},
	}
	cmd.Flags().BoolVar(&req.Overwrite, "overwrite", false, "change labels that have another value")
	dryRunFlag(cmd, &req.DryRun)
	formatFlag(cmd, &output, formatTable, formatJSON, formatYAML, formatName)
	return cmd
}

// label changes the labels of the clusters that args name, as req says otherwise.
func (a *app) label(ctx context.Context, args []string, req *hubv1.LabelClusterRequest, output string) error {
	// Names come first; no name has = in it or - at its end.
	first := slices.IndexFunc(args, func(arg string) bool { return strings.Contains(arg, "=") || strings.HasSuffix(arg, "-") })
	if first < 0 {
		return usage("there are no labels in it; give KEY=VALUE to set one and KEY- to remove one")
	}
	named := args[:first]
	if len(named) == 1 && bareName(named[0]) { // only clusters are labelled here
		named = []string{resource.Cluster.Name, named[0]}
	}
	selections, err := some(named, resource.Cluster)
	if err != nil {
		return err
	}
	req.Set, req.Remove, err = labelChanges(args[first:])
	if err != nil {
		return err
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	var refused []error
	for _, name := range selections[0].Names {
		before, err := hub.GetCluster(ctx, &hubv1.GetClusterRequest{Name: name})
		if err != nil {
			refused = append(refused, err)
			continue
		}
		req.Name = name
		after, err := hub.LabelCluster(ctx, req)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		if output != formatTable {
			if output == formatName {
				a.print("%s", typeName(after))
			} else if err := a.printMessage(output, after); err != nil {
				return err
			}
			continue
		}
		if maps.Equal(before.GetMetadata().GetLabels(), after.GetMetadata().GetLabels()) {
			a.print("%s not changed", typeName(after))
			continue
		}
		a.print("%s labeled%s", typeName(after), dryNote(req.DryRun))
		a.sayMoves(before.GetStatus().GetGroups(), after.GetStatus().GetGroups(), req.DryRun)
	}
	return a.all(refused)
}

// sayMoves tells which groups a cluster has left and joined: that is what labels are changed for.
func (a *app) sayMoves(before, after []string, dryRun bool) {
	var moves []string
	for _, group := range after {
		if !slices.Contains(before, group) {
			moves = append(moves, "joined "+group)
		}
	}
	for _, group := range before {
		if !slices.Contains(after, group) {
			moves = append(moves, "left "+group)
		}
	}
	if len(moves) > 0 {
		a.say("it %s%s", strings.Join(moves, ", "), dryNote(dryRun))
	}
}

func labelChanges(args []string) (set map[string]string, remove []string, err error) {
	set = make(map[string]string)
	for _, arg := range args {
		key, value, isSet := strings.Cut(arg, "=")
		if isSet {
			if before, twice := set[key]; twice && before != value {
				return nil, nil, usage("label %s is given twice, as %q and %q", key, before, value)
			}
			set[key] = value
			continue
		}
		key, removes := strings.CutSuffix(arg, "-")
		if !removes {
			return nil, nil, usage("%q is neither KEY=VALUE nor KEY-; names come before labels", arg)
		}
		if err := selector.ValidateKey(key); err != nil {
			return nil, nil, usage("%s", err)
		}
		remove = append(remove, key)
	}
	for _, key := range remove {
		if _, both := set[key]; both {
			return nil, nil, usage("label %s is both set and removed", key)
		}
	}
	if err := selector.ValidateLabels(set); err != nil {
		return nil, nil, usage("%s", err)
	}
	return set, remove, nil
}

// all reports errors of several resources: all but the last here, the last as the command's own.
func (a *app) all(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	last := len(errs) - 1
	for _, err := range errs[:last] {
		a.say("error: %s", firstLine(a.explain(err)))
	}
	return errs[last]
}

func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text
}
