package spoke

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/yardarm-dev/yardarm/spoke/session"
)

// link is what is known of the stream to the hub, for metrics and health.
type link struct {
	mu     sync.Mutex
	status session.Status
	synced time.Time // when the stream was last up; zero before the first time
}

// observe takes a change in. A hub that cannot be reached is away since it went, and not since the last attempt.
func (l *link) observe(s session.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.Connected {
		l.synced = time.Now()
	} else if !s.Connected {
		s.Since = l.status.Since
	}
	l.status = s
}

func (l *link) get() session.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// lastSync answers when what the hub assigns was last known to be here: now, while the stream is up.
func (l *link) lastSync() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.Connected {
		return time.Now()
	}
	return l.synced
}

// String is what /readyz answers.
func (l *link) String() string {
	s := l.get()
	since := s.Since.UTC().Format(time.RFC3339)
	if s.Connected {
		return fmt.Sprintf("ok: connected to %s since %s", s.Hub, since)
	}
	return fmt.Sprintf("ok: reconciling without the hub since %s: %v", since, s.Err)
}

func (l *link) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "yardarm_spoke_connected", Help: "1 while the stream to the hub is up.",
		}, func() float64 {
			if l.get().Connected {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "yardarm_spoke_last_sync_timestamp_seconds", Help: "When the stream to the hub was last up: now, while it is; 0 before the first time.",
		}, func() float64 { return unix(l.lastSync()) }),
	}
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
