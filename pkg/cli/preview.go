package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func (a *app) previewCommand() *cobra.Command {
	var cluster, output string
	cmd := &cobra.Command{
		Use:   "preview bundle/NAME --cluster CLUSTER",
		Short: "Show the objects that a cluster gets of a bundle, customized for it",
		Long: `Show the objects that a cluster gets of a bundle, customized for it, in the order in which they are
applied. The hub makes them as the cluster's spoke does: from the cluster's name, its labels and the facts
that were last reported.

Standard error says, in comments, which revision it is, its digest, and whether the cluster says that it
has applied the same. Where a value is missing, it says which file, object, field and
expression lack it.

Objects without a namespace are applied in that of the bundle (delivery.namespace). Values of Secrets are shown.

Exit codes: 0 shown, whether or not the cluster has the same; 1 it cannot be customized, or the cluster is
not to run the bundle; 2 error.`,
		Example: `  yardarm preview bundle/web --cluster eu-1
  yardarm preview bundle/web --cluster eu-1 -o name
  diff <(yardarm preview bundle/web --cluster eu-1) <(yardarm preview bundle/web --cluster us-1)`,
		Args:              arguments(1, 2, "bundle/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle),
		RunE: func(cmd *cobra.Command, args []string) error {
			bundle, err := oneBundle(args)
			if err != nil {
				return err
			}
			cluster = strings.TrimPrefix(cluster, resource.Cluster.Name+"/")
			if cluster == "" {
				return usage("name the cluster: --cluster CLUSTER")
			}
			return a.preview(cmd.Context(), &hubv1.PreviewAssignmentRequest{Cluster: cluster, Bundle: bundle}, output)
		},
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "in this cluster")
	formatFlag(cmd, &output, formatYAML, formatJSON, formatName)
	complete(cmd, "cluster", a.completeNames(resource.Cluster))
	return cmd
}

func (a *app) preview(ctx context.Context, req *hubv1.PreviewAssignmentRequest, format string) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	p, set, err := hub.Preview(ctx, req)
	if err != nil {
		return err
	}
	a.say("# bundle/%s revision %d in cluster/%s", p.GetBundle(), p.GetRevision(), p.GetCluster())
	if p.GetRenderedDigest() == p.GetDigest() {
		a.say("# digest %s, as published", p.GetDigest())
	} else {
		a.say("# digest %s, customized from %s", p.GetRenderedDigest(), p.GetDigest())
	}
	a.say("# %s", a.agreement(p))
	return a.printManifests(format, set)
}

// agreement says whether a cluster has what a preview shows.
func (a *app) agreement(p *hubv1.Preview) string {
	switch {
	case p.GetReportedDigest() == "":
		return "the cluster has not reported to have applied anything of the bundle"
	case p.GetSame():
		return fmt.Sprintf("the cluster has applied the same, as of %s", a.ago(p.GetAsOf()))
	case p.GetCurrent():
		return fmt.Sprintf("the cluster has applied something else, as of %s: %s; 'yardarm describe assignment %s.%s' says how far it is",
			a.ago(p.GetAsOf()), p.GetReportedDigest(), p.GetCluster(), p.GetBundle())
	}
	return fmt.Sprintf("the cluster has not reported on this yet; as of %s, it has applied %s", a.ago(p.GetAsOf()), p.GetReportedDigest())
}

// printManifests writes objects for a cluster in the order of apply: YAML documents, a JSON List as kubectl takes it, or names.
func (a *app) printManifests(format string, set *manifest.Set) error {
	items := []manifest.Object{} // a List without objects has a list all the same
	for _, stage := range set.Stages() {
		items = append(items, stage.Objects...)
	}
	if format == formatJSON {
		return a.printValue(format, map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	}
	for i, object := range items {
		switch {
		case format == formatName:
			a.print("%s", object.Ref())
			continue
		case i > 0:
			a.print("---")
		}
		if err := a.printValue(format, object); err != nil {
			return err
		}
	}
	return nil
}
