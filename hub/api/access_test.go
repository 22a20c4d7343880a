package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// scoped is a fleet of two groups with a cluster and a bundle each, and a token that has a role for the first of them.
func scoped(t *testing.T, role string) (*apitest.Hub, hubv1.FleetServiceClient) {
	t.Helper()
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("staging", "env=staging"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Enrolled(t, "paris", map[string]string{"env": "staging"})
	publish(t, h, "web", "1", "prod")
	publish(t, h, "db", "1", "staging")
	c := h.As(t, h.Issue(t, "ci", time.Time{}))
	bind(t, h, "ci", role, []string{"web", "new"}, []string{"prod"})
	return h, c
}

// publishAs publishes a bundle as another caller.
func publishAs(t *testing.T, c hubv1.FleetServiceClient, p *hubv1.Publication) error {
	t.Helper()
	_, err := (&apitest.Hub{FleetServiceClient: c}).Publish(t.Context(), p, apitest.ConfigMap("", p.GetBundle(), fmt.Sprint(time.Now())))
	return err
}

func TestPublisherPublishesWithinScope(t *testing.T) {
	h, c := scoped(t, "publisher")
	for name, test := range map[string]struct {
		bundle string
		groups []string
		denied string
	}{
		"its bundle":                    {"web", nil, ""},
		"its bundle to its group":       {"web", []string{"prod"}, ""},
		"a new one in scope":            {"new", []string{"prod"}, ""},
		"to another group":              {"web", []string{"prod", "staging"}, `bundle "web" in cluster group "staging"`},
		"to a group that there is not":  {"web", []string{"nothing"}, `bundle "web" in cluster group "nothing"`},
		"another bundle":                {"db", nil, `bundle "db"`},
		"a new one":                     {"other", []string{"prod"}, `bundle "other"`},
		"a new one that targets nobody": {"other", nil, `bundle "other"`},
	} {
		err := publishAs(t, c, &hubv1.Publication{Bundle: test.bundle, Groups: test.groups})
		if test.denied == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if got := reason(refused(t, err, codes.PermissionDenied, `token "ci" may not publish`, test.denied)); got != "PERMISSION_DENIED" {
			t.Errorf("%s: reason %q", name, got)
		}
	}
	// A bundle in scope that somebody lets go to a group beyond is out of reach until it no longer does.
	apply(t, h, bundle("web", "prod", "staging"))
	refused(t, publishAs(t, c, &hubv1.Publication{Bundle: "web"}), codes.PermissionDenied, "staging")
	refused(t, publishAs(t, c, &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}}), codes.PermissionDenied, "staging")
	_, err := c.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web"})
	refused(t, err, codes.PermissionDenied, "staging")
}

func TestOperatorChangesWithinScope(t *testing.T) {
	h, c := scoped(t, "operator")
	// With a scope of bundles, clusters are only seen.
	_, err := c.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{"a": "b"}})
	refused(t, err, codes.PermissionDenied, "cluster \"berlin\"")

	bind(t, h, "ci", "operator", nil, []string{"prod"})
	label := func(name string, set map[string]string) error {
		_, err := c.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: name, Set: set, Overwrite: true})
		return err
	}
	enroll := func(name string, labels map[string]string) error {
		_, err := c.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: name, Labels: labels})
		return err
	}
	if err := label("berlin", map[string]string{"a": "b"}); err != nil {
		t.Error(err)
	}
	refused(t, label("berlin", map[string]string{"env": "staging"}), codes.PermissionDenied, "berlin")
	refused(t, label("berlin", map[string]string{"env": "nowhere"}), codes.PermissionDenied, "berlin")
	refused(t, label("paris", map[string]string{"env": "prod"}), codes.NotFound, "paris")
	apply(t, h, group("wide", "wide=yes"))
	refused(t, label("berlin", map[string]string{"wide": "yes"}), codes.PermissionDenied, "wide")
	if err := enroll("rome", map[string]string{"env": "prod"}); err != nil {
		t.Error(err)
	}
	refused(t, enroll("oslo", map[string]string{"env": "staging"}), codes.PermissionDenied, "oslo")
	refused(t, enroll("oslo", nil), codes.PermissionDenied, "oslo")
	refused(t, enroll("oslo", map[string]string{"env": "prod", "wide": "yes"}), codes.PermissionDenied, "wide")
	if h.Store.Read().ClusterByName("oslo") != nil {
		t.Error("what was refused is there")
	}
	_, err = c.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: "paris"})
	refused(t, err, codes.NotFound)
	// Scopes are made of groups.
	for _, r := range []*hubv1.Resource{group("prod", ""), group("staging", ""), group("mine", "env=prod")} {
		_, err = c.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{r}})
		refused(t, err, codes.PermissionDenied, "clustergroup ")
	}
	_, err = c.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{bundle("web", "prod", "staging")}})
	refused(t, err, codes.PermissionDenied, "staging")
	_, err = c.Apply(t.Context(), &hubv1.ApplyRequest{DryRun: true, Resources: []*hubv1.Resource{bundle("db", "staging")}})
	refused(t, err, codes.PermissionDenied, "db")
	// What a call reaches is narrowed to what the caller may.
	publish(t, h, "agent", "1", "prod")
	bind(t, h, "ci", "operator", []string{"web"}, []string{"prod"})
	resp := must[*hubv1.ReconcileResponse](t)(c.Reconcile(t.Context(), &hubv1.ReconcileRequest{Cluster: "berlin"}))
	if fmt.Sprint(resp.Assignments) != "[berlin.web]" {
		t.Errorf("reconciled %v", resp.Assignments)
	}
	_, err = c.Reconcile(t.Context(), &hubv1.ReconcileRequest{Bundle: "db"})
	refused(t, err, codes.NotFound)
	_, err = c.Reconcile(t.Context(), &hubv1.ReconcileRequest{Cluster: "berlin", Bundle: "agent"})
	refused(t, err, codes.NotFound)
	if _, err := c.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}); err == nil {
		t.Error("with a scope of bundles, a cluster is deleted")
	}
	bind(t, h, "ci", "operator", nil, []string{"prod"})
	must[any](t)(c.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	must[any](t)(c.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
}

func TestOneSeesOnlyWhatIsInScope(t *testing.T) {
	h, c := scoped(t, "publisher")
	ctx := t.Context()
	clusters := must[*hubv1.ListClustersResponse](t)(c.ListClusters(ctx, &hubv1.ListClustersRequest{}))
	bundles := must[*hubv1.ListBundlesResponse](t)(c.ListBundles(ctx, &hubv1.ListBundlesRequest{}))
	groups := must[*hubv1.ListClusterGroupsResponse](t)(c.ListClusterGroups(ctx, &hubv1.ListClusterGroupsRequest{}))
	all := must[*hubv1.ListAssignmentsResponse](t)(c.ListAssignments(ctx, &hubv1.ListAssignmentsRequest{}))
	if got := names(clusters.Clusters) + "; " + names(bundles.Bundles) + "; " + names(groups.ClusterGroups) + "; " + names(all.Assignments); got != "berlin; web; prod; berlin.web" {
		t.Errorf("lists %s", got)
	}
	if clusters.TotalSize != 1 || bundles.TotalSize != 1 || groups.TotalSize != 1 || all.TotalSize != 1 {
		t.Error("a total counts what is not shown")
	}
	// What is out of scope answers just as what is not there.
	for what, call := range map[string]func(name string) error{
		"cluster": func(n string) error { _, err := c.GetCluster(ctx, &hubv1.GetClusterRequest{Name: n}); return err },
		"bundle":  func(n string) error { _, err := c.GetBundle(ctx, &hubv1.GetBundleRequest{Name: n}); return err },
		"group": func(n string) error {
			_, err := c.GetClusterGroup(ctx, &hubv1.GetClusterGroupRequest{Name: n})
			return err
		},
		"revisions": func(n string) error {
			_, err := c.ListRevisions(ctx, &hubv1.ListRevisionsRequest{Bundle: n})
			return err
		},
		"assignments of a cluster": func(n string) error {
			_, err := c.ListAssignments(ctx, &hubv1.ListAssignmentsRequest{Cluster: n})
			return err
		},
		"assignments of a bundle": func(n string) error {
			_, err := c.ListAssignments(ctx, &hubv1.ListAssignmentsRequest{Bundle: n})
			return err
		},
		"assignment": func(n string) error {
			_, err := c.GetAssignment(ctx, &hubv1.GetAssignmentRequest{Cluster: "berlin", Bundle: n})
			return err
		},
		"members": func(n string) error {
			_, err := c.ListClusters(ctx, &hubv1.ListClustersRequest{Group: n})
			return err
		},
	} {
		for _, there := range []string{"paris", "db", "staging"} {
			hidden, missing := refused(t, call(there), codes.NotFound), refused(t, call("absent"), codes.NotFound)
			if strings.ReplaceAll(hidden.Message(), there, "absent") != missing.Message() {
				t.Errorf("%s: %q tells more than %q", what, hidden.Message(), missing.Message())
			}
		}
	}
	_, err := drain(must[hubv1.FleetService_GetArtifactClient](t)(c.GetArtifact(ctx, &hubv1.GetArtifactRequest{Digest: latestDigest(h, "db")})))
	refused(t, err, codes.NotFound)
	own := latestDigest(h, "web")
	if _, err := drain(must[hubv1.FleetService_GetArtifactClient](t)(c.GetArtifact(ctx, &hubv1.GetArtifactRequest{Digest: own}))); err != nil {
		t.Error(err)
	}
	events := must[[]*hubv1.WatchEventsResponse](t)(drain(must[hubv1.FleetService_WatchEventsClient](t)(c.WatchEvents(ctx, &hubv1.WatchEventsRequest{}))))
	if len(events) == 0 {
		t.Error("no event is shown")
	}
	for _, e := range events {
		if e.Event.Cluster != "berlin" && e.Event.Bundle != "web" {
			t.Errorf("event %v", e.Event)
		}
	}
	// Counts are of what is seen, and so is what can be asked for: a filter is no way to find out.
	apply(t, h, group("also", "env=prod"))
	publish(t, h, "agent", "1", "prod")
	listed := must[*hubv1.ListClustersResponse](t)(c.ListClusters(ctx, &hubv1.ListClustersRequest{})).Clusters[0]
	for how, cluster := range map[string]*yardarmv1.Cluster{"got": must[*yardarmv1.Cluster](t)(c.GetCluster(ctx, &hubv1.GetClusterRequest{Name: "berlin"})), "listed": listed} {
		if strings.Join(cluster.Status.Groups, " ") != "prod" || cluster.Status.Bundles.Total != 1 {
			t.Errorf("%s, it is in %v and runs %v", how, cluster.Status.Groups, cluster.Status.Bundles)
		}
	}
	for filter, want := range map[string]uint32{"bundle=web": 1, "bundle=agent": 0, "group=also": 0} {
		if got := must[*hubv1.ListClustersResponse](t)(c.ListClusters(ctx, &hubv1.ListClustersRequest{Filter: filter})).TotalSize; got != want {
			t.Errorf("%s finds %d clusters", filter, got)
		}
	}
	if g := must[*yardarmv1.ClusterGroup](t)(c.GetClusterGroup(ctx, &hubv1.GetClusterGroupRequest{Name: "prod"})); strings.Join(g.Status.Bundles, " ") != "web" {
		t.Errorf("bundles of the group: %v", g.Status.Bundles)
	}
	apply(t, h, bundle("web", "prod", "staging"))
	if b := must[*yardarmv1.Bundle](t)(c.GetBundle(ctx, &hubv1.GetBundleRequest{Name: "web"})); b.Status.Clusters.Total != 1 {
		t.Errorf("counts %v", b.Status.Clusters)
	}
}

func TestWatchFollowsScope(t *testing.T) {
	h, c := scoped(t, "viewer")
	w := seen{t, must[hubv1.FleetService_WatchClient](t)(c.Watch(t.Context(), &hubv1.WatchRequest{Kind: "Bundle"}))}
	w.expect("ADDED web", "BOOKMARK")
	publish(t, h, "db", "2")
	bind(t, h, "ci", "viewer", []string{"db"}, nil)
	w.until(func(what string, _ *hubv1.WatchResponse) bool { return what == "DELETED web" || what == "ADDED db" })
	w.until(func(what string, _ *hubv1.WatchResponse) bool { return what == "DELETED web" || what == "ADDED db" })

	bind(t, h, "ci", "viewer", nil, []string{"staging"})
	clusters := seen{t, must[hubv1.FleetService_WatchClient](t)(c.Watch(t.Context(), &hubv1.WatchRequest{Kind: "Cluster"}))}
	clusters.expect("ADDED paris", "BOOKMARK")
	must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "paris", Set: map[string]string{"env": "prod"}, Overwrite: true}))
	clusters.expect("DELETED paris")
	apply(t, h, group("staging", "env=prod"))
	clusters.until(func(what string, _ *hubv1.WatchResponse) bool { return what == "ADDED berlin" })
}

// TestStreamsEndWithTheirPermission: when a binding or the token is gone, or the token expires, what is open ends, and says why.
func TestStreamsEndWithTheirPermission(t *testing.T) {
	h, c := scoped(t, "viewer")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // rather than to wait for ever
	defer cancel()
	open := func(c hubv1.FleetServiceClient) (watch seen, events hubv1.FleetService_WatchEventsClient) {
		watch = seen{t, must[hubv1.FleetService_WatchClient](t)(c.Watch(ctx, &hubv1.WatchRequest{Kind: "ClusterGroup"}))}
		watch.until(func(what string, _ *hubv1.WatchResponse) bool { return what == "BOOKMARK" })
		events = must[hubv1.FleetService_WatchEventsClient](t)(c.WatchEvents(ctx, &hubv1.WatchEventsRequest{Follow: true}))
		must[any](t)(events.Header())
		return watch, events
	}
	ends := func(name string, watch seen, events hubv1.FleetService_WatchEventsClient, code codes.Code) {
		t.Helper()
		for what, recv := range map[string]func() error{
			"watch":  func() error { _, err := watch.stream.Recv(); return err },
			"events": func() error { _, err := events.Recv(); return err },
		} {
			var err error
			for err == nil {
				err = recv()
			}
			t.Log(name, what)
			refused(t, err, code)
		}
	}
	watch, events := open(c)
	must[any](t)(h.DeleteRoleBinding(t.Context(), &hubv1.DeleteRoleBindingRequest{Name: "ci"}))
	ends("no binding", watch, events, codes.PermissionDenied)

	bind(t, h, "ci", "viewer", nil, nil)
	watch, events = open(c)
	h.Update(t, func(tx *store.Tx) error {
		for row := range tx.Credentials() {
			if row.GetName() == "ci" {
				return tx.DeleteCredential(row.GetId())
			}
		}
		return nil
	})
	ends("no token", watch, events, codes.Unauthenticated)

	short := h.As(t, h.Issue(t, "ci", time.Now().Add(2*time.Second)))
	watch, events = open(short)
	ends("expired", watch, events, codes.Unauthenticated)
	_, err := short.GetHub(t.Context(), &hubv1.GetHubRequest{})
	refused(t, err, codes.Unauthenticated)
}

// TestEveryWatchEndsWithItsPermission: over gRPC and over REST.
func TestEveryWatchEndsWithItsPermission(t *testing.T) {
	h := smallFleet(t)
	token := h.Issue(t, "ci", time.Time{})
	routes := restRoutesTo(t, func(string) map[string]string { return map[string]string{"kind": "Bundle", "bundle": "web"} })
	eachWatch(t, func(t *testing.T, m protoreflect.MethodDescriptor) {
		name := string(m.Name())
		bind(t, h, "ci", "viewer", nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // rather than to wait for ever
		defer cancel()
		stream, ended := openWatch(ctx, t, h, token, m)
		must[metadata.MD](t)(stream.Header())
		path := routes[name].path
		if name == "WatchEvents" {
			path += "?follow=true"
		}
		req := must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodGet, h.URL+path, nil))
		req.Header.Set("Authorization", "Bearer "+token)
		resp := must[*http.Response](t)(h.HTTP.Do(req))
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		must[any](t)(h.DeleteRoleBinding(t.Context(), &hubv1.DeleteRoleBindingRequest{Name: "ci"}))
		refused(t, ended(), codes.PermissionDenied)
		var line struct{ Error struct{ Code codes.Code } }
		for lines := json.NewDecoder(resp.Body); line.Error.Code == codes.OK; {
			if err := lines.Decode(&line); err != nil {
				t.Fatalf("over REST: %v", err)
			}
		}
		if line.Error.Code != codes.PermissionDenied {
			t.Errorf("over REST: %v", line.Error.Code)
		}
	})
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	h := apitest.Start(t)
	role := func(name string, rules ...*yardarmv1.Rule) *hubv1.Resource {
		return &hubv1.Resource{Resource: &hubv1.Resource_Role{Role: &yardarmv1.Role{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: &yardarmv1.RoleSpec{Rules: rules}}}}
	}
	binding := func(role string, scope *yardarmv1.Scope) *hubv1.Resource {
		return &hubv1.Resource{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: "more"},
			Spec: &yardarmv1.RoleBindingSpec{Role: role, Bundles: scope, Subjects: []*yardarmv1.Subject{{Kind: "Token", Name: "ci"}}}}}}
	}
	apply(t, h, role("keeper",
		&yardarmv1.Rule{Verbs: []string{"get", "apply"}, Resources: []string{"roles", "rolebindings"}},
		&yardarmv1.Rule{Verbs: []string{"get"}, Resources: []string{"bundles"}}))
	c := h.As(t, h.Issue(t, "ci", time.Time{}))
	bind(t, h, "ci", "keeper", nil, nil)
	for name, test := range map[string]struct {
		resource *hubv1.Resource
		code     codes.Code
		words    string
	}{
		"a role that says what one has":    {role("mine", &yardarmv1.Rule{Verbs: []string{"get"}, Resources: []string{"bundles"}}), codes.OK, ""},
		"one that says more":               {role("more", &yardarmv1.Rule{Verbs: []string{"get"}, Resources: []string{"clusters"}}), codes.PermissionDenied, "get clusters"},
		"one that says everything":         {role("more", &yardarmv1.Rule{Verbs: []string{"*"}, Resources: []string{"bundles"}}), codes.PermissionDenied, "* bundles"},
		"one's own, with more":             {role("keeper", &yardarmv1.Rule{Verbs: []string{"delete"}, Resources: []string{"roles"}}), codes.PermissionDenied, "delete roles"},
		"a binding of what one has":        {binding("keeper", nil), codes.OK, ""},
		"one within a scope":               {binding("keeper", &yardarmv1.Scope{Names: []string{"web"}}), codes.OK, ""},
		"one of more":                      {binding("admin", nil), codes.PermissionDenied, "* *"},
		"one of more, within a scope":      {binding("publisher", &yardarmv1.Scope{Names: []string{"web"}}), codes.PermissionDenied, "nobody gives more"},
		"a role that every hub has":        {role("viewer", &yardarmv1.Rule{Verbs: []string{"get"}, Resources: []string{"bundles"}}), codes.InvalidArgument, "every hub has"},
		"a verb that there is not":         {role("more", &yardarmv1.Rule{Verbs: []string{"fly"}, Resources: []string{"bundles"}}), codes.InvalidArgument, "fly"},
		"a binding of a role there is not": {binding("nothing", nil), codes.InvalidArgument, "nothing"},
		"a scope of nothing":               {binding("keeper", &yardarmv1.Scope{}), codes.InvalidArgument, "spec.bundles"},
	} {
		_, err := c.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{test.resource}})
		t.Log(name)
		refused(t, err, test.code, test.words)
	}
	_, err := c.DeleteRole(t.Context(), &hubv1.DeleteRoleRequest{Name: "mine"})
	refused(t, err, codes.PermissionDenied)
	_, err = h.DeleteRole(t.Context(), &hubv1.DeleteRoleRequest{Name: "keeper"})
	refused(t, err, codes.FailedPrecondition, "ci, more")
	_, err = h.DeleteRole(t.Context(), &hubv1.DeleteRoleRequest{Name: "viewer"})
	refused(t, err, codes.FailedPrecondition, "every hub has")
	must[any](t)(h.DeleteRole(t.Context(), &hubv1.DeleteRoleRequest{Name: "mine"}))
	must[any](t)(h.DeleteRoleBinding(t.Context(), &hubv1.DeleteRoleBindingRequest{Name: "more"}))
	// Whoever may write bindings within a scope only writes none.
	bind(t, h, "ci", "admin", []string{"web"}, nil)
	_, err = c.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{binding("viewer", &yardarmv1.Scope{Names: []string{"web"}})}})
	refused(t, err, codes.PermissionDenied, "rolebindings")
}

// latestDigest is that of the artifact of a bundle's latest revision.
func latestDigest(h *apitest.Hub, bundle string) string {
	tx := h.Store.Read()
	b := tx.BundleByName(bundle)
	return tx.Revision(b.Metadata.Uid, b.Status.LatestRevision).Spec.Digest
}
