package api_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// BenchmarkLists lists pages of a fleet of 10,000 clusters that run 20 bundles each, a third of them stale; those that say so, after a change each.
func BenchmarkLists(b *testing.B) {
	const clusters, bundles = 10_000, 20
	h := apitest.Start(b)
	h.Update(b, func(tx *store.Tx) error {
		for i := range clusters {
			uid := fmt.Sprintf("c%05d", i)
			c := &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid, Labels: map[string]string{"env": "prod", "n": fmt.Sprint(i % 10), "share": fmt.Sprint(i % 100)}}}
			if err := tx.PutCluster(c); err != nil {
				return err
			}
			presence := &store.Presence{ClusterUID: uid, State: yardarmv1.PresenceConnected, Confirmed: true}
			if i%3 == 0 {
				presence.State = yardarmv1.PresenceStale
			}
			if err := tx.PutPresence(presence); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := h.Apply(b.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod")}}); err != nil {
		b.Fatal(err)
	}
	for i := range bundles {
		name := fmt.Sprintf("b%02d", i)
		resp, err := h.Publish(b.Context(), &hubv1.Publication{Bundle: name, Groups: []string{"prod"}}, apitest.ConfigMap("", name, "1"))
		if err != nil {
			b.Fatal(err)
		}
		h.Observe(b, func(tx *store.Tx) error {
			for c := range clusters {
				if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: fmt.Sprintf("c%05d", c), Received: timestamppb.Now(),
					Report: &yardarmv1.Report{Bundle: name, BundleUid: resp.Revision.Spec.BundleUid, Phase: yardarmv1.PhaseReady}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	run := func(name string, call func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	changes := 0
	change := func() error {
		changes++
		_, err := h.LabelCluster(b.Context(), &hubv1.LabelClusterRequest{Name: fmt.Sprintf("c%05d", changes%clusters), Overwrite: true,
			Set: map[string]string{"at": fmt.Sprint(changes)}})
		return err
	}
	afterChange := func(name string, call func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			if err := call(); err != nil { // the very first one waits until all is derived
				b.Fatal(err)
			}
			for b.Loop() {
				b.StopTimer()
				if err := change(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	afterChange("clusters filtered and ordered", func() error {
		_, err := h.ListClusters(b.Context(), &hubv1.ListClustersRequest{PageSize: 50, Filter: "share in (3,4,5),bundles.total>0",
			OrderBy: "bundles.stale desc,name desc"})
		return err
	})
	afterChange("facets", func() error {
		_, err := h.GetFacets(b.Context(), &hubv1.GetFacetsRequest{Kind: yardarmv1.KindCluster})
		return err
	})
	afterChange("nothing of the fleet", func() error {
		_, err := h.GetHub(b.Context(), &hubv1.GetHubRequest{})
		return err
	})
	run("change", change)
	run("clusters", func() error {
		_, err := h.ListClusters(b.Context(), &hubv1.ListClustersRequest{PageSize: 50, Selector: "n=3"})
		return err
	})
	run("bundles", func() error {
		_, err := h.ListBundles(b.Context(), &hubv1.ListBundlesRequest{PageSize: 50})
		return err
	})
	run("assignments", func() error {
		_, err := h.ListAssignments(b.Context(), &hubv1.ListAssignmentsRequest{PageSize: 50})
		return err
	})
	run("assignments of a bundle", func() error {
		_, err := h.ListAssignments(b.Context(), &hubv1.ListAssignmentsRequest{PageSize: 50, Bundle: "b07"})
		return err
	})
	run("cluster", func() error {
		_, err := h.GetCluster(b.Context(), &hubv1.GetClusterRequest{Name: "c00100"})
		return err
	})
}
