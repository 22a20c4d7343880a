package spokes

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// enrolling is how many spokes enrol at a time: enough to keep two cores busy, few enough that none waits long.
const enrolling = 32

// pollEvery is how often a fleet is looked at while something is awaited.
const pollEvery = 5 * time.Millisecond

// Cluster is one that is to be enrolled. Its region is what its spoke says it is in; it may be empty.
type Cluster struct{ Name, Token, Region string }

// Fleet is the spokes of this process. Its methods are safe for concurrent use.
type Fleet struct {
	hub      string
	contents *sharedContents
	waits    waits
	spokes   []*spoke
	play     func(cluster string, r *yardarmv1.Report)
	stalled  []*spoke

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	connected atomic.Int64
	// drops counts streams that have ended, and last is when one was welcomed last, in Unix nanoseconds.
	drops atomic.Int64
	last  atomic.Int64

	mu   sync.Mutex
	came map[change][]time.Time
	err  error // the first that a spoke has ended with
}

type change struct {
	bundle   string
	revision uint32
}

// Enrol enrols a spoke for each cluster at the hub (host:port). They dial from addresses of 127.NET.0.0/16, 200 spokes from each.
func Enrol(ctx context.Context, hub string, network int, clusters []Cluster) (*Fleet, error) {
	f := &Fleet{hub: hub, contents: newSharedContents(), came: map[change][]time.Time{}, play: func(string, *yardarmv1.Report) {}, spokes: make([]*spoke, len(clusters))}
	f.ctx, f.stop = context.WithCancel(context.Background())
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(enrolling)
	for i, c := range clusters {
		group.Go(func() error {
			s, err := enrol(ctx, f, c, net.IPv4(127, byte(network), byte(i/200/250), byte(1+i/200%250)))
			if err != nil {
				return fmt.Errorf("enrol %s: %w", c.Name, err)
			}
			f.spokes[i] = s
			return nil
		})
	}
	return f, group.Wait()
}

// Play has what spokes report changed before they do, since otherwise all is ready at once. It is called before Start.
func (f *Fleet) Play(change func(cluster string, r *yardarmv1.Report)) { f.play = change }

// Again has a spoke report anew about a bundle, by what Play makes of it now.
func (f *Fleet) Again(spoke int, bundle string) { f.spokes[spoke].again(bundle) }

// Start starts the first n spokes that do not run yet, spread over a time.
func (f *Fleet) Start(from, to int, over time.Duration) {
	spokes := f.spokes[from:to]
	for i, s := range spokes {
		f.running.Go(func() {
			select {
			case <-f.ctx.Done():
				return
			case <-time.After(over * time.Duration(i) / time.Duration(len(spokes))):
			}
			if err := s.run(f.ctx); err != nil {
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.err == nil {
					f.err = err
				}
			}
		})
	}
}

// Stall has some spokes read nothing any more, and all others read, until it is called again, or Stop.
func (f *Fleet) Stall(from, to int) {
	for _, s := range f.stalled {
		s.traffic.stalled.Unlock()
	}
	f.stalled = f.spokes[from:to]
	for _, s := range f.stalled {
		s.traffic.stalled.Lock()
	}
}

// Stop ends all spokes without a word.
func (f *Fleet) Stop() {
	f.stop()
	for _, s := range f.stalled {
		s.traffic.stalled.Unlock()
	}
	f.running.Wait()
}

// turned notes that a spoke's stream is there, or is there no more.
func (f *Fleet) turned(connected bool) {
	if connected {
		f.last.Store(time.Now().UnixNano())
		f.connected.Add(1)
		return
	}
	f.connected.Add(-1)
	f.drops.Add(1)
}

// persisted notes that a spoke has a revision on its disk, and is about to acknowledge it.
func (f *Fleet) persisted(bundle string, revision uint32, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := change{bundle, revision}
	f.came[c] = append(f.came[c], at)
}

// AwaitConnected waits until n spokes are connected, and answers when the last of them was welcomed.
func (f *Fleet) AwaitConnected(ctx context.Context, n int) (time.Time, error) {
	err := f.await(ctx, func() bool { return int(f.connected.Load()) >= n })
	if err != nil {
		err = fmt.Errorf("%d of %d spokes are connected: %w", f.connected.Load(), n, err)
	}
	return time.Unix(0, f.last.Load()), err
}

// AwaitRevision waits until n spokes have a revision of a bundle, with its content, on their disks, and answers when.
func (f *Fleet) AwaitRevision(ctx context.Context, bundle string, revision uint32, n int) ([]time.Time, error) {
	var times []time.Time
	err := f.await(ctx, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		times = f.came[change{bundle, revision}]
		return len(times) >= n
	})
	if err != nil {
		err = fmt.Errorf("%d of %d spokes have revision %d of %s: %w", len(times), n, revision, bundle, err)
	}
	return times, err
}

func (f *Fleet) await(ctx context.Context, done func() bool) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for !done() {
		f.mu.Lock()
		err := f.err
		f.mu.Unlock()
		if err != nil {
			return fmt.Errorf("a spoke has ended: %w", err)
		}
		select {
		case <-ctx.Done():
			_, warning := f.waits.take()
			return fmt.Errorf("%w; the last that a spoke said: %q", ctx.Err(), warning)
		case <-ticker.C:
		}
	}
	return nil
}

// Stats are a fleet's, summed up.
type Stats struct {
	Connected, Drops int
	// BytesIn and BytesOut are those at the sockets, and MessageBytes those of gRPC's messages, both ways.
	BytesIn, BytesOut, MessageBytes int64
	// LongestWait is the longest that a spoke has waited before it dialled again, since the last Stats.
	LongestWait time.Duration
	// Warning is the newest one since then.
	Warning string
}

// Stats answers them as of now.
func (f *Fleet) Stats() Stats {
	s := Stats{Connected: int(f.connected.Load()), Drops: int(f.drops.Load())}
	for _, spoke := range f.spokes {
		s.BytesIn += spoke.traffic.in.Load()
		s.BytesOut += spoke.traffic.out.Load()
		s.MessageBytes += spoke.traffic.messages.Load()
	}
	s.LongestWait, s.Warning = f.waits.take()
	return s
}
