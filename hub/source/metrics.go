package source

import "github.com/prometheus/client_golang/prometheus"

// metrics of sources. None has a label.
type metrics struct {
	// renders is beside what comes of it: a revision is rendered once, however many clusters run it.
	renders prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{renders: prometheus.NewCounter(prometheus.CounterOpts{Name: "yardarm_source_renders_total", Help: "What was found in sources and rendered."})}
	if r != nil {
		r.MustRegister(m.renders)
	}
	return m
}
