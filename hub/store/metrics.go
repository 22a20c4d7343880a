package store

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// metrics are the store's figures. It is a collector of its own, so that gathering asks for the current values.
type metrics struct {
	registerer prometheus.Registerer
	commits    prometheus.Histogram
	commitRows prometheus.Histogram
	rows       *prometheus.Desc
	size       *prometheus.Desc
	readOnly   *prometheus.Desc
	counts     [tableCount]atomic.Int64
	store      *Store
}

func newMetrics(registerer prometheus.Registerer, s *Store) (*metrics, error) {
	m := &metrics{
		registerer: registerer,
		store:      s,
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "yardarm_store_commit_seconds",
			Help: "How long commits take to be on disk.",
			// 0.1 ms to 3 s: from a fast local disk to a volume in trouble.
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		commitRows: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "yardarm_store_commit_rows",
			Help:    "How many rows commits write.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7), // 1 to 4096, the largest flush
		}),
		rows:     prometheus.NewDesc("yardarm_store_rows", "Rows in memory.", []string{"table"}, nil),
		size:     prometheus.NewDesc("yardarm_store_size_bytes", "Size of the database on disk.", nil, nil),
		readOnly: prometheus.NewDesc("yardarm_store_read_only", "1 while the store takes no changes.", nil, nil),
	}
	m.setRows(&s.state)
	if registerer == nil {
		return m, nil
	}
	return m, registerer.Register(m)
}

func (m *metrics) unregister() {
	if m.registerer != nil {
		m.registerer.Unregister(m)
	}
}

func (m *metrics) observeCommit(d time.Duration, rows int) {
	m.commits.Observe(d.Seconds())
	m.commitRows.Observe(float64(rows))
}

func (m *metrics) setRows(s *state) {
	if m == nil {
		return // while loading
	}
	for t, n := range s.rows {
		m.counts[t].Store(int64(n))
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.commits.Describe(ch)
	m.commitRows.Describe(ch)
	ch <- m.rows
	ch <- m.size
	ch <- m.readOnly
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.commits.Collect(ch)
	m.commitRows.Collect(ch)
	for t := range meta {
		ch <- prometheus.MustNewConstMetric(m.rows, prometheus.GaugeValue, float64(m.counts[t].Load()), t.String())
	}
	ch <- prometheus.MustNewConstMetric(m.size, prometheus.GaugeValue, float64(m.store.log.Size()))
	readOnly := 0.0
	if m.store.ReadOnly() != "" || errors.Is(m.store.usable(), ErrReadOnly) {
		readOnly = 1
	}
	ch <- prometheus.MustNewConstMetric(m.readOnly, prometheus.GaugeValue, readOnly)
}

// commitCount returns how many commits there have been.
func (m *metrics) commitCount() uint64 {
	var out dto.Metric
	if err := m.commits.Write(&out); err != nil {
		return 0
	}
	return out.GetHistogram().GetSampleCount()
}
