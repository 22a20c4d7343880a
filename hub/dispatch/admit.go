package dispatch

import (
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/status"
)

// againBurst is how many sessions of one cluster may begin in a row: a hub that restarts, a network that flaps, and a spoke that is
// restarted meanwhile.
const againBurst = 10

// again bounds how often one cluster's sessions begin. Safe for concurrent use.
type again struct {
	every time.Duration
	mu    sync.Mutex
	// clusters are those whose sessions have begun lately, by uid.
	clusters map[string]*rate.Limiter
}

func newAgain(every time.Duration) *again {
	return &again{every: every, clusters: map[string]*rate.Limiter{}}
}

// wait answers how long it is until a cluster's next session may begin: zero for one that may now, and is counted.
func (a *again) wait(uid string, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.clusters[uid]
	if l == nil {
		l = rate.NewLimiter(rate.Every(a.every), againBurst)
		a.clusters[uid] = l
	}
	if l.AllowN(now, 1) {
		return 0
	}
	return a.every
}

// forget drops the clusters for which it makes no difference any more.
func (a *again) forget(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.clusters, func(_ string, l *rate.Limiter) bool { return l.TokensAt(now) >= againBurst })
}

// admitted waits for the turn of a cluster's session to begin. Its handshake is paid for, so that standing in line is cheaper for both sides
// than coming again; a line that is too long is refused, with the time that it takes to be through. Spokes add as much again,
// at random.
func (s *Server) admitted(ctx context.Context, uid string) error {
	if wait := s.again.wait(uid, time.Now()); wait > 0 {
		s.metrics.refused.Inc()
		return retryLater("this spoke connects again and again; its log says why its streams end", wait)
	}
	turn := s.admit.Reserve()
	wait := turn.Delay()
	if wait > s.AdmitWait {
		turn.Cancel()
		s.metrics.refused.Inc()
		return retryLater("many spokes are connecting; come back in a moment", wait)
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return status.FromContextError(ctx.Err()).Err()
	}
}

// spread is the time over which spokes are to come back to a hub that goes down, or is away: at least the one that is asked for, and
// what it takes to admit them all.
func (s *Server) spread(spokes int, atLeast time.Duration) time.Duration {
	return max(atLeast, time.Duration(float64(spokes)/s.AdmitPerSecond*float64(time.Second)))
}
