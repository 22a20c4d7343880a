package drive

import (
	"fmt"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// benchClusters is a large fleet.
const benchClusters = 10_000

// newFleet is a hub with so many clusters, c0 and so on, which are connected, and the first revision of the bundle.
func newFleet(t testing.TB, clusters int, strategy *yardarmv1.RolloutStrategy) *hub {
	h := newHub(t, 0, strategy)
	h.update(func(tx *store.Tx) error {
		for i := range clusters {
			if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprintf("c%d", i), Uid: fmt.Sprintf("c%d", i)}}); err != nil {
				return err
			}
		}
		return nil
	})
	h.presences(clusters, true)
	return h.publish()
}

// presences has the first so many clusters connected, confirmed or not yet, by one commit.
func (h *hub) presences(clusters int, confirmed bool) {
	if err := h.store.Observe(h.t.Context(), func(tx *store.Tx) error {
		for i := range clusters {
			if err := tx.PutPresence(&store.Presence{ClusterUID: fmt.Sprintf("c%d", i), State: yardarmv1.PresenceConnected, Confirmed: confirmed}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
}

// What a report costs in a large fleet.
func BenchmarkReport(b *testing.B) {
	h := newFleet(b, benchClusters, inOrder(&yardarmv1.Stage{Clusters: 1, Approval: yardarmv1.ApprovalAfter}, &yardarmv1.Stage{}))
	uid := ""
	for m := range h.store.Read().RolloutMembers(theBundle) {
		if m.Runs == 1 {
			uid = m.UID
		}
	}
	phases := []string{yardarmv1.PhaseReady, yardarmv1.PhaseProgressing}
	i := 0
	for b.Loop() {
		b.StopTimer()
		h.report(uid, phases[i%2])
		i++
		b.StartTimer()
		h.step()
	}
}

// What it costs that all clusters of a large fleet have changed at once, as when they connect after the hub was away.
func BenchmarkAllClusters(b *testing.B) {
	h := newFleet(b, benchClusters, inOrder(&yardarmv1.Stage{Concurrency: "100%"}))
	for i := range benchClusters {
		h.report(fmt.Sprintf("c%d", i), yardarmv1.PhaseProgressing)
	}
	h.step()
	confirmed := true
	for b.Loop() {
		b.StopTimer()
		confirmed = !confirmed
		h.presences(benchClusters, confirmed)
		b.StartTimer()
		h.step()
	}
}

// What it costs to begin a rollout in a large fleet whose clusters all run the revision before.
func BenchmarkBegin(b *testing.B) {
	h := newFleet(b, benchClusters, inOrder(&yardarmv1.Stage{Concurrency: "100%"}))
	for b.Loop() {
		b.StopTimer()
		for i := range benchClusters {
			h.report(fmt.Sprintf("c%d", i), yardarmv1.PhaseReady)
		}
		h.step()
		b.StartTimer()
		h.publish()
	}
}
