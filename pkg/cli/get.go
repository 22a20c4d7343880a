package cli

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// getFlags say what to get, and how to show it.
type getFlags struct {
	filter
	output string
	limit  int
	watch  bool
	types  bool // of changes, with watch
}

func (a *app) getCommand() *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "get TYPE [NAME…] | TYPE/NAME…",
		Short: "List resources",
		Long: `List resources: clusters, clustergroups (groups), bundles, revisions, assignments, strategies,
gates, roles, rolebindings, tokens, notifications and sourcecredentials.

What the hub knows of a cluster is what its spoke last reported. The column AS OF tells until when that
is known to hold; what is stale never counts as ready.`,
		Example: `  # All clusters; those with a label; those of a group
  yardarm get clusters
  yardarm get clusters -l env=prod,region!=us
  yardarm get clusters --group prod -o wide

  # Those that are away, by version; the ten with the most failed bundles
  yardarm get clusters --filter presence=stale --sort version
  yardarm get clusters --sort "bundles.failed desc" --limit 10
  yardarm get assignments --filter phase=failed,env=prod

  # How far every cluster is with a bundle, and what changes
  yardarm get assignments --bundle web -w

  # For programs
  yardarm get bundle/web -o yaml
  yardarm get clusters -o name`,
		Args:              arguments(1, -1, "a resource type, such as clusters or bundle/web"),
		ValidArgsFunction: a.completeArgs(resource.Types()...),
		RunE: func(cmd *cobra.Command, args []string) error {
			selections, err := resource.ParseArgs(args)
			if err != nil {
				return usage("%s", err)
			}
			if err := f.check(selections); err != nil {
				return err
			}
			if f.watch {
				return a.getWatch(cmd.Context(), selections[0], f)
			}
			return a.get(cmd.Context(), selections, f)
		},
	}
	f.filter.add(a, cmd)
	formatFlag(cmd, &f.output, formatTable, formatWide, formatJSON, formatYAML, formatName)
	cmd.Flags().IntVar(&f.limit, "limit", 0, "show at most this many of each type; 0 shows all")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on with every change")
	cmd.Flags().BoolVar(&f.types, "output-watch-events", false, "with -w -o json or yaml: say of each object whether it was ADDED, MODIFIED or DELETED")
	return cmd
}

// check refuses flags that do not go together.
func (f *getFlags) check(selections []resource.Selection) error {
	for _, s := range selections {
		if err := f.filter.check(s); err != nil {
			return err
		}
	}
	switch {
	case f.limit < 0:
		return usage("--limit is %d; it must not be negative", f.limit)
	case f.types && !f.watch:
		return usage("--output-watch-events needs -w")
	case !f.watch:
		return nil
	case len(selections) > 1:
		return usage("-w watches one type only")
	case f.limit > 0:
		return usage("-w and --limit do not go together")
	case f.order != "":
		return usage("-w and --sort do not go together: what changes comes as it changes")
	case selections[0].Type.Is(resource.Revision):
		return usage("revisions do not change; watch their bundle: yardarm get bundles -w")
	case slices.ContainsFunc([]resource.Type{resource.Role, resource.Binding, resource.Token, resource.Notification, resource.Strategy, resource.Credentials}, selections[0].Type.Is):
		return usage("%s cannot be watched", selections[0].Type.Plural)
	case selections[0].Type.Is(resource.Assignment) && f.group != "":
		return usage("-w watches assignments of a cluster or a bundle, not of a group")
	}
	return nil
}

func (a *app) get(ctx context.Context, selections []resource.Selection, f getFlags) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	var all []client.Object
	var missing []error
	shown := 0
	single := len(selections) == 1 && len(selections[0].Names) == 1
	for _, s := range selections {
		objects, absent, more, err := fetch(ctx, hub, s, f)
		if err != nil {
			return err
		}
		missing = append(missing, absent...)
		all = append(all, objects...)
		if more {
			a.say("there are more %s than the first %d; raise --limit to see them", s.Type.Plural, f.limit)
		}
		if f.output != formatTable && f.output != formatWide {
			continue
		}
		if len(objects) == 0 {
			if len(absent) == 0 {
				a.say("%s", none(s.Type, f.filter))
			}
			continue
		}
		v := a.newView(s.Type, f.output == formatWide)
		for _, object := range objects {
			v.add(object)
		}
		if shown++; shown > 1 {
			a.print("")
		}
		if err := a.write(v.table); err != nil {
			return err
		}
	}
	if f.output != formatTable && f.output != formatWide && (len(all) > 0 || len(missing) == 0) {
		if err := a.printObjects(f.output, all, single); err != nil {
			return err
		}
	}
	return a.all(missing)
}

// none says that there is nothing, and where things come from.
func none(t resource.Type, f filter) string {
	if f != (filter{}) {
		return fmt.Sprintf("no %s match", t.Plural)
	}
	switch {
	case t.Is(resource.Cluster):
		return "there are no clusters; 'yardarm enroll NAME' adds one"
	case t.Is(resource.Group), t.Is(resource.Role), t.Is(resource.Binding), t.Is(resource.Notification), t.Is(resource.Strategy):
		return fmt.Sprintf("there are no %s; 'yardarm apply -f FILE' makes them", t.Plural)
	case t.Is(resource.Credentials):
		return "there are no source credentials; 'yardarm credentials set NAME' makes some"
	case t.Is(resource.Gate):
		return "there are no gates; 'yardarm freeze' makes one, and 'yardarm apply -f FILE' makes windows"
	case t.Is(resource.Token):
		return "there are no tokens; 'yardarm token create NAME' makes one"
	case t.Is(resource.Assignment):
		return "there are no assignments; they follow from bundles and the groups that they target"
	}
	return fmt.Sprintf("there are no %s; 'yardarm publish DIR --bundle NAME --to GROUP' makes them", t.Plural)
}

// fetch gets what a selection names. Of several names, those that are not there come as errors beside those that are. more says that the limit has cut
// something off.
func fetch(ctx context.Context, hub *client.Client, s resource.Selection, f getFlags) (objects []client.Object, absent []error, more bool, err error) {
	if len(s.Names) > 0 {
		for _, name := range s.Names {
			object, err := fetchOne(ctx, hub, s.Type, name)
			switch {
			case isCode(err, codes.NotFound):
				absent = append(absent, err)
			case err != nil:
				return nil, nil, false, err
			default:
				objects = append(objects, object)
			}
		}
		return objects, absent, false, nil
	}
	keep := func(client.Object) bool { return true }
	if !s.Type.Is(resource.Cluster) { // of which the hub filters all
		if keep, err = f.matcher(ctx, hub, s.Type); err != nil {
			return nil, nil, false, err
		}
	}
	for object, err := range list(ctx, hub, s.Type, f) {
		if err != nil {
			return nil, nil, false, err
		}
		if !keep(object) {
			continue
		}
		if f.limit > 0 && len(objects) == f.limit {
			return objects, nil, true, nil
		}
		objects = append(objects, object)
	}
	return objects, nil, false, nil
}

// fetchOne gets a resource by its name. If there is none, the error says which was probably meant.
func fetchOne(ctx context.Context, hub *client.Client, t resource.Type, name string) (client.Object, error) {
	object, err := fetchNamed(ctx, hub, t, name)
	return object, meant(ctx, hub, t, name, err)
}

func fetchNamed(ctx context.Context, hub *client.Client, t resource.Type, name string) (client.Object, error) {
	switch {
	case t.Is(resource.Cluster):
		return object(hub.GetCluster(ctx, &hubv1.GetClusterRequest{Name: name}))
	case t.Is(resource.Group):
		return object(hub.GetClusterGroup(ctx, &hubv1.GetClusterGroupRequest{Name: name}))
	case t.Is(resource.Bundle):
		return object(hub.GetBundle(ctx, &hubv1.GetBundleRequest{Name: name}))
	case t.Is(resource.Revision):
		bundle, number, err := splitRevision(name)
		if err != nil {
			return nil, err
		}
		return object(hub.GetRevision(ctx, &hubv1.GetRevisionRequest{Bundle: bundle, Number: number}))
	case t.Is(resource.Strategy):
		return object(hub.GetStrategy(ctx, &hubv1.GetStrategyRequest{Name: name}))
	case t.Is(resource.Gate):
		return object(hub.GetGate(ctx, &hubv1.GetGateRequest{Name: name}))
	case t.Is(resource.Role):
		return object(hub.GetRole(ctx, &hubv1.GetRoleRequest{Name: name}))
	case t.Is(resource.Binding):
		return object(hub.GetRoleBinding(ctx, &hubv1.GetRoleBindingRequest{Name: name}))
	case t.Is(resource.Notification):
		return object(hub.GetNotification(ctx, &hubv1.GetNotificationRequest{Name: name}))
	case t.Is(resource.Credentials):
		return object(hub.GetSourceCredentials(ctx, &hubv1.GetSourceCredentialsRequest{Name: name}))
	case t.Is(resource.Token):
		return object(hub.GetToken(ctx, &hubv1.GetTokenRequest{Name: name}))
	}
	cluster, bundle, err := splitAssignment(name)
	if err != nil {
		return nil, err
	}
	return object(hub.GetAssignment(ctx, &hubv1.GetAssignmentRequest{Cluster: cluster, Bundle: bundle}))
}

// list lists a type, as far as the hub itself filters.
func list(ctx context.Context, hub *client.Client, t resource.Type, f getFlags) iter.Seq2[client.Object, error] {
	page := uint32(client.PageSize)
	if f.limit > 0 && f.limit < client.PageSize {
		page = uint32(f.limit) + 1 // one more tells whether there are more
	}
	switch {
	case t.Is(resource.Cluster):
		return objectsOf(hub.Clusters(ctx, &hubv1.ListClustersRequest{PageSize: page, Selector: f.selector, Group: f.group, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Group):
		return objectsOf(hub.ClusterGroups(ctx, &hubv1.ListClusterGroupsRequest{PageSize: page, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Bundle):
		return objectsOf(hub.Bundles(ctx, &hubv1.ListBundlesRequest{PageSize: page, Selector: f.selector, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Assignment):
		return objectsOf(hub.Assignments(ctx, &hubv1.ListAssignmentsRequest{PageSize: page, Cluster: f.cluster, Bundle: f.bundle, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Strategy):
		return objectsOf(hub.Strategies(ctx, &hubv1.ListStrategiesRequest{PageSize: page, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Gate):
		return objectsOf(hub.Gates(ctx, &hubv1.ListGatesRequest{PageSize: page, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Role):
		return objectsOf(hub.Roles(ctx, &hubv1.ListRolesRequest{PageSize: page, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Binding):
		return objectsOf(hub.RoleBindings(ctx, &hubv1.ListRoleBindingsRequest{PageSize: page, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Notification):
		return objectsOf(hub.Notifications(ctx, &hubv1.ListNotificationsRequest{PageSize: page, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Credentials):
		return objectsOf(hub.AllSourceCredentials(ctx, &hubv1.ListSourceCredentialsRequest{PageSize: page, Filter: f.fields, OrderBy: f.order}))
	case t.Is(resource.Token):
		return objectsOf(hub.Tokens(ctx, &hubv1.ListTokensRequest{PageSize: page, Filter: f.fields, OrderBy: f.order}))
	case f.bundle != "":
		return objectsOf(hub.Revisions(ctx, &hubv1.ListRevisionsRequest{PageSize: page, Bundle: f.bundle, Filter: f.fields, OrderBy: f.order}))
	}
	// Revisions of all bundles.
	return func(yield func(client.Object, error) bool) {
		for bundle, err := range hub.Bundles(ctx, &hubv1.ListBundlesRequest{}) {
			if err != nil {
				yield(nil, err)
				return
			}
			for revision, err := range hub.Revisions(ctx, &hubv1.ListRevisionsRequest{
				PageSize: page, Bundle: bundle.GetMetadata().GetName(), Filter: f.fields, OrderBy: f.order}) {
				if !yield(revision, err) || err != nil {
					return
				}
			}
		}
	}
}

// object keeps a nil pointer from becoming an Object.
func object[T client.Object](got T, err error) (client.Object, error) {
	if err != nil {
		return nil, err
	}
	return got, nil
}

func objectsOf[T client.Object](list iter.Seq2[T, error]) iter.Seq2[client.Object, error] {
	return func(yield func(client.Object, error) bool) {
		for got, err := range list {
			if !yield(object(got, err)) {
				return
			}
		}
	}
}

// isCode tells whether the hub answered with a code.
func isCode(err error, code codes.Code) bool {
	rpc, ok := statusOf(err)
	return ok && rpc.Code() == code
}

// getWatch shows what there is, and then every change.
func (a *app) getWatch(ctx context.Context, s resource.Selection, f getFlags) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	keep, err := f.matcher(ctx, hub, s.Type)
	if err != nil {
		return err
	}
	w := &watchView{app: a, flags: f, kind: s.Type, names: s.Names, keep: keep, shown: make(map[string]string)}
	w.view = a.newView(s.Type, f.output == formatWide)
	req := &hubv1.WatchRequest{Kind: s.Type.Kind, Cluster: f.cluster, Bundle: f.bundle, Filter: f.fields}
	if len(s.Names) == 1 {
		req.Name = s.Names[0]
		// The answer for a name that is not there is an error at once, as without -w, rather than silence.
		if _, err := fetchOne(ctx, hub, s.Type, req.Name); err != nil {
			return err
		}
	}
	for change, err := range hub.Watch(ctx, req, a.followOptions()) {
		if err == nil {
			err = w.handle(change)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
