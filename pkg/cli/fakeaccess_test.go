package cli

import (
	"context"

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
