package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// need is what a method asks of its caller: to be allowed a verb on a kind of resource, and on those that the request names. What the request does not
// name is seen to elsewhere: answers are narrowed to what the caller may see (sight.go), and what a change writes is judged before it is committed
// (judge.go).
type need struct {
	verb string
	// anybody who is known may call it, since it tells of the caller alone.
	anybody bool
	// resource is empty where it depends on the request: on the objects.
	resource string
	// objects are what a request names; none where it names none.
	objects func(req any) []object
	// consequences are tables of other resources that the method's changes reach along with its own.
	consequences []store.Table
}

// object is something that a request names: a cluster, a cluster group, a bundle, what belongs to a cluster and a bundle, or else all there is.
type object struct {
	resource               string
	cluster, bundle, group string
	// membersOf is a group whose clusters are meant.
	membersOf string
	// targets are the groups that a bundle is to have, and labels what it is to have if it is not there yet.
	targets []string
	labels  map[string]string
	// makes says that the call may make it. Then a refusal says so; otherwise what the caller may not see is not there.
	makes bool
	// any says that it is enough to be allowed it of any resource.
	any bool
}

// checkNeeds compares the table with the service.
func checkNeeds(service *grpc.ServiceDesc, table map[string]need) error {
	var served []string
	for _, m := range service.Methods {
		served = append(served, fmt.Sprintf("/%s/%s", service.ServiceName, m.MethodName))
	}
	for _, m := range service.Streams {
		served = append(served, fmt.Sprintf("/%s/%s", service.ServiceName, m.StreamName))
	}
	for _, method := range served {
		if n, ok := table[method]; !ok || n.verb == "" && !n.anybody {
			return fmt.Errorf("api: the table of needs does not say who may call %s", method)
		}
	}
	for method := range table {
		if !slices.Contains(served, method) {
			return fmt.Errorf("api: the table of needs has %s, which is no method", method)
		}
	}
	return nil
}

// check refuses a request that its caller may not make, by what it names.
func (n need) check(v view, who authz.Identity, req any) error {
	if n.anybody {
		return nil
	}
	var objects []object
	if n.objects != nil {
		objects = n.objects(req)
	}
	if len(objects) == 0 && !n.possible(v.access) {
		return denied(who, n.verb, n.resource, "")
	}
	for _, o := range objects {
		resource := cmp.Or(o.resource, n.resource)
		if !v.access.May(n.verb, resource) {
			return denied(who, n.verb, resource, "")
		}
		if o.any {
			continue
		}
		if err := o.check(v, who, n.verb, resource); err != nil {
			return err
		}
	}
	return nil
}

// possible tells whether the caller may do it to anything.
func (n need) possible(a *authz.Access) bool {
	if n.resource != "" {
		return a.May(n.verb, n.resource)
	}
	return slices.ContainsFunc(authz.Resources, func(resource string) bool { return a.May(n.verb, resource) })
}

func (o object) check(v view, who authz.Identity, verb, resource string) error {
	switch {
	case o.membersOf != "":
		if v.Group(o.membersOf) != nil && !v.access.Cluster(verb, resource, []string{o.membersOf}) {
			return groupNotFound(o.membersOf)
		}
	case o.cluster != "":
		return o.checkCluster(v, who, verb, resource)
	case o.bundle != "":
		return o.checkBundle(v, who, verb, resource)
	case o.group != "":
		row := v.Group(o.group)
		if row == nil && !o.makes || v.access.Group(verb, o.group) {
			return nil
		}
		if row != nil && !o.makes && !v.seesGroup(row) {
			return groupNotFound(o.group)
		}
		return denied(who, verb, resource, fmt.Sprintf("%q", clip(o.group)))
	default:
		if !v.access.Everywhere(verb, resource) {
			return denied(who, verb, resource, "")
		}
	}
	return nil
}

// checkCluster is for clusters, and for what belongs to a cluster and a bundle.
func (o object) checkCluster(v view, who authz.Identity, verb, resource string) error {
	row := v.ClusterByName(o.cluster)
	if row == nil {
		return nil // there is nothing yet, or the handler says so
	}
	groups := v.GroupsOf(row.Metadata.Uid)
	if o.bundle == "" {
		if v.access.Cluster(verb, resource, groups) || resource == yardarmv1.ResourceAssignments && v.seesCluster(row) {
			return nil // of assignments, only those that may be seen or changed are
		}
		if !o.makes && !v.seesCluster(row) {
			return clusterNotFound(o.cluster)
		}
		return denied(who, verb, resource, fmt.Sprintf("%q", o.cluster))
	}
	bundle := v.BundleByName(o.bundle)
	if v.access.Assignment(verb, resource, cmp.Or(bundle.GetMetadata(), &yardarmv1.ObjectMeta{Name: o.bundle}), groups) {
		return nil
	}
	switch {
	case !v.seesCluster(row):
		return clusterNotFound(o.cluster)
	case bundle == nil || !v.seesBundle(bundle):
		return bundleNotFound(o.bundle)
	}
	return denied(who, verb, resource, fmt.Sprintf("%q", assignmentName(o.cluster, o.bundle)))
}

func (o object) checkBundle(v view, who authz.Identity, verb, resource string) error {
	row := v.BundleByName(o.bundle)
	if row == nil && !o.makes {
		return nil
	}
	meta := cmp.Or(row.GetMetadata(), &yardarmv1.ObjectMeta{Name: o.bundle, Labels: o.labels})
	beyond, ok := "", false
	if len(o.targets) > 0 {
		beyond, ok = v.access.Bundle(verb, resource, meta, o.targets)
	} else {
		ok = v.access.BundleAnywhere(verb, resource, meta, groupsOf(row.GetSpec().GetTargets()))
	}
	switch {
	case ok:
		return nil
	case !o.makes && !v.seesBundle(row):
		return bundleNotFound(o.bundle)
	}
	return deniedBundle(who, verb, resource, o.bundle, beyond)
}

// denied refuses what no binding allows. name, in quotes, is what it is about, and may say more; it is empty where the refusal is about all resources of the kind.
func denied(who authz.Identity, verb, resource, name string) error {
	if resource == "" {
		resource = "anything"
	}
	what := resource
	if name != "" {
		what = strings.TrimSuffix(resource, "s") + " " + name
	}
	return refuse(codes.PermissionDenied, reasonDenied, map[string]string{"verb": verb, "resource": resource},
		fmt.Sprintf("%s may not %s %s; a role binding has to allow it", who, verb, what))
}

// deniedBundle refuses what would reach a group beyond those that the caller may.
func deniedBundle(who authz.Identity, verb, resource, bundle, beyond string) error {
	name := fmt.Sprintf("%q", clip(bundle))
	if beyond != "" {
		name += fmt.Sprintf(" in cluster group %q", clip(beyond))
	}
	return denied(who, verb, resource, name)
}
