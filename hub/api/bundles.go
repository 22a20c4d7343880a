package api

import (
	"context"
	"fmt"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ListBundles implements FleetService.
func (s *Server) ListBundles(ctx context.Context, req *hubv1.ListBundlesRequest) (*hubv1.ListBundlesResponse, error) {
	labels, err := selector.Parse(req.GetSelector())
	if err != nil {
		return nil, invalid("selector", err.Error())
	}
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), fmt.Sprintf("bundles %q", labels)}
	p, err := paginate(list, bundleFields, func(add func(*index.Bundle)) {
		s.read(ctx, func(v view, state *index.State) {
			for b := range state.Bundles() {
				if labels.Matches(b.Row.Metadata.Labels) && v.seesBundle(b.Row) {
					add(v.bundlePart(b))
				}
			}
		})
	}, showBundle)
	if err != nil {
		return nil, err
	}
	return &hubv1.ListBundlesResponse{Bundles: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetBundle implements FleetService.
func (s *Server) GetBundle(ctx context.Context, req *hubv1.GetBundleRequest) (*yardarmv1.Bundle, error) {
	v := s.view(ctx)
	b := v.BundleByName(req.GetName())
	if b == nil {
		return nil, bundleNotFound(req.GetName())
	}
	return v.bundle(b), nil
}

// DeleteBundle implements FleetService. The row that remembers the deletion is what spokes are told to let go by.
func (s *Server) DeleteBundle(ctx context.Context, req *hubv1.DeleteBundleRequest) (*hubv1.DeleteBundleResponse, error) {
	if err := checkWorkloads(req.GetWorkloads(), "bundle"); err != nil {
		return nil, err
	}
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteBundleResponse, error) {
		b := c.BundleByName(req.GetName())
		if b == nil {
			return nil, bundleNotFound(req.GetName())
		}
		if err := checkVersion(yardarmv1.KindBundle, b.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		digests := make(map[string]bool)
		for r := range c.Revisions(b.Metadata.Uid) {
			for _, digest := range r.GetSpec().Digests() {
				digests[digest] = true
			}
		}
		if err := c.DeleteBundle(b.Metadata.Uid); err != nil {
			return nil, err
		}
		for digest := range digests {
			if isEmpty(c.RevisionsWith(digest)) {
				if err := c.DeleteArtifact(digest); err != nil {
					return nil, err
				}
			}
		}
		if err := c.PutDeletedBundle(&storev1.DeletedBundle{Uid: b.Metadata.Uid, Name: b.Metadata.Name, Workloads: req.GetWorkloads(), Time: c.time()}); err != nil {
			return nil, err
		}
		message := "its objects are kept in the clusters, unmanaged"
		if req.GetWorkloads() == yardarmv1.Workloads_WORKLOADS_REMOVE {
			message = "its objects are removed from the clusters"
		}
		return as(&hubv1.DeleteBundleResponse{}), c.event(&yardarmv1.Event{Reason: "BundleDeleted", Bundle: b.Metadata.Name, Message: message})
	})
}

func bundleNotFound(name string) error {
	return notFound(yardarmv1.KindBundle, clip(name), "`yardarm get bundles` lists them, and `yardarm publish` makes one")
}
