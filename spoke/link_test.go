package spoke

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/yardarm-dev/yardarm/spoke/session"
)

func TestLinkTellsSinceWhenTheHubIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l := link{status: session.Status{Since: began}}
		metric := func(i int) float64 {
			var m dto.Metric
			if err := l.collectors()[i].(prometheus.Metric).Write(&m); err != nil {
				t.Fatal(err)
			}
			return m.GetGauge().GetValue()
		}
		if metric(0) != 0 || metric(1) != 0 {
			t.Errorf("before the first session: connected %v, synced at %v", metric(0), metric(1))
		}
		time.Sleep(time.Minute)
		l.observe(session.Status{Since: time.Now(), Err: errors.New("refused")})
		if got := l.String(); !strings.Contains(got, began.UTC().Format(time.RFC3339)) || !strings.Contains(got, "refused") {
			t.Errorf("before the first session: %s", got)
		}
		l.observe(session.Status{Connected: true, Since: time.Now(), Hub: "hub:1"})
		time.Sleep(time.Minute)
		if metric(0) != 1 || metric(1) != float64(began.Add(2*time.Minute).Unix()) {
			t.Errorf("connected: %v, synced at %v", metric(0), metric(1))
		}
		if got := l.String(); got != "ok: connected to hub:1 since "+began.Add(time.Minute).UTC().Format(time.RFC3339) {
			t.Errorf("connected: %s", got)
		}
		lost := time.Now()
		for range 3 {
			l.observe(session.Status{Since: time.Now(), Err: errors.New("refused")})
			time.Sleep(time.Minute)
		}
		if metric(0) != 0 || metric(1) != float64(lost.Unix()) {
			t.Errorf("lost: connected %v, synced at %v", metric(0), metric(1))
		}
		if got := l.String(); !strings.Contains(got, "without the hub since "+lost.UTC().Format(time.RFC3339)) {
			t.Errorf("lost: %s", got)
		}
	})
}
