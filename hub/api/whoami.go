package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/authz"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// WhoAmI implements FleetService.
func (s *Server) WhoAmI(ctx context.Context, _ *hubv1.WhoAmIRequest) (*hubv1.WhoAmIResponse, error) {
	who := callOf(ctx).who
	resp := &hubv1.WhoAmIResponse{Actor: who.Actor(), Subject: &yardarmv1.Subject{Kind: who.Kind, Name: who.Name}, Groups: who.Groups, Expires: stamp(who.Expires)}
	for b := range authz.Bindings(s.store.Read(), who) {
		resp.RoleBindings = append(resp.RoleBindings, roleBindingView(b))
	}
	return resp, nil
}

// CanI implements FleetService, by the judgement that a call would meet.
func (s *Server) CanI(ctx context.Context, req *hubv1.CanIRequest) (*hubv1.CanIResponse, error) {
	var v violations
	check := checker{v: &v}
	if !slices.Contains(authz.Verbs, req.GetVerb()) {
		check.add("verb", fmt.Sprintf("is %q; there are %s", clip(req.GetVerb()), strings.Join(authz.Verbs, ", ")))
	}
	if !slices.Contains(authz.Resources, req.GetResource()) {
		check.add("resource", fmt.Sprintf("is %q; there are %s", clip(req.GetResource()), strings.Join(authz.Resources, ", ")))
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	o := object{cluster: req.GetCluster(), bundle: req.GetBundle(), group: req.GetClusterGroup(), makes: true}
	named := o.cluster != "" || o.bundle != "" || o.group != ""
	if o.bundle != "" && o.group != "" {
		o.group, o.targets = "", []string{o.group}
	}
	n := need{verb: req.GetVerb(), resource: req.GetResource()}
	if named || slices.Contains(unscoped, req.GetResource()) || req.GetResource() == yardarmv1.ResourceStrategies && req.GetVerb() != yardarmv1.VerbGet {
		n.objects = func(any) []object { return []object{o} }
	}
	view := s.view(ctx)
	if err := n.check(view, callOf(ctx).who, req); err != nil {
		return &hubv1.CanIResponse{Reason: err.Error()}, nil
	}
	resp := &hubv1.CanIResponse{Allowed: true}
	if !named && !view.access.Everywhere(n.verb, n.resource) {
		resp.Reason = "within the scopes of the caller's bindings; name a bundle, a cluster or a cluster group to ask about it"
	}
	return resp, nil
}

// unscoped are the resources that belong to no bundle and no cluster.
var unscoped = []string{yardarmv1.ResourceHub, yardarmv1.ResourceRoles, yardarmv1.ResourceRoleBindings, yardarmv1.ResourceTokens, yardarmv1.ResourceAudit, yardarmv1.ResourceNotifications,
	yardarmv1.ResourceSourceCredentials}
