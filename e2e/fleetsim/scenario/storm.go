package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// writeEvery is the pause between changes that are made during a storm.
const writeEvery = 20 * time.Millisecond

// storm kills the hub, starts it again, and waits until all spokes are back and what they observe is confirmed.
func storm(ctx context.Context, c Config) (_ any, err error) {
	if c.Given != nil {
		return nil, errGiven
	}
	full, resumed, err := handshakeFloor(ctx, c)
	if err != nil {
		return nil, err
	}
	w, err := newFleet(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	steady, err := w.hub.memory()
	if err != nil {
		return nil, err
	}
	before, err := w.stats()
	if err != nil {
		return nil, err
	}
	generator, err := w.generatorCPU()
	if err != nil {
		return nil, err
	}
	w.say("killing the hub")
	if err := w.hub.kill(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.hub.start(ctx); err != nil {
		return nil, err
	}
	w.say("the hub serves again after %s", short(time.Since(began)))
	stopWriting := w.write(ctx)
	last, err := w.awaitConnected()
	writes, writeErr := stopWriting()
	if err := errors.Join(err, writeErr); err != nil {
		return nil, err
	}
	w.say("all are connected after %s", short(last.Sub(began)))
	converged, err := w.awaitConfirmed(ctx, last)
	if err != nil {
		return nil, err
	}
	waited, err := w.stats() // each look at them forgets the wait
	if err != nil {
		return nil, err
	}
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	after, err := w.stats()
	if err != nil {
		return nil, err
	}
	memory, err := w.hub.memory()
	if err != nil {
		return nil, err
	}
	hubCPU, err := w.hub.cpu()
	if err != nil {
		return nil, err
	}
	generatorAfter, err := w.generatorCPU()
	if err != nil {
		return nil, err
	}
	n := float64(w.started)
	if err := w.close(); err != nil {
		return nil, err
	}
	// The machine may be faster now than it was: the faster floor is the one to be beside.
	fullAfter, resumedAfter, err := handshakeFloor(ctx, c)
	if err != nil {
		return nil, err
	}
	full, resumed = max(full, fullAfter), max(resumed, resumedAfter)
	took := converged.Sub(began)
	w.say("converged after %s; the longest wait was %s; %.0f bytes at each socket", short(took), short(waited.LongestWait),
		float64(after.BytesIn+after.BytesOut-before.BytesIn-before.BytesOut)/n)
	beyond := max(took-waited.LongestWait, 0)
	return &report.Storm{
		Spokes: w.started, ConvergedSeconds: took.Seconds(), JitterWindow: waited.LongestWait.Seconds(),
		FloorFull: n / full, FloorResumed: n / resumed, Ratio: measure.Ratio(beyond.Seconds(), n/full),
		ResyncBytesPerSpoke: float64(after.MessageBytes-before.MessageBytes) / n,
		SocketBytesPerSpoke: float64(after.BytesIn+after.BytesOut-before.BytesIn-before.BytesOut) / n,
		RSSPeakRatio:        measure.Ratio(float64(memory.Peak), float64(steady.Resident)),
		Writes:              len(writes), WriteP99: measure.Milliseconds(measure.Percentile(writes, 0.99)),
		HubCPU: hubCPU.Seconds(), GeneratorCPU: (generatorAfter - generator).Seconds(),
	}, nil
}

// write makes one change after another that concerns no cluster, as a person at work does, until it is told to stop; then it
// answers how long each took.
func (w *world) write(ctx context.Context) (stop func() ([]time.Duration, error)) {
	ctx, cancel := context.WithCancel(ctx)
	var took []time.Duration
	var writer errgroup.Group
	writer.Go(func() error {
		for i := 0; ; i++ {
			began := time.Now()
			_, err := w.hub.client.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("fleetsim-nobody", fmt.Sprintf("nobody-%d", i))}})
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("write during the storm: %w", err)
			}
			took = append(took, time.Since(began))
			if pause(ctx, writeEvery) != nil {
				return nil
			}
		}
	})
	return func() ([]time.Duration, error) {
		cancel()
		err := writer.Wait()
		return took, err
	}
}

// awaitConfirmed waits until the hub shows all clusters as connected and what it knows of them as confirmed, and answers when:
// the time given, which is when the last was welcomed, if it shows so at the first look.
func (w *world) awaitConfirmed(ctx context.Context, welcomed time.Time) (time.Time, error) {
	deadline := time.Now().Add(patience)
	for at := welcomed; ; at = time.Now() {
		n, err := w.confirmed(ctx)
		if err != nil {
			return at, err
		}
		if n == w.started {
			return at, nil
		}
		if time.Now().After(deadline) {
			return at, fmt.Errorf("the observed state of %d of %d clusters is confirmed", n, w.started)
		}
		if err := pause(ctx, quietEvery); err != nil {
			return at, err
		}
	}
}

func (w *world) confirmed(ctx context.Context) (n int, err error) {
	for cluster, err := range w.hub.client.Clusters(ctx, &hubv1.ListClustersRequest{Group: groupAll, PageSize: 1000}) {
		if err != nil {
			return 0, fmt.Errorf("list clusters: %w", err)
		}
		if cluster.Status.GetPresence() == yardarmv1.PresenceConnected && cluster.Status.GetConfirmed() {
			n++
		}
	}
	return n, nil
}
