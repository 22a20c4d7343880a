package index

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// gathered are the metrics' values by name and labels' values; of histograms the count, and the sum with "_sum".
func gathered(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			name := []string{f.GetName()}
			for _, l := range metric.GetLabel() {
				name = append(name, l.GetValue())
			}
			key := strings.Join(name, " ")
			if f.GetType() == dto.MetricType_HISTOGRAM {
				out[key], out[key+"_sum"] = float64(metric.GetHistogram().GetSampleCount()), metric.GetHistogram().GetSampleSum()
				continue
			}
			out[key] = metric.GetGauge().GetValue()
		}
	}
	return out
}

func TestMetricsFollowConvergence(t *testing.T) {
	f := newFleet(t)
	f.seed(3, 1)
	now := time.Unix(1_800_000_000, 0)
	m := NewMetrics(f.index, func() time.Time { return now })
	presence := func(cluster, state string) {
		f.update(func(tx *store.Tx) error {
			return tx.PutPresence(&store.Presence{ClusterUID: "uid-" + cluster, State: state, Confirmed: state == yardarmv1.PresenceConnected})
		})
	}
	reports := func(cluster, phase string) {
		f.observe(func(tx *store.Tx) error { return report(tx, cluster, "b0", phase) })
	}
	expect := func(what string, want map[string]float64) {
		t.Helper()
		got := gathered(t, m)
		for key, value := range want {
			if have, ok := got[key]; !ok || have != value {
				t.Errorf("%s: %s is %v (%v), want %v", what, key, have, ok, value)
			}
		}
	}
	const oldest, seconds = "yardarm_oldest_unconverged_seconds", "yardarm_convergence_seconds"

	expect("all ready", map[string]float64{
		"yardarm_clusters Connected": 3, "yardarm_clusters Stale": 0, "yardarm_bundle_clusters b0 Ready": 3, oldest: 0, seconds: 0,
	})
	f.update(func(tx *store.Tx) error { return putBundle(tx, "b0", 2, "g0") })
	now = now.Add(10 * time.Second)
	expect("published", map[string]float64{"yardarm_bundle_clusters b0 Pending": 3, oldest: 10, seconds: 0})
	reports("c0", yardarmv1.PhaseReady)
	reports("c1", yardarmv1.PhaseFailed)
	now = now.Add(20 * time.Second)
	expect("one is ready", map[string]float64{"yardarm_bundle_clusters b0 Failed": 1, oldest: 30, seconds: 1, seconds + "_sum": 30})
	presence("c1", yardarmv1.PresenceStale)
	reports("c2", yardarmv1.PhaseReady)
	expect("the last is stale", map[string]float64{"yardarm_clusters Stale": 1, "yardarm_bundle_clusters b0 Stale": 1, oldest: 0, seconds: 2})
	// It comes back as it was, which is no new beginning.
	presence("c1", yardarmv1.PresenceConnected)
	now = now.Add(10 * time.Second)
	expect("it is back", map[string]float64{oldest: 40, seconds: 2})
	reports("c1", yardarmv1.PhaseReady)
	expect("all are ready", map[string]float64{oldest: 0, seconds: 3, seconds + "_sum": 100})
	// A change that came true between two looks counts too.
	now = now.Add(time.Second)
	f.update(func(tx *store.Tx) error { return putBundle(tx, "b0", 3, "g0") })
	for _, c := range []string{"c0", "c1", "c2"} {
		reports(c, yardarmv1.PhaseReady)
	}
	expect("at once", map[string]float64{oldest: 0, seconds: 6, seconds + "_sum": 103})
	// A spoke that leaves and returns with what was ready before has not converged again.
	presence("c0", yardarmv1.PresenceStale)
	expect("c0 is stale", map[string]float64{"yardarm_clusters Stale": 1, seconds: 6})
	presence("c0", yardarmv1.PresenceConnected)
	expect("c0 is back", map[string]float64{"yardarm_clusters Stale": 0, oldest: 0, seconds: 6})
	// What is held waits for an operator, and is not late.
	reports("c1", yardarmv1.PhaseFailed)
	expect("c1 fails", map[string]float64{"yardarm_bundle_clusters b0 Failed": 1})
	now = now.Add(time.Minute)
	reports("c1", yardarmv1.PhaseHeld)
	expect("c1 is held", map[string]float64{"yardarm_bundle_clusters b0 Held": 1, oldest: 0, seconds: 6})
	f.update(func(tx *store.Tx) error { return tx.DeleteBundle("uid-b0") })
	expect("gone", map[string]float64{oldest: 0, seconds: 6})
}
