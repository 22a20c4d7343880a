package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// filter narrows a list. The hub applies what its lists know; the rest is applied here.
type filter struct {
	selector string
	fields   string // --filter
	order    string // --sort
	group    string
	bundle   string
	cluster  string
}

func (f *filter) add(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.selector, "selector", "l", "", "only those with these labels, as in env=prod,region in (eu,us)")
	cmd.Flags().StringVar(&f.fields, "filter", "", "only those that match, by labels and fields, as in presence=stale,env=prod,name=shop-*,version<1.31")
	cmd.Flags().StringVar(&f.order, "sort", "", "in this order of fields or labels, as in \"bundles.failed desc,name\"; by name when empty")
	cmd.Flags().StringVar(&f.group, "group", "", "only clusters and assignments of this group, bundles for it")
	cmd.Flags().StringVar(&f.bundle, "bundle", "", "only revisions and assignments of this bundle")
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "only assignments of this cluster")
	complete(cmd, "group", a.completeNames(resource.Group))
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	complete(cmd, "cluster", a.completeNames(resource.Cluster))
}

// check refuses filters that a type does not have, rather than to ignore them.
func (f *filter) check(s resource.Selection) error {
	// --bundle takes bundle/web too: that is how everything else prints it.
	f.bundle = strings.TrimPrefix(f.bundle, resource.Bundle.Name+"/")
	f.cluster = strings.TrimPrefix(f.cluster, resource.Cluster.Name+"/")
	f.group = strings.TrimPrefix(f.group, resource.Group.Name+"/")
	for _, flag := range []struct {
		name, value string
		types       []resource.Type
	}{
		{"-l", f.selector, []resource.Type{resource.Cluster, resource.Group, resource.Bundle, resource.Gate}},
		{"--filter", f.fields, []resource.Type{resource.Cluster, resource.Group, resource.Bundle, resource.Revision, resource.Assignment, resource.Gate, resource.Role, resource.Binding}},
		{"--sort", f.order, []resource.Type{resource.Cluster, resource.Group, resource.Bundle, resource.Revision, resource.Assignment, resource.Gate, resource.Role, resource.Binding}},
		{"--group", f.group, []resource.Type{resource.Cluster, resource.Bundle, resource.Assignment}},
		{"--bundle", f.bundle, []resource.Type{resource.Revision, resource.Assignment}},
		{"--cluster", f.cluster, []resource.Type{resource.Assignment}},
	} {
		switch {
		case flag.value == "":
		case !slices.ContainsFunc(flag.types, s.Type.Is):
			return usage("%s does not go with %s", flag.name, s.Type.Plural)
		case len(s.Names) > 0:
			return usage("%s and names do not go together", flag.name)
		}
	}
	if _, err := selector.Parse(f.selector); err != nil {
		return usage("-l: %s", err)
	}
	return nil
}

// matcher returns what decides about each resource. It covers all filters, because watches know fewer of them than lists.
func (f filter) matcher(ctx context.Context, hub *client.Client, t resource.Type) (func(client.Object) bool, error) {
	parsed, err := selector.Parse(f.selector)
	if err != nil {
		return nil, usage("-l: %s", err)
	}
	var members map[string]bool
	if f.group != "" && t.Is(resource.Assignment) {
		members = make(map[string]bool)
		for cluster, err := range hub.Clusters(ctx, &hubv1.ListClustersRequest{Group: f.group}) {
			if err != nil {
				return nil, err
			}
			members[cluster.GetMetadata().GetName()] = true
		}
	}
	return func(object client.Object) bool {
		if !parsed.Matches(object.GetMetadata().GetLabels()) {
			return false
		}
		if f.group == "" {
			return true
		}
		switch o := object.(type) {
		case *yardarmv1.Cluster:
			return slices.Contains(o.GetStatus().GetGroups(), f.group)
		case *yardarmv1.Bundle:
			return slices.Contains(targets(o), f.group)
		case *yardarmv1.Assignment:
			return members[o.GetSpec().GetCluster()]
		}
		return true
	}, nil
}
