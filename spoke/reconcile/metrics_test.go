package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/event"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// metric answers the value of a counter or gauge, or the count of a histogram; labels are names and values. 0 if there is none.
func (s *spoke) metric(name string, labels ...string) float64 {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if slices.Equal(pairs(m), labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

// metricsAlone answers metrics of a reconciler that does nothing.
func metricsAlone(t *testing.T) (*spoke, *metrics) {
	events, err := event.New(event.Config{Client: &kube.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	s := &spoke{env: &env{t: t}, metrics: prometheus.NewRegistry()}
	m, err := newMetrics(s.metrics, &Reconciler{events: events})
	if err != nil {
		t.Fatal(err)
	}
	return s, m
}

func pairs(m *dto.Metric) (all []string) {
	for _, l := range m.Label {
		all = append(all, l.GetName(), l.GetValue())
	}
	return all
}

func TestMetricsCountWhatIsDone(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	broken := "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {type: Nonsense, ports: [{port: 80}]}"
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one")}, assignment{bundle: "bad", revision: 1, objects: []string{broken}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.awaitPhase("bad", yardarmv1.PhaseFailed)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	e.assign(assignment{bundle: "web", revision: 2, objects: append(several(2, "one"), deployment)})
	s.await("web", "the deployment is looked at", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 3 })
	e.until("the deployment is looked at", func() bool { return s.metric("yardarm_spoke_health_checks_total", "result", "waiting") > 0 })
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"yardarm_spoke_bundles", []string{"phase", yardarmv1.PhaseProgressing}, 1},
		{"yardarm_spoke_bundles", []string{"phase", yardarmv1.PhaseFailed}, 1},
		{"yardarm_spoke_bundles", []string{"phase", yardarmv1.PhaseReady}, 0},
		{"yardarm_spoke_apply_total", []string{"result", "applied"}, 5},
		{"yardarm_spoke_apply_total", []string{"result", "unavailable"}, 0},
		{"yardarm_spoke_drift_total", []string{"mode", yardarmv1.DriftCorrect, "outcome", "corrected"}, 1},
		{"yardarm_spoke_prune_total", []string{"result", "pruned"}, 1},
		{"yardarm_spoke_problems_total", []string{"reason", "Invalid"}, 1},
	} {
		if got := s.metric(c.name, c.labels...); got != c.want {
			t.Errorf("%s%v: got %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	e.until("nothing waits for a pass", func() bool { return s.metric("yardarm_spoke_queue_age_seconds", "queue", "passes") == 0 })
	// It is tried again after a while.
	if got := s.metric("yardarm_spoke_apply_total", "result", "refused"); got < 1 {
		t.Errorf("%v applies are refused", got)
	}
	for _, name := range []string{"yardarm_spoke_pass_seconds", "yardarm_spoke_pass_wait_seconds"} {
		if got := s.metric(name); got < 4 {
			t.Errorf("%s: %v passes", name, got)
		}
	}
	e.until("events are counted", func() bool { return s.metric("yardarm_spoke_events_total", "result", "written") >= 3 })
	e.tombstone("bad", yardarmv1.Workloads_WORKLOADS_KEEP, true)
	e.until("a bundle that is gone is no more counted", func() bool {
		return s.metric("yardarm_spoke_bundles", "phase", yardarmv1.PhaseFailed)+s.metric("yardarm_spoke_bundles", "phase", yardarmv1.PhaseRemoving) == 0
	})
}

// Reasons come from objects too, which can say anything.
func TestMetricsHaveFewReasons(t *testing.T) {
	s, m := metricsAlone(t)
	for i := range 3 * reasonLimit {
		m.problem(fmt.Sprint("Reason", i))
		m.problem("Reason0")
	}
	if got := s.metric("yardarm_spoke_problems_total", "reason", reasonOther); got != 2*reasonLimit {
		t.Errorf("%v problems of other reasons", got)
	}
	if got := s.metric("yardarm_spoke_problems_total", "reason", "Reason0"); got != 3*reasonLimit+1 {
		t.Errorf("%v problems of the first reason", got)
	}
}

// Names follow from the conventions of Prometheus, and no label names a bundle or an object.
func TestMetricsAreNamedByConvention(t *testing.T) {
	s, m := metricsAlone(t)
	m.problem("Invalid")
	m.applied(&apply.ChangeSet{})
	m.checked(0, nil)
	m.phase("", yardarmv1.PhaseReady)
	m.drift.WithLabelValues(yardarmv1.DriftCorrect, outcomeCorrected)
	m.passes.Observe(time.Second.Seconds())
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) < 7 {
		t.Errorf("%d families", len(families))
	}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "yardarm_spoke_") || (f.GetType() == dto.MetricType_COUNTER) != strings.HasSuffix(name, "_total") || f.GetHelp() == "" {
			t.Errorf("%s %v: %s", name, f.GetType(), f.GetHelp())
		}
		for _, m := range f.Metric {
			for i, label := range pairs(m) {
				if i%2 == 0 && !slices.Contains([]string{"result", "mode", "outcome", "reason", "phase", "queue"}, label) {
					t.Errorf("%s has label %s", name, label)
				}
			}
		}
	}
}
