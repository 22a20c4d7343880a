package index

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxLabelled is how many bundles have a label of their own: times the phases, as many series as a small Prometheus takes from one target.
	maxLabelled = 1000
	// others is the label of the rest together. No bundle can be called so.
	others = "(others)"
)

// Metrics are figures of the fleet, made from the index when they are asked for: a report costs nothing more for them.
type Metrics struct {
	index       *Index
	now         func() time.Time
	clusters    *prometheus.Desc
	bundles     *prometheus.Desc
	unconverged *prometheus.Desc
	seconds     prometheus.Histogram

	mu          sync.Mutex // guards convergence
	convergence convergence
}

// NewMetrics makes those of an index. They are a [prometheus.Collector].
func NewMetrics(x *Index, now func() time.Time) *Metrics {
	m := &Metrics{
		index:    x,
		now:      now,
		clusters: prometheus.NewDesc("yardarm_clusters", "Clusters by presence.", []string{"presence"}, nil),
		bundles: prometheus.NewDesc("yardarm_bundle_clusters",
			"Clusters of bundles by phase; of all beyond the first thousand in the order of names together, as (others).", []string{"bundle", "phase"}, nil),
		unconverged: prometheus.NewDesc("yardarm_oldest_unconverged_seconds",
			"How long the oldest assignment of a connected cluster has not been ready; what is held does not count.", nil, nil),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "yardarm_convergence_seconds",
			Help:    "How long assignments took to be ready, since they changed or were no longer ready, to within a scrape.",
			Buckets: prometheus.ExponentialBuckets(0.5, 2, 14), // half a second to more than an hour
		}),
	}
	m.convergence = convergence{took: func(d time.Duration) { m.seconds.Observe(d.Seconds()) }}
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.clusters
	ch <- m.bundles
	ch <- m.unconverged
	m.seconds.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var figures []prometheus.Metric // sent once the index is free for others
	m.index.Read(func(s *State) {
		now := m.now()
		m.convergence.look(s, now)
		figures = append(m.presences(s), m.phases(s)...)
		figures = append(figures, gauge(m.unconverged, m.convergence.oldest(s, now).Seconds()))
	})
	for _, f := range figures {
		ch <- f
	}
	m.seconds.Collect(ch)
}

func (m *Metrics) presences(s *State) (out []prometheus.Metric) {
	counts := map[string]int{
		yardarmv1.PresenceConnected: 0, yardarmv1.PresenceStale: 0, yardarmv1.PresenceNeverConnected: 0, yardarmv1.PresenceUnknown: 0,
	}
	for c := range s.Clusters() {
		if c.Presence == nil {
			counts[yardarmv1.PresenceNeverConnected]++
			continue
		}
		counts[c.Presence.State]++
	}
	for name, n := range counts {
		out = append(out, gauge(m.clusters, float64(n), name))
	}
	return out
}

func (m *Metrics) phases(s *State) (out []prometheus.Metric) {
	bundles := slices.SortedFunc(s.Bundles(), func(a, b *Bundle) int {
		return strings.Compare(a.Row.GetMetadata().GetName(), b.Row.GetMetadata().GetName())
	})
	labelled := min(len(bundles), maxLabelled)
	for _, b := range bundles[:labelled] {
		out = append(out, m.phasesOf(b.Row.GetMetadata().GetName(), b.Clusters)...)
	}
	if rest := bundles[labelled:]; len(rest) > 0 {
		out = append(out, m.phasesOf(others, total(rest))...)
	}
	return out
}

func (m *Metrics) phasesOf(bundle string, c *yardarmv1.PhaseCounts) []prometheus.Metric {
	return []prometheus.Metric{
		gauge(m.bundles, float64(c.GetReady()), bundle, yardarmv1.PhaseReady),
		gauge(m.bundles, float64(c.GetProgressing()), bundle, yardarmv1.PhaseProgressing),
		gauge(m.bundles, float64(c.GetFailed()), bundle, yardarmv1.PhaseFailed),
		gauge(m.bundles, float64(c.GetHeld()), bundle, yardarmv1.PhaseHeld),
		gauge(m.bundles, float64(c.GetStale()), bundle, yardarmv1.PhaseStale),
		gauge(m.bundles, float64(c.GetNeverConnected()), bundle, yardarmv1.PhaseNeverConnected),
		gauge(m.bundles, float64(c.GetPending()), bundle, yardarmv1.PhasePending),
	}
}

func total(bundles []*Bundle) *yardarmv1.PhaseCounts {
	sum := &yardarmv1.PhaseCounts{}
	for _, b := range bundles {
		c := b.Clusters
		sum.Ready += c.GetReady()
		sum.Progressing += c.GetProgressing()
		sum.Failed += c.GetFailed()
		sum.Held += c.GetHeld()
		sum.Stale += c.GetStale()
		sum.NeverConnected += c.GetNeverConnected()
		sum.Pending += c.GetPending()
	}
	return sum
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}
