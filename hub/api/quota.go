package api

import (
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// quota is how many resources of a kind a hub may have.
type quota struct {
	kind string
	// setting is the hub's flag that says so.
	setting string
	most    int
}

func (l Limits) quotas() map[store.Table]quota {
	return map[store.Table]quota{
		store.Clusters:     {yardarmv1.KindCluster, "max-clusters", l.Clusters},
		store.Groups:       {yardarmv1.KindClusterGroup, "max-cluster-groups", l.ClusterGroups},
		store.Bundles:      {yardarmv1.KindBundle, "max-bundles", l.Bundles},
		store.Credentials:  {yardarmv1.KindToken, "max-tokens", l.Tokens}, // the local administrator's is one of them
		store.Roles:        {yardarmv1.KindRole, "max-roles", l.Roles},    // without those that every hub has
		store.RoleBindings: {yardarmv1.KindRoleBinding, "max-role-bindings", l.RoleBindings},
	}
}

// checkQuotas refuses a change that makes more than there may be, whatever handler made it. Of what there is already, more is no obstacle to other changes.
func (c *change) checkQuotas(l Limits) error {
	quotas := l.quotas()
	for _, w := range c.Writes() {
		q, ok := quotas[w.Table]
		if have := c.Rows(w.Table); ok && w.Old == nil && q.most >= 0 && have > q.most {
			message := fmt.Sprintf("%d %ss would be more than this hub may have, which is %d; delete some, or raise the quota (`yardarm-hub run --%s`)",
				have, words(q.kind), q.most, q.setting)
			return refuse(codes.ResourceExhausted, reasonQuota, map[string]string{"kind": q.kind, "quota": q.setting}, message,
				&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: q.kind, Description: message}}})
		}
	}
	return nil
}
