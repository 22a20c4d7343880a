package store

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := opened(t, Config{Registerer: registry})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	update(t, s, func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) })
	update(t, s, func(tx *Tx) error { return tx.DeleteToken("t") })
	observe(t, s, func(tx *Tx) error { return tx.PutPresence(&Presence{ClusterUID: "c"}) })
	s.SetReadOnly("test")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			switch f.GetType() {
			case dto.MetricType_HISTOGRAM:
				got[name] = float64(m.Histogram.GetSampleCount())
				got[name+" sum"] = m.Histogram.GetSampleSum()
			default:
				got[name] = m.Gauge.GetValue()
			}
		}
	}
	for name, want := range map[string]float64{
		"yardarm_store_commit_seconds":  3,
		"yardarm_store_commit_rows":     3,
		"yardarm_store_commit_rows sum": 4, // one of them of the history
		"yardarm_store_rows clusters":   1,
		"yardarm_store_rows tokens":     0,
		"yardarm_store_rows presences":  1,
		"yardarm_store_read_only":       1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, %v; want %v", name, v, ok, want)
		}
	}
	if got["yardarm_store_commit_seconds sum"] <= 0 || got["yardarm_store_size_bytes"] < 4096 {
		t.Errorf("commits took %v s, the database has %v bytes", got["yardarm_store_commit_seconds sum"], got["yardarm_store_size_bytes"])
	}
	if _, err := Open(Config{Dir: t.TempDir(), Registerer: registry}); err == nil || !strings.Contains(err.Error(), "duplicate") {
		t.Errorf("a second store on one registry gives %v", err)
	}
	reopened(t, s)
	opened(t, Config{Registerer: registry}) // Close has unregistered the first one
}
