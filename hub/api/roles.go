package api

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/authz"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ListRoles implements FleetService: those of every hub are among them.
func (s *Server) ListRoles(ctx context.Context, req *hubv1.ListRolesRequest) (*hubv1.ListRolesResponse, error) {
	v := s.view(ctx)
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "roles"}
	p, err := paginate(list, roleFields, func(add func(*yardarmv1.Role)) {
		for r := range authz.Roles(v.ReadTx) {
			add(r)
		}
	}, roleView)
	if err != nil {
		return nil, err
	}
	return &hubv1.ListRolesResponse{Roles: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetRole implements FleetService.
func (s *Server) GetRole(ctx context.Context, req *hubv1.GetRoleRequest) (*yardarmv1.Role, error) {
	r := authz.Role(s.view(ctx).ReadTx, req.GetName())
	if r == nil {
		return nil, roleNotFound(req.GetName())
	}
	return roleView(r), nil
}

// DeleteRole implements FleetService.
func (s *Server) DeleteRole(ctx context.Context, req *hubv1.DeleteRoleRequest) (*hubv1.DeleteRoleResponse, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteRoleResponse, error) {
		name := req.GetName()
		if authz.BuiltIn(name) {
			return nil, builtInRole(name)
		}
		r := c.Role(name)
		if r == nil {
			return nil, roleNotFound(name)
		}
		if err := checkVersion(yardarmv1.KindRole, r.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		var bindings []string
		for b := range c.RoleBindingsTo(name) {
			bindings = append(bindings, b.Metadata.Name)
		}
		if len(bindings) > 0 {
			return nil, precondition(reasonInUse, yardarmv1.KindRole, name, fmt.Sprintf(
				"role %q is given by role bindings (%s); let them give another role first, or delete them", name, strings.Join(bindings, ", ")))
		}
		if err := c.DeleteRole(name); err != nil {
			return nil, err
		}
		return as(&hubv1.DeleteRoleResponse{}), c.event(&yardarmv1.Event{Reason: "RoleDeleted", Message: fmt.Sprintf("role %q deleted", name)})
	})
}

// ListRoleBindings implements FleetService.
func (s *Server) ListRoleBindings(ctx context.Context, req *hubv1.ListRoleBindingsRequest) (*hubv1.ListRoleBindingsResponse, error) {
	v := s.view(ctx)
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "rolebindings"}
	p, err := paginate(list, bindingFields, func(add func(*yardarmv1.RoleBinding)) {
		for b := range v.RoleBindings() {
			add(b)
		}
	}, roleBindingView)
	if err != nil {
		return nil, err
	}
	return &hubv1.ListRoleBindingsResponse{RoleBindings: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetRoleBinding implements FleetService.
func (s *Server) GetRoleBinding(ctx context.Context, req *hubv1.GetRoleBindingRequest) (*yardarmv1.RoleBinding, error) {
	b := s.view(ctx).RoleBinding(req.GetName())
	if b == nil {
		return nil, roleBindingNotFound(req.GetName())
	}
	return roleBindingView(b), nil
}

// DeleteRoleBinding implements FleetService.
func (s *Server) DeleteRoleBinding(ctx context.Context, req *hubv1.DeleteRoleBindingRequest) (*hubv1.DeleteRoleBindingResponse, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteRoleBindingResponse, error) {
		b := c.RoleBinding(req.GetName())
		if b == nil {
			return nil, roleBindingNotFound(req.GetName())
		}
		if err := checkVersion(yardarmv1.KindRoleBinding, b.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		if err := c.DeleteRoleBinding(req.GetName()); err != nil {
			return nil, err
		}
		return as(&hubv1.DeleteRoleBindingResponse{}), c.event(&yardarmv1.Event{Reason: "RoleBindingDeleted", Message: fmt.Sprintf("role binding %q deleted", req.GetName())})
	})
}

func roleView(r *yardarmv1.Role) *yardarmv1.Role {
	out := proto.CloneOf(r)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindRole
	return out
}

func roleBindingView(b *yardarmv1.RoleBinding) *yardarmv1.RoleBinding {
	out := proto.CloneOf(b)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindRoleBinding
	return out
}

// role applies a role. Whoever has it gets what it says now, so it may say no more than the caller has everywhere.
func (a *application) role(c *change, i int, in *yardarmv1.Role) error {
	current := c.Role(in.Metadata.Name)
	if err := checkMeta(yardarmv1.KindRole, current.GetMetadata(), in.Metadata); err != nil {
		return err
	}
	sameSpec := current != nil && proto.Equal(current.Spec, in.Spec)
	next := replacing(current, &yardarmv1.Role{})
	next.Spec = proto.CloneOf(in.Spec)
	var same bool
	next.Metadata, same = c.meta(current.GetMetadata(), in.Metadata, a.uids[i], sameSpec)
	if a.note(i, current != nil, same && sameSpec, current, next) {
		return nil
	}
	if lacks := c.access.Lacks(in.GetSpec().GetRules(), nil, nil); lacks != "" {
		return escalation(c.who, yardarmv1.KindRole, in.Metadata.Name, lacks)
	}
	if err := c.PutRole(next); err != nil {
		return err
	}
	return c.event(&yardarmv1.Event{Reason: "RoleConfigured", Message: fmt.Sprintf("role %q %s", in.Metadata.Name, a.outcomes[i])})
}

// roleBinding applies a binding. It may give no more than the caller has, within its scopes.
func (a *application) roleBinding(c *change, i int, in *yardarmv1.RoleBinding) error {
	current := c.RoleBinding(in.Metadata.Name)
	if err := checkMeta(yardarmv1.KindRoleBinding, current.GetMetadata(), in.Metadata); err != nil {
		return err
	}
	r := authz.Role(&c.ReadTx, in.GetSpec().GetRole())
	if r == nil {
		a.checker(i).add("spec.role", fmt.Sprintf("there is no role %q; apply it first, or in the same call", clip(in.GetSpec().GetRole())))
		return nil
	}
	sameSpec := current != nil && proto.Equal(current.Spec, in.Spec)
	next := replacing(current, &yardarmv1.RoleBinding{})
	next.Spec = proto.CloneOf(in.Spec)
	var same bool
	next.Metadata, same = c.meta(current.GetMetadata(), in.Metadata, a.uids[i], sameSpec)
	if a.note(i, current != nil, same && sameSpec, current, next) {
		return nil
	}
	if err := c.give(next, r); err != nil {
		return err
	}
	return c.event(&yardarmv1.Event{Reason: "RoleBindingConfigured",
		Message: fmt.Sprintf("role binding %q %s: gives role %q", in.Metadata.Name, a.outcomes[i], r.Metadata.Name)})
}

// give puts a binding that gives a role, unless the caller lacks any of it.
func (c *change) give(b *yardarmv1.RoleBinding, r *yardarmv1.Role) error {
	if lacks := c.access.Lacks(r.GetSpec().GetRules(), b.Spec.Bundles, b.Spec.ClusterGroups); lacks != "" {
		return escalation(c.who, yardarmv1.KindRoleBinding, b.Metadata.Name, lacks)
	}
	return c.PutRoleBinding(b)
}

// escalation refuses to give what the caller has not got.
func escalation(who authz.Identity, kind, name, lacks string) error {
	return refuse(codes.PermissionDenied, reasonEscalation, map[string]string{"kind": kind, "name": name, "lacks": lacks}, fmt.Sprintf(
		"%s %q would give %q, which %s may not do there themselves; nobody gives more than they have", words(kind), clip(name), lacks, who))
}

func roleNotFound(name string) error {
	return notFound(yardarmv1.KindRole, clip(name), "`yardarm get roles` lists them")
}

func roleBindingNotFound(name string) error {
	return notFound(yardarmv1.KindRoleBinding, clip(name), "`yardarm get rolebindings` lists them")
}

func builtInRole(name string) error {
	return precondition(reasonState, yardarmv1.KindRole, name, fmt.Sprintf("role %q is one that every hub has; it cannot be changed or deleted", name))
}
