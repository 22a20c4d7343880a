package api_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestQuotas makes two of each kind, and is refused the third: which quota it is and how to raise it is said.
func TestQuotas(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) {
		c.Limits.Clusters, c.Limits.ClusterGroups, c.Limits.Bundles, c.Limits.Tokens = 2, 2, 2, 3
		c.Limits.Roles, c.Limits.RoleBindings = 2, 2
	})
	for _, tc := range []struct {
		kind, setting string
		make          func(name string) error
		end           func(name string) error
	}{
		{"Cluster", "max-clusters", func(name string) error {
			_, err := h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: name})
			return err
		}, func(name string) error {
			_, err := h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: name, Workloads: yardarmv1.Workloads_WORKLOADS_KEEP})
			return err
		}},
		{"Bundle", "max-bundles", func(name string) error {
			_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{bundle(name)}})
			return err
		}, func(name string) error {
			_, err := h.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: name, Workloads: yardarmv1.Workloads_WORKLOADS_KEEP})
			return err
		}},
		{"ClusterGroup", "max-cluster-groups", func(name string) error {
			_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group(name, "env=prod")}})
			return err
		}, func(name string) error {
			_, err := h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: name})
			return err
		}},
		{"Role", "max-roles", func(name string) error {
			role := ownRole()
			role.GetRole().Metadata.Name = name
			_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{role}})
			return err
		}, func(name string) error {
			_, err := h.DeleteRole(t.Context(), &hubv1.DeleteRoleRequest{Name: name})
			return err
		}},
		{"RoleBinding", "max-role-bindings", func(name string) error {
			binding := ownBinding()
			binding.GetRoleBinding().Metadata.Name = name
			_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{binding}})
			return err
		}, func(name string) error {
			_, err := h.DeleteRoleBinding(t.Context(), &hubv1.DeleteRoleBindingRequest{Name: name})
			return err
		}},
		{"Token", "max-tokens", func(name string) error {
			_, err := h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{Name: name})
			return err
		}, func(name string) error {
			_, err := h.RevokeToken(t.Context(), &hubv1.RevokeTokenRequest{Name: name})
			return err
		}},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			for i := range 2 {
				if err := tc.make(fmt.Sprintf("n%d", i)); err != nil {
					t.Fatal(err)
				}
			}
			before := h.Store.Read().Index()
			st := refused(t, tc.make("n2"), codes.ResourceExhausted, "--"+tc.setting, "may have, which is")
			if reason(st) != "QUOTA_EXCEEDED" || !slices.ContainsFunc(st.Details(), func(d any) bool {
				failure, ok := d.(*errdetails.QuotaFailure)
				return ok && len(failure.Violations) == 1 && failure.Violations[0].Subject == tc.kind
			}) {
				t.Errorf("details %v", st.Details())
			}
			if h.Store.Read().Index() != before {
				t.Error("what was refused was made")
			}
			// What is there can be changed, and what is deleted makes room.
			if tc.kind == "ClusterGroup" {
				apply(t, h, group("n0", "env=other"))
			}
			if err := tc.end("n1"); err != nil {
				t.Fatal(err)
			}
			if err := tc.make("n2"); err != nil {
				t.Errorf("with room again: %v", err)
			}
		})
	}
}
