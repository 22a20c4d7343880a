// Package clustertest starts real Kubernetes control planes for a test; see package cluster.
package clustertest

import (
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
)

// Start starts a fleet of the given clusters, sharing one etcd, and stops it at the test's end. It fails
// the test if that does not work, and skips it under -short: the first build of the programs takes minutes.
//
//	fleet := clustertest.Start(t, cluster.Spec{Name: "a"}, cluster.Spec{Name: "b", Nodes: 2})
func Start(t testing.TB, clusters ...cluster.Spec) *cluster.Fleet {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real control planes")
	}
	fleet, err := cluster.Start(t.Context(), cluster.Config{Clusters: clusters, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Stop(); err != nil {
			t.Error(err)
		}
	})
	return fleet
}
