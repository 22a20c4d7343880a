package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ListClusters implements FleetService.
func (s *Server) ListClusters(ctx context.Context, req *hubv1.ListClustersRequest) (*hubv1.ListClustersResponse, error) {
	labels, err := selector.Parse(req.GetSelector())
	if err != nil {
		return nil, invalid("selector", err.Error())
	}
	group := req.GetGroup()
	if group != "" && s.store.Read().Group(group) == nil {
		return nil, groupNotFound(group)
	}
	filter, err := clusterFields.Filter(req.GetFilter())
	if err != nil {
		return nil, invalid("filter", err.Error())
	}
	required := append(labels.Requirements(), filter.Labels()...)
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), fmt.Sprintf("clusters %q %q", labels, group)}
	var v view
	p, err := paginate(list, clusterFields, func(add func(*index.Cluster)) {
		v = s.read(ctx, func(v view, state *index.State) {
			for c := range state.Labelled(required) {
				if labels.Matches(c.Row.Metadata.Labels) && (group == "" || slices.Contains(c.Groups, group)) && v.seesCluster(c.Row) {
					add(v.clusterPart(c))
				}
			}
		})
	}, func(c *index.Cluster) *yardarmv1.Cluster { return v.showCluster(c) })
	if err != nil {
		return nil, err
	}
	return &hubv1.ListClustersResponse{Clusters: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetCluster implements FleetService.
func (s *Server) GetCluster(ctx context.Context, req *hubv1.GetClusterRequest) (*yardarmv1.Cluster, error) {
	v := s.view(ctx)
	c := v.ClusterByName(req.GetName())
	if c == nil {
		return nil, clusterNotFound(req.GetName())
	}
	return v.cluster(c), nil
}

// LabelCluster implements FleetService.
func (s *Server) LabelCluster(ctx context.Context, req *hubv1.LabelClusterRequest) (*yardarmv1.Cluster, error) {
	var v violations
	check := checker{v: &v}
	if len(req.GetSet()) == 0 && len(req.GetRemove()) == 0 {
		check.add("set", "is empty, and so is remove; name labels to set or to remove")
	}
	check.labels("set", req.GetSet())
	for i, key := range req.GetRemove() {
		if _, both := req.GetSet()[key]; both {
			check.add(fmt.Sprintf("remove[%d]", i), fmt.Sprintf("names %q, which is to be set, too", clip(key)))
		}
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	return s.changeCluster(ctx, req, func(c *change, next *yardarmv1.Cluster) (bool, error) {
		if !req.GetOverwrite() {
			if err := keepsLabels(next.Metadata, req.GetSet()); err != nil {
				return false, err
			}
		}
		before := next.Metadata.Labels
		labels := maps.Clone(before)
		if labels == nil {
			labels = make(map[string]string)
		}
		for _, key := range req.GetRemove() {
			delete(labels, key)
		}
		maps.Copy(labels, req.GetSet())
		if len(labels) > maxLabels {
			return false, invalid("set", fmt.Sprintf("makes %d labels of the cluster; at most %d are kept", len(labels), maxLabels))
		}
		next.Metadata.Labels = labels
		if maps.Equal(before, labels) {
			return false, nil
		}
		return true, c.event(&yardarmv1.Event{Reason: "ClusterLabeled", Cluster: next.Metadata.Name, Message: describeLabels(before, labels)})
	})
}

// keepsLabels refuses to replace values that are there.
func keepsLabels(m *yardarmv1.ObjectMeta, set map[string]string) error {
	failure := &errdetails.PreconditionFailure{}
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if value, ok := m.GetLabels()[key]; ok && value != set[key] {
			line := fmt.Sprintf("label %q of cluster %q is %q already", key, m.GetName(), value)
			lines = append(lines, line)
			failure.Violations = append(failure.Violations, &errdetails.PreconditionFailure_Violation{Type: reasonLabelSet, Subject: key, Description: line})
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return refuse(codes.FailedPrecondition, reasonLabelSet, nil, strings.Join(lines, "; ")+"; to change it, say so (`--overwrite`)", failure)
}

// describeLabels tells what changed, as in "env=prod, tier (removed)".
func describeLabels(before, after map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if value, ok := before[key]; !ok || value != after[key] {
			parts = append(parts, key+"="+after[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[key]; !ok {
			parts = append(parts, key+" (removed)")
		}
	}
	return "labels changed: " + strings.Join(parts, ", ")
}

// BanCluster implements FleetService. hub/dispatch cuts the stream when it sees the row.
func (s *Server) BanCluster(ctx context.Context, req *hubv1.BanClusterRequest) (*yardarmv1.Cluster, error) {
	var v violations
	checker{v: &v}.text("reason", req.GetReason())
	if err := v.err(); err != nil {
		return nil, err
	}
	return s.changeCluster(ctx, req, func(c *change, next *yardarmv1.Cluster) (bool, error) {
		if next.Spec.Ban != nil {
			return false, nil // who banned it first, and why, is what counts
		}
		next.Spec.Ban = &yardarmv1.Ban{Reason: req.GetReason(), Time: c.time(), Actor: c.actor}
		next.Metadata.Generation++
		message := "certificates are refused and the stream is cut"
		if req.GetReason() != "" {
			message += ": " + clip(req.GetReason())
		}
		return true, c.event(&yardarmv1.Event{Type: yardarmv1.EventWarning, Reason: "ClusterBanned", Cluster: next.Metadata.Name, Message: message})
	})
}

// UnbanCluster implements FleetService.
func (s *Server) UnbanCluster(ctx context.Context, req *hubv1.UnbanClusterRequest) (*yardarmv1.Cluster, error) {
	return s.changeCluster(ctx, req, func(c *change, next *yardarmv1.Cluster) (bool, error) {
		if next.Spec.Ban == nil {
			return false, nil
		}
		next.Spec.Ban = nil
		next.Metadata.Generation++
		return true, c.event(&yardarmv1.Event{Reason: "ClusterUnbanned", Cluster: next.Metadata.Name, Message: "certificates count again"})
	})
}

// clusterChange is what requests to change one cluster share.
type clusterChange interface {
	mutation
	GetName() string
	GetResourceVersion() string
}

// changeCluster changes one cluster, unless fn says that there is nothing to change. fn gets a clone whose Spec is set.
func (s *Server) changeCluster(ctx context.Context, req clusterChange, fn func(*change, *yardarmv1.Cluster) (bool, error)) (*yardarmv1.Cluster, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *yardarmv1.Cluster, error) {
		row := c.ClusterByName(req.GetName())
		if row == nil {
			return nil, clusterNotFound(req.GetName())
		}
		if err := checkVersion(yardarmv1.KindCluster, row.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		next := proto.CloneOf(row)
		if next.Spec == nil {
			next.Spec = &yardarmv1.ClusterSpec{}
		}
		changed, err := fn(c, next)
		if err != nil {
			return nil, err
		}
		if changed {
			row, err = next, c.putCluster(next)
		}
		return func(v view) *yardarmv1.Cluster { return v.cluster(row) }, err
	})
}

// putCluster puts a cluster, and refuses labels that bring it bundles which hold the same object.
func (c *change) putCluster(next *yardarmv1.Cluster) error {
	before := c.GroupsOf(next.Metadata.Uid)
	if err := c.PutCluster(next); err != nil {
		return err
	}
	if slices.Equal(before, c.GroupsOf(next.Metadata.Uid)) {
		return nil
	}
	return checkClusterClaims(&c.ReadTx, next)
}

// DeleteCluster implements FleetService. A cluster whose spoke has to remove the workloads first stays as Deleting; hub/dispatch ends it
// when the spoke is done.
func (s *Server) DeleteCluster(ctx context.Context, req *hubv1.DeleteClusterRequest) (*hubv1.DeleteClusterResponse, error) {
	if err := checkWorkloads(req.GetWorkloads(), "cluster"); err != nil {
		return nil, err
	}
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteClusterResponse, error) {
		row := c.ClusterByName(req.GetName())
		if row == nil {
			return nil, clusterNotFound(req.GetName())
		}
		if err := checkVersion(yardarmv1.KindCluster, row.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		enrolled := c.Identity(row.Metadata.Uid) != nil
		if req.GetWorkloads() == yardarmv1.Workloads_WORKLOADS_KEEP || !enrolled {
			return as(&hubv1.DeleteClusterResponse{}), c.endCluster(row)
		}
		if row.GetSpec().GetRemoval() != nil {
			return waitsFor(row), nil // asked for before; it goes on
		}
		if row.GetSpec().GetBan() != nil {
			return nil, precondition(reasonState, yardarmv1.KindCluster, row.Metadata.Name, fmt.Sprintf(
				"cluster %q is banned, so its spoke cannot be told to remove anything; unban it first, or delete it and keep its workloads (`--keep`)", row.Metadata.Name))
		}
		next := proto.CloneOf(row)
		if next.Spec == nil {
			next.Spec = &yardarmv1.ClusterSpec{}
		}
		next.Spec.Removal = &yardarmv1.Removal{Workloads: req.GetWorkloads(), Time: c.time(), Actor: c.actor}
		next.Metadata.DeletionTimestamp = c.time()
		next.Metadata.Generation++
		if err := c.PutCluster(next); err != nil {
			return nil, err
		}
		return waitsFor(next), c.event(&yardarmv1.Event{Reason: "ClusterDeleting", Cluster: row.Metadata.Name, Message: "its spoke is to remove the workloads first"})
	})
}

// waitsFor answers with the cluster whose end waits for its spoke.
func waitsFor(row *yardarmv1.Cluster) func(view) *hubv1.DeleteClusterResponse {
	return func(v view) *hubv1.DeleteClusterResponse {
		return &hubv1.DeleteClusterResponse{Cluster: v.cluster(row)}
	}
}

// endCluster removes the row. What the spoke has applied stays; the spoke learns that it is no longer wanted if it comes back.
func (c *change) endCluster(row *yardarmv1.Cluster) error {
	if err := c.DeleteCluster(row.Metadata.Uid); err != nil {
		return err
	}
	if err := c.PutDeletedCluster(&storev1.DeletedCluster{Uid: row.Metadata.Uid, Name: row.Metadata.Name, Time: c.time()}); err != nil {
		return err
	}
	return c.event(&yardarmv1.Event{Reason: "ClusterDeleted", Cluster: row.Metadata.Name, Message: "its workloads are kept"})
}

// checkWorkloads demands that a deletion says what becomes of the workloads.
func checkWorkloads(w yardarmv1.Workloads, what string) error {
	switch w {
	case yardarmv1.Workloads_WORKLOADS_KEEP, yardarmv1.Workloads_WORKLOADS_REMOVE:
		return nil
	case yardarmv1.Workloads_WORKLOADS_UNSPECIFIED:
		return invalid("workloads", fmt.Sprintf("is missing: say whether the %s's objects stay (WORKLOADS_KEEP, `--keep`) or are removed (WORKLOADS_REMOVE, `--remove`)", what))
	}
	return invalid("workloads", fmt.Sprintf("is %d; WORKLOADS_KEEP or WORKLOADS_REMOVE is wanted", w))
}

func clusterNotFound(name string) error {
	return notFound(yardarmv1.KindCluster, clip(name), "`yardarm get clusters` lists them, and `yardarm enroll` makes one")
}
