package reconcile

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/health"
)

// reasonLimit bounds the values of the label reason. Some reasons come from objects of the cluster, which can say anything.
const reasonLimit = 50

// Values of labels.
const (
	resultApplied = "applied"
	resultReady   = "ready"
	resultWaiting = "waiting"
	resultFailing = "failing"
	resultError   = "error"

	outcomeCorrected = "corrected"
	outcomeFailed    = "failed"
	outcomeContended = "contended"
	outcomeReported  = "reported"

	resultPruned   = "pruned"
	resultReleased = "released"

	reasonOther = "Other"
)

// metrics count what is done. Each label has few values, and none names a bundle or an object.
type metrics struct {
	bundles  *prometheus.GaugeVec   // by phase
	applies  *prometheus.CounterVec // by result
	drift    *prometheus.CounterVec // by mode and outcome
	prunes   *prometheus.CounterVec // by result
	problems *prometheus.CounterVec // by reason
	checks   *prometheus.CounterVec // by result
	passes   prometheus.Histogram
	queued   prometheus.Histogram

	mu      sync.Mutex
	reasons map[string]bool // guarded by mu; those that have a value of their own
}

func newMetrics(registerer prometheus.Registerer, r *Reconciler) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: []float64{0.01, 0.05, 0.25, 1, 5, 30, 120}})
	}
	m := &metrics{
		bundles:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "yardarm_spoke_bundles", Help: "Bundles assigned, or being removed, by phase."}, []string{"phase"}),
		applies:  counter("yardarm_spoke_apply_total", "Objects that the API server was asked to apply, by what came of it: applied, refused, waiting for something else, unavailable.", "result"),
		drift:    counter("yardarm_spoke_drift_total", "Objects found changed or deleted, by the drift mode and by what came of it.", "mode", "outcome"),
		prunes:   counter("yardarm_spoke_prune_total", "Objects that left their bundle, by what came of them: pruned, or released and left in the cluster.", "result"),
		problems: counter("yardarm_spoke_problems_total", "Problems of objects that have begun, by reason.", "reason"),
		checks:   counter("yardarm_spoke_health_checks_total", "Looks at the health of an object, by what was seen.", "result"),
		passes:   histogram("yardarm_spoke_pass_seconds", "Time taken by one whole pass over a bundle."),
		queued:   histogram("yardarm_spoke_pass_wait_seconds", "Time that a bundle with something to do waited until its pass began."),
		reasons:  map[string]bool{},
	}
	// What has not happened yet is told as 0, so that a first time is a change.
	for _, result := range []string{resultApplied, resultOf(apply.Terminal), resultOf(apply.Waiting), resultOf(apply.Transient)} {
		m.applies.WithLabelValues(result)
	}
	for _, result := range []string{resultPruned, resultReleased} {
		m.prunes.WithLabelValues(result)
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.bundles, m.applies, m.drift, m.prunes, m.problems, m.checks, m.passes, m.queued,
		queueAge("passes", r.oldestWake), queueAge("events", r.events.Oldest),
	} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// queueAge says how long the oldest entry of a queue has waited; 0 if there is none.
func queueAge(queue string, oldest func() time.Time) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "yardarm_spoke_queue_age_seconds", Help: "How long that has waited which waits longest, by queue.", ConstLabels: prometheus.Labels{"queue": queue},
	}, func() float64 {
		if since := oldest(); !since.IsZero() {
			return time.Since(since).Seconds()
		}
		return 0
	})
}

// oldestWake answers since when the bundle waits for its turn that waits longest.
func (r *Reconciler) oldestWake() (oldest time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bundles {
		b.mu.Lock()
		woken := b.woken
		b.mu.Unlock()
		if !woken.IsZero() && (oldest.IsZero() || woken.Before(oldest)) {
			oldest = woken
		}
	}
	return oldest
}

// applied counts what came of objects that were to be applied.
func (m *metrics) applied(set *apply.ChangeSet) {
	m.applies.WithLabelValues(resultApplied).Add(float64(len(set.Applied)))
	for _, p := range set.Problems {
		m.applies.WithLabelValues(resultOf(p.Retry)).Inc()
	}
}

func resultOf(r apply.Retry) string {
	switch r {
	case apply.Waiting:
		return "waiting"
	case apply.Transient:
		return "unavailable"
	}
	return "refused"
}

// checked counts a look at an object's health.
func (m *metrics) checked(state health.State, err error) {
	result := resultReady
	switch {
	case err != nil:
		result = resultError
	case state == health.Waiting:
		result = resultWaiting
	case state == health.Failing:
		result = resultFailing
	}
	m.checks.WithLabelValues(result).Inc()
}

// problem counts one that has begun.
func (m *metrics) problem(reason string) {
	m.mu.Lock()
	if !m.reasons[reason] && len(m.reasons) >= reasonLimit {
		reason = reasonOther
	} else {
		m.reasons[reason] = true
	}
	m.mu.Unlock()
	m.problems.WithLabelValues(reason).Inc()
}

// phase moves a bundle from one phase to another; an empty one is none.
func (m *metrics) phase(from, to string) {
	if from != "" {
		m.bundles.WithLabelValues(from).Dec()
	}
	if to != "" {
		m.bundles.WithLabelValues(to).Inc()
	}
}
