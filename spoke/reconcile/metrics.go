package reconcile

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what is done.
type metrics struct {
	passes                         prometheus.Histogram
	applied, failed, pruned, drift prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, r *Reconciler) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		passes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "yardarm_spoke_pass_seconds", Help: "Time taken by one pass over a bundle.",
			Buckets: []float64{0.01, 0.05, 0.25, 1, 5, 30, 120},
		}),
		applied: counter("yardarm_spoke_objects_applied_total", "Objects that the API server was asked to apply, and took."),
		failed:  counter("yardarm_spoke_objects_failed_total", "Objects that could not be applied."),
		pruned:  counter("yardarm_spoke_objects_pruned_total", "Objects deleted, or let go."),
		drift:   counter("yardarm_spoke_drift_repairs_total", "Objects applied again because somebody else had changed or deleted them."),
	}
	if registerer == nil {
		return m, nil
	}
	bundles := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "yardarm_spoke_bundles", Help: "Bundles assigned, or being removed."}, func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(len(r.bundles))
	})
	for _, c := range []prometheus.Collector{m.passes, m.applied, m.failed, m.pruned, m.drift, bundles} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) passed(took time.Duration) { m.passes.Observe(took.Seconds()) }
