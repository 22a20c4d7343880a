package dispatch

import "github.com/prometheus/client_golang/prometheus"

// metrics of the sync path. None has a label of unbounded values.
type metrics struct {
	sessions   prometheus.Gauge
	deltas     prometheus.Counter
	deltaBytes prometheus.Counter
	fetched    prometheus.Counter
	refused    prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		sessions:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "yardarm_sessions", Help: "Sessions of spokes now."}),
		deltas:     prometheus.NewCounter(prometheus.CounterOpts{Name: "yardarm_deltas_total", Help: "Deltas sent."}),
		deltaBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "yardarm_delta_bytes_total", Help: "Bytes of deltas sent, before TLS."}),
		fetched:    prometheus.NewCounter(prometheus.CounterOpts{Name: "yardarm_fetch_bytes_total", Help: "Bytes of contents fetched by spokes."}),
		refused:    prometheus.NewCounter(prometheus.CounterOpts{Name: "yardarm_sessions_deferred_total", Help: "Sessions asked to come back later because many began at once."}),
	}
	if r != nil {
		r.MustRegister(m.sessions, m.deltas, m.deltaBytes, m.fetched, m.refused)
	}
	return m
}
