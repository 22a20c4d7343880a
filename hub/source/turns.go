package source

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// renderMemory is what one bundle that is rendered may take, in bytes: its process, and here what goes in and comes out (package render bounds both).
const renderMemory = 1 << 30

// turns lets so many have a turn at once. Who has waited longest is next: a look waits for one turn at a time, so that a repository of a hundred bundles has its second one
// once each of the others that wait has had its first.
type turns struct {
	*semaphore.Weighted
	// waiting counts those that wait.
	waiting prometheus.Gauge
}

// take waits for a turn, and answers what ends it.
func (t turns) take(ctx context.Context) (end func(), err error) {
	t.waiting.Inc()
	defer t.waiting.Dec()
	if err := t.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { t.Release(1) }, nil
}

// defaultRenders is how many bundles are rendered at once where nobody says: as many as there are processors, and as the hub's memory is enough for, where it is told how much
// it has (GOMEMLIMIT).
func defaultRenders() int {
	n := runtime.GOMAXPROCS(0)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		n = min(n, int(limit/renderMemory))
	}
	return max(1, n)
}
