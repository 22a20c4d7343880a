package admission

import "github.com/prometheus/client_golang/prometheus"

// metrics of one port.
type metrics struct {
	full, resumed, failed, turnedAway prometheus.Counter
}

func newMetrics(r prometheus.Registerer, port string, waiting func() int) *metrics {
	labels := prometheus.Labels{"port": port}
	handshakes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "yardarm_handshakes_total", Help: "TLS handshakes: full, resumed (which cost less), or failed.", ConstLabels: labels,
	}, []string{"kind"})
	m := &metrics{
		full: handshakes.WithLabelValues("full"), resumed: handshakes.WithLabelValues("resumed"), failed: handshakes.WithLabelValues("failed"),
		turnedAway: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "yardarm_connections_turned_away_total", Help: "Connections closed because too many strangers were there.", ConstLabels: labels,
		}),
	}
	if r != nil {
		r.MustRegister(handshakes, m.turnedAway, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "yardarm_connections_strangers", Help: "Connections of which it is not known who they are.", ConstLabels: labels,
		}, func() float64 { return float64(waiting()) }))
	}
	return m
}
