package cli

import (
	"context"
	"time"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (f *fleet) ListRoles(_ context.Context, req *hubv1.ListRolesRequest) (*hubv1.ListRolesResponse, error) {
	resp := &hubv1.ListRolesResponse{}
	resp.Roles, resp.NextPageToken, resp.TotalSize = paged(f, sorted[*yardarmv1.Role](f, yardarmv1.KindRole, nil), req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetRole(_ context.Context, req *hubv1.GetRoleRequest) (*yardarmv1.Role, error) {
	return find[*yardarmv1.Role](f, yardarmv1.KindRole, req.GetName())
}

func (f *fleet) DeleteRole(_ context.Context, req *hubv1.DeleteRoleRequest) (*hubv1.DeleteRoleResponse, error) {
	f.note(req)
	return &hubv1.DeleteRoleResponse{}, nil
}

func (f *fleet) ListRoleBindings(_ context.Context, req *hubv1.ListRoleBindingsRequest) (*hubv1.ListRoleBindingsResponse, error) {
	resp := &hubv1.ListRoleBindingsResponse{}
	all := sorted[*yardarmv1.RoleBinding](f, yardarmv1.KindRoleBinding, nil)
	resp.RoleBindings, resp.NextPageToken, resp.TotalSize = paged(f, all, req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetRoleBinding(_ context.Context, req *hubv1.GetRoleBindingRequest) (*yardarmv1.RoleBinding, error) {
	return find[*yardarmv1.RoleBinding](f, yardarmv1.KindRoleBinding, req.GetName())
}

func (f *fleet) DeleteRoleBinding(_ context.Context, req *hubv1.DeleteRoleBindingRequest) (*hubv1.DeleteRoleBindingResponse, error) {
	f.note(req)
	return &hubv1.DeleteRoleBindingResponse{}, nil
}

func (f *fleet) ListTokens(_ context.Context, req *hubv1.ListTokensRequest) (*hubv1.ListTokensResponse, error) {
	resp := &hubv1.ListTokensResponse{}
	resp.Tokens, resp.NextPageToken, resp.TotalSize = paged(f, sorted[*yardarmv1.Token](f, yardarmv1.KindToken, nil), req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetToken(_ context.Context, req *hubv1.GetTokenRequest) (*yardarmv1.Token, error) {
	return find[*yardarmv1.Token](f, yardarmv1.KindToken, req.GetName())
}

// CreateToken answers a token with the role that was asked for.
func (f *fleet) CreateToken(_ context.Context, req *hubv1.CreateTokenRequest) (*hubv1.CreateTokenResponse, error) {
	f.note(req)
	t := &yardarmv1.Token{Kind: yardarmv1.KindToken, Metadata: &yardarmv1.ObjectMeta{Name: req.GetName()},
		Status: &yardarmv1.TokenStatus{Expires: ago(-req.GetTtl().AsDuration())}}
	if req.GetRole() != "" {
		t.Status.Roles = []string{req.GetRole()}
	}
	return &hubv1.CreateTokenResponse{Token: t, Secret: "yat_0123456789ab_SECRET"}, nil
}

func (f *fleet) RevokeToken(_ context.Context, req *hubv1.RevokeTokenRequest) (*hubv1.RevokeTokenResponse, error) {
	f.note(req)
	_, err := find[*yardarmv1.Token](f, yardarmv1.KindToken, req.GetName())
	return &hubv1.RevokeTokenResponse{}, err
}

func (f *fleet) WhoAmI(context.Context, *hubv1.WhoAmIRequest) (*hubv1.WhoAmIResponse, error) {
	return &hubv1.WhoAmIResponse{Actor: "token/ci", Subject: &yardarmv1.Subject{Kind: "Token", Name: "ci"}, Expires: ago(-time.Hour),
		RoleBindings: sorted[*yardarmv1.RoleBinding](f, yardarmv1.KindRoleBinding, nil)}, nil
}

// CanI lets everything be done to the bundle web.
func (f *fleet) CanI(_ context.Context, req *hubv1.CanIRequest) (*hubv1.CanIResponse, error) {
	f.note(req)
	if req.GetBundle() == "web" {
		return &hubv1.CanIResponse{Allowed: true}, nil
	}
	return &hubv1.CanIResponse{Reason: "token \"ci\" may not " + req.GetVerb() + " " + req.GetResource()}, nil
}
