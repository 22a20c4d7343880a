package client

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// PageSize is how many items a list asks for at once where the request says nothing: few enough for a first screen without a wait, many
// enough that ten thousand take twenty calls.
const PageSize = 500

// Clusters lists clusters, page by page as they are consumed. It ends with the first error. The request is not changed.
func (c *Client) Clusters(ctx context.Context, req *hubv1.ListClustersRequest) iter.Seq2[*yardarmv1.Cluster, error] {
	return func(yield func(*yardarmv1.Cluster, error) bool) {
		page := &hubv1.ListClustersRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListClusters, page, (*hubv1.ListClustersResponse).GetClusters, func(token string) { page.PageToken = token }, yield)
	}
}

// ClusterGroups lists groups as [Client.Clusters] lists clusters.
func (c *Client) ClusterGroups(ctx context.Context, req *hubv1.ListClusterGroupsRequest) iter.Seq2[*yardarmv1.ClusterGroup, error] {
	return func(yield func(*yardarmv1.ClusterGroup, error) bool) {
		page := &hubv1.ListClusterGroupsRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListClusterGroups, page, (*hubv1.ListClusterGroupsResponse).GetClusterGroups, func(token string) { page.PageToken = token }, yield)
	}
}

// Bundles lists bundles as [Client.Clusters] lists clusters.
func (c *Client) Bundles(ctx context.Context, req *hubv1.ListBundlesRequest) iter.Seq2[*yardarmv1.Bundle, error] {
	return func(yield func(*yardarmv1.Bundle, error) bool) {
		page := &hubv1.ListBundlesRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListBundles, page, (*hubv1.ListBundlesResponse).GetBundles, func(token string) { page.PageToken = token }, yield)
	}
}

// Revisions lists a bundle's revisions, newest first, as [Client.Clusters] lists clusters.
func (c *Client) Revisions(ctx context.Context, req *hubv1.ListRevisionsRequest) iter.Seq2[*yardarmv1.Revision, error] {
	return func(yield func(*yardarmv1.Revision, error) bool) {
		page := &hubv1.ListRevisionsRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListRevisions, page, (*hubv1.ListRevisionsResponse).GetRevisions, func(token string) { page.PageToken = token }, yield)
	}
}

// Assignments lists assignments as [Client.Clusters] lists clusters.
func (c *Client) Assignments(ctx context.Context, req *hubv1.ListAssignmentsRequest) iter.Seq2[*yardarmv1.Assignment, error] {
	return func(yield func(*yardarmv1.Assignment, error) bool) {
		page := &hubv1.ListAssignmentsRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListAssignments, page, (*hubv1.ListAssignmentsResponse).GetAssignments, func(token string) { page.PageToken = token }, yield)
	}
}

// Roles lists roles as [Client.Clusters] lists clusters.
func (c *Client) Roles(ctx context.Context, req *hubv1.ListRolesRequest) iter.Seq2[*yardarmv1.Role, error] {
	return func(yield func(*yardarmv1.Role, error) bool) {
		page := &hubv1.ListRolesRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListRoles, page, (*hubv1.ListRolesResponse).GetRoles, func(token string) { page.PageToken = token }, yield)
	}
}

// Gates lists gates as [Client.Clusters] lists clusters.
func (c *Client) Gates(ctx context.Context, req *hubv1.ListGatesRequest) iter.Seq2[*yardarmv1.Gate, error] {
	return func(yield func(*yardarmv1.Gate, error) bool) {
		page := &hubv1.ListGatesRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListGates, page, (*hubv1.ListGatesResponse).GetGates, func(token string) { page.PageToken = token }, yield)
	}
}

// Strategies lists strategies as [Client.Clusters] lists clusters.
func (c *Client) Strategies(ctx context.Context, req *hubv1.ListStrategiesRequest) iter.Seq2[*yardarmv1.Strategy, error] {
	return func(yield func(*yardarmv1.Strategy, error) bool) {
		page := &hubv1.ListStrategiesRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListStrategies, page, (*hubv1.ListStrategiesResponse).GetStrategies, func(token string) { page.PageToken = token }, yield)
	}
}

// RoleBindings lists role bindings as [Client.Clusters] lists clusters.
func (c *Client) RoleBindings(ctx context.Context, req *hubv1.ListRoleBindingsRequest) iter.Seq2[*yardarmv1.RoleBinding, error] {
	return func(yield func(*yardarmv1.RoleBinding, error) bool) {
		page := &hubv1.ListRoleBindingsRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListRoleBindings, page, (*hubv1.ListRoleBindingsResponse).GetRoleBindings, func(token string) { page.PageToken = token }, yield)
	}
}

// Notifications lists notifications as [Client.Clusters] lists clusters.
func (c *Client) Notifications(ctx context.Context, req *hubv1.ListNotificationsRequest) iter.Seq2[*yardarmv1.Notification, error] {
	return func(yield func(*yardarmv1.Notification, error) bool) {
		page := &hubv1.ListNotificationsRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListNotifications, page, (*hubv1.ListNotificationsResponse).GetNotifications, func(token string) { page.PageToken = token }, yield)
	}
}

// AllSourceCredentials lists source credentials as [Client.Clusters] lists clusters.
func (c *Client) AllSourceCredentials(ctx context.Context, req *hubv1.ListSourceCredentialsRequest) iter.Seq2[*yardarmv1.SourceCredentials, error] {
	return func(yield func(*yardarmv1.SourceCredentials, error) bool) {
		page := &hubv1.ListSourceCredentialsRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListSourceCredentials, page, (*hubv1.ListSourceCredentialsResponse).GetSourceCredentials, func(token string) { page.PageToken = token }, yield)
	}
}

// Tokens lists tokens as [Client.Clusters] lists clusters.
func (c *Client) Tokens(ctx context.Context, req *hubv1.ListTokensRequest) iter.Seq2[*yardarmv1.Token, error] {
	return func(yield func(*yardarmv1.Token, error) bool) {
		page := &hubv1.ListTokensRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListTokens, page, (*hubv1.ListTokensResponse).GetTokens, func(token string) { page.PageToken = token }, yield)
	}
}

// Audit lists entries of the audit log, newest first, as [Client.Clusters] lists clusters.
func (c *Client) Audit(ctx context.Context, req *hubv1.ListAuditRequest) iter.Seq2[*hubv1.AuditEntry, error] {
	return func(yield func(*hubv1.AuditEntry, error) bool) {
		page := &hubv1.ListAuditRequest{}
		proto.Merge(page, req)
		page.PageSize = size(req.GetPageSize())
		pages(ctx, c.ListAudit, page, (*hubv1.ListAuditResponse).GetEntries, func(token string) { page.PageToken = token }, yield)
	}
}

func size(asked uint32) uint32 {
	if asked == 0 {
		return PageSize
	}
	return asked
}

// pages calls list until there is no next page, and yields the items. next puts a token into the request.
func pages[Request any, Response interface{ GetNextPageToken() string }, Item any](ctx context.Context,
	list func(context.Context, Request, ...grpc.CallOption) (Response, error), req Request,
	items func(Response) []Item, next func(token string), yield func(Item, error) bool) {
	for {
		resp, err := list(ctx, req)
		if err != nil {
			var none Item
			yield(none, err)
			return
		}
		for _, item := range items(resp) {
			if !yield(item, nil) {
				return
			}
		}
		if resp.GetNextPageToken() == "" {
			return
		}
		next(resp.GetNextPageToken())
	}
}
