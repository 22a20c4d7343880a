package cli

import (
	"context"
	"iter"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// maxCompared is how many names are looked through for one that was meant: a page of a list.
const maxCompared = client.PageSize

// notFound is what the hub answers for a name that is not there, with one that is like it.
type notFound struct {
	error
	meant string
}

func (e *notFound) Unwrap() error { return e.error }

// meant adds to an error about a name that is not there what was probably meant. Whatever goes wrong on the way, the error stays as it is.
func meant(ctx context.Context, hub *client.Client, t resource.Type, name string, err error) error {
	if !isCode(err, codes.NotFound) {
		return err
	}
	var names iter.Seq[string]
	switch {
	case t.Is(resource.Cluster):
		names = namesIn(hub.Clusters(ctx, &hubv1.ListClustersRequest{}))
	case t.Is(resource.Group):
		names = namesIn(hub.ClusterGroups(ctx, &hubv1.ListClusterGroupsRequest{}))
	case t.Is(resource.Bundle):
		names = namesIn(hub.Bundles(ctx, &hubv1.ListBundlesRequest{}))
	case t.Is(resource.Strategy):
		names = namesIn(hub.Strategies(ctx, &hubv1.ListStrategiesRequest{}))
	case t.Is(resource.Gate):
		names = namesIn(hub.Gates(ctx, &hubv1.ListGatesRequest{}))
	case t.Is(resource.Role):
		names = namesIn(hub.Roles(ctx, &hubv1.ListRolesRequest{}))
	case t.Is(resource.Binding):
		names = namesIn(hub.RoleBindings(ctx, &hubv1.ListRoleBindingsRequest{}))
	case t.Is(resource.Notification):
		names = namesIn(hub.Notifications(ctx, &hubv1.ListNotificationsRequest{}))
	case t.Is(resource.Credentials):
		names = namesIn(hub.AllSourceCredentials(ctx, &hubv1.ListSourceCredentialsRequest{}))
	case t.Is(resource.Token):
		names = namesIn(hub.Tokens(ctx, &hubv1.ListTokensRequest{}))
	default:
		return err
	}
	if like := resource.Closest(name, names); like != "" {
		return &notFound{err, like}
	}
	return err
}

func namesIn[T client.Object](list iter.Seq2[T, error]) iter.Seq[string] {
	return func(yield func(string) bool) {
		n := 0
		for object, err := range list {
			if n++; err != nil || n > maxCompared || !yield(object.GetMetadata().GetName()) {
				return
			}
		}
	}
}
