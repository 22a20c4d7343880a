package cli

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	// completionTimeout bounds the calls behind one press of the tab key.
	completionTimeout = 2 * time.Second
	// maxCompletions is how many names are offered; nobody reads more.
	maxCompletions = 200
)

// completer offers words for what has been typed.
type completer = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// complete sets the completion of a flag, which has to exist.
func complete(cmd *cobra.Command, flag string, f completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag is not there: a mistake in this package
	}
}

// words offers a fixed list.
func words(list ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	file, _, err := a.loadConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, context := range file.Contexts {
		names = append(names, context.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeNames offers the names of a type's resources.
func (a *app) completeNames(t resource.Type) completer {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return a.names(cmd, t, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeRevisions offers the numbers of the revisions of the bundle that is the argument, newest first, with what they are about.
func (a *app) completeRevisions(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	name, err := oneBundle(args)
	if len(args) == 0 || err != nil {
		return nil, directive
	}
	hub, err := a.connect()
	if err != nil {
		return nil, directive
	}
	ctx, cancel := completionContext(cmd)
	defer cancel()
	var offers []string
	for r, err := range hub.Revisions(ctx, &hubv1.ListRevisionsRequest{Bundle: name}) {
		if err != nil || len(offers) == maxCompletions {
			break
		}
		if number := fmt.Sprint(r.GetSpec().GetNumber()); strings.HasPrefix(number, typed) {
			offers = append(offers, cobra.CompletionWithDesc(number, table.Clean(revisionMessage(r))))
		}
	}
	return offers, directive
}

// completionContext bounds what a completion asks the hub.
func completionContext(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background() // cobra completes without one
	}
	return context.WithTimeout(ctx, completionTimeout)
}

// completeArgs offers TYPE NAME… and TYPE/NAME for commands that take these types.
func (a *app) completeArgs(types ...resource.Type) completer {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !strings.Contains(args[0], "/") {
			t, err := resource.ParseType(args[0])
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.names(cmd, t, typed), cobra.ShellCompDirectiveNoFileComp
		}
		word, rest, slash := strings.Cut(typed, "/")
		if !slash {
			var names []string
			for _, t := range types {
				names = append(names, t.Plural)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		}
		t, err := resource.ParseType(word)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, name := range a.names(cmd, t, rest) {
			names = append(names, word+"/"+name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeClusters is completeArgs for commands that take names of clusters without their type too.
func (a *app) completeClusters(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	offers, directive := a.completeArgs(resource.Cluster)(cmd, args, typed)
	if len(args) > 0 || strings.Contains(typed, "/") {
		return offers, directive
	}
	offers = slices.DeleteFunc(offers, func(word string) bool { return !strings.HasPrefix(word, typed) })
	return append(offers, a.names(cmd, resource.Cluster, typed)...), directive
}

// names asks the hub for names that begin with what was typed. Whatever goes wrong, it offers nothing: a shell has no place for errors.
func (a *app) names(cmd *cobra.Command, t resource.Type, typed string) []string {
	hub, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := completionContext(cmd)
	defer cancel()
	switch {
	case t.Is(resource.Cluster):
		return beginning(typed, hub.Clusters(ctx, &hubv1.ListClustersRequest{}))
	case t.Is(resource.Group):
		return beginning(typed, hub.ClusterGroups(ctx, &hubv1.ListClusterGroupsRequest{}))
	case t.Is(resource.Bundle):
		return beginning(typed, hub.Bundles(ctx, &hubv1.ListBundlesRequest{}))
	case t.Is(resource.Assignment):
		return beginning(typed, hub.Assignments(ctx, &hubv1.ListAssignmentsRequest{}))
	case t.Is(resource.Strategy):
		return beginning(typed, hub.Strategies(ctx, &hubv1.ListStrategiesRequest{}))
	case t.Is(resource.Gate):
		return beginning(typed, hub.Gates(ctx, &hubv1.ListGatesRequest{}))
	case t.Is(resource.Role):
		return beginning(typed, hub.Roles(ctx, &hubv1.ListRolesRequest{}))
	case t.Is(resource.Binding):
		return beginning(typed, hub.RoleBindings(ctx, &hubv1.ListRoleBindingsRequest{}))
	case t.Is(resource.Notification):
		return beginning(typed, hub.Notifications(ctx, &hubv1.ListNotificationsRequest{}))
	case t.Is(resource.Credentials):
		return beginning(typed, hub.AllSourceCredentials(ctx, &hubv1.ListSourceCredentialsRequest{}))
	case t.Is(resource.Token):
		return beginning(typed, hub.Tokens(ctx, &hubv1.ListTokensRequest{}))
	}
	return nil
}

func beginning[T client.Object](typed string, list iter.Seq2[T, error]) []string {
	var names []string
	for object, err := range list {
		if err != nil || len(names) == maxCompletions {
			break
		}
		if name := object.GetMetadata().GetName(); strings.HasPrefix(name, typed) {
			names = append(names, name)
		}
	}
	return names
}
