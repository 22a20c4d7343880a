package source

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/hub/source/webhook"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// good is the result of what has gone well; other results are the words for what is wrong, of which there are a dozen.
const good = "ok"

// metrics of sources. Neither bundles nor repositories have a label: which one fails, `yardarm problems` says.
type metrics struct {
	fetches  *prometheus.CounterVec
	fetched  *prometheus.HistogramVec
	renders  prometheus.Counter
	rendered prometheus.Histogram
	waiting  *prometheus.GaugeVec
	webhooks *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, db *store.Store) *metrics {
	seconds := prometheus.ExponentialBuckets(0.01, 2, 15) // ten milliseconds to three minutes
	m := &metrics{
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yardarm_source_fetches_total", Help: "Times that servers of sources were asked, by kind, and by result: ok, or the reason why they gave nothing."}, []string{"kind", "result"}),
		fetched: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "yardarm_source_fetch_seconds", Help: "How long servers of sources took to be asked, and to give what was new.", Buckets: seconds}, []string{"kind"}),
		renders: prometheus.NewCounter(prometheus.CounterOpts{Name: "yardarm_source_renders_total", Help: "What was found in sources and rendered."}),
		rendered: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "yardarm_source_render_seconds", Help: "How long what was found for a bundle took to be rendered and published, once it had its turn.", Buckets: seconds}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "yardarm_source_waiting", Help: "Repositories that wait for their turn, to be fetched or rendered."}, []string{"turn"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yardarm_source_webhooks_total", Help: "Webhooks for sources, by result: heard, refused (not signed as it should be), or failed."}, []string{"result"}),
	}
	if r != nil {
		r.MustRegister(m.fetches, m.fetched, m.renders, m.rendered, m.waiting, m.webhooks, failing{db})
	}
	return m
}

// heard counts a webhook by what came of it.
func (m *metrics) heard(err error) {
	result := "heard"
	switch {
	case errors.Is(err, webhook.ErrRefused):
		result = "refused"
	case err != nil:
		result = "failed"
	}
	m.webhooks.WithLabelValues(result).Inc()
}

// fetch counts what came of asking a server, for all that follow it: what is about one bundle is no fetch that fails.
func (m *metrics) fetch(k kind, err error, began time.Time) {
	result := good
	var server *reach.Error
	switch {
	case errors.As(err, &server):
		result = server.Reason
	case errors.Is(err, context.DeadlineExceeded):
		result = yardarmv1.SourceUnreachable
	case err != nil:
		result = yardarmv1.SourceHub
	}
	m.fetches.WithLabelValues(string(k), result).Inc()
	m.fetched.WithLabelValues(string(k)).Observe(time.Since(began).Seconds())
}

// failing counts the bundles whose sources fail, from what is shown of them, when that is asked for.
type failing struct{ *store.Store }

var failingDesc = prometheus.NewDesc("yardarm_source_failing", "Bundles whose sources give no new revision, by reason.", []string{"reason"}, nil)

// Describe implements prometheus.Collector.
func (f failing) Describe(ch chan<- *prometheus.Desc) { ch <- failingDesc }

// Collect implements prometheus.Collector.
func (f failing) Collect(ch chan<- prometheus.Metric) {
	reasons := make(map[string]int)
	for _, reason := range yardarmv1.SourceReasons {
		reasons[reason] = 0 // a series that is not there answers no question
	}
	for s := range f.Read().Sources() {
		if p := s.GetProblem(); p != nil {
			reasons[p.Reason]++
		}
	}
	for reason, n := range reasons {
		ch <- prometheus.MustNewConstMetric(failingDesc, prometheus.GaugeValue, float64(n), reason)
	}
}
