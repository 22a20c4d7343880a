package worker

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/spokes"
)

// Spokes is the service that runs spokes.
type Spokes struct{ fleet *spokes.Fleet }

// EnrolArgs say whom to enrol, where, and from which network 127.NETWORK.0.0/16.
type EnrolArgs struct {
	Hub      string
	Network  int
	Clusters []spokes.Cluster
	Timeout  time.Duration
}

// Enrol is called first.
func (s *Spokes) Enrol(args EnrolArgs, _ *none) error {
	ctx, cancel := context.WithTimeout(context.Background(), args.Timeout)
	defer cancel()
	debug.SetGCPercent(crowdPercent)
	var err error
	s.fleet, err = spokes.Enrol(ctx, args.Hub, args.Network, args.Clusters)
	return err
}

// StartArgs say which spokes to start, and over which time.
type StartArgs struct {
	From, To int
	Over     time.Duration
}

// Start starts spokes.
func (s *Spokes) Start(args StartArgs, _ *none) error {
	s.fleet.Start(args.From, args.To, args.Over)
	return nil
}

// StallArgs say which spokes are to read nothing, of all.
type StallArgs struct{ From, To int }

// Stall stalls some spokes, and has all others read.
func (s *Spokes) Stall(args StallArgs, _ *none) error {
	s.fleet.Stall(args.From, args.To)
	return nil
}

// AwaitArgs say what is awaited of how many spokes: that they are connected, or that they have a revision.
type AwaitArgs struct {
	N        int
	Bundle   string
	Revision uint32
	Timeout  time.Duration
}

// AwaitConnected answers when the last of them was welcomed.
func (s *Spokes) AwaitConnected(args AwaitArgs, last *time.Time) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), args.Timeout)
	defer cancel()
	*last, err = s.fleet.AwaitConnected(ctx, args.N)
	return err
}

// AwaitRevision answers when they had it on disk.
func (s *Spokes) AwaitRevision(args AwaitArgs, times *[]time.Time) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), args.Timeout)
	defer cancel()
	*times, err = s.fleet.AwaitRevision(ctx, args.Bundle, args.Revision, args.N)
	return err
}

// Stats answers what the spokes have seen so far.
func (s *Spokes) Stats(_ none, stats *spokes.Stats) error {
	*stats = s.fleet.Stats()
	return nil
}

// Enrol enrols clusters in the worker.
func (w *Worker) Enrol(args EnrolArgs) error { return w.call("Spokes.Enrol", args, new(none)) }

// Start starts spokes of the worker.
func (w *Worker) Start(args StartArgs) error { return w.call("Spokes.Start", args, new(none)) }

// Stall has some spokes of the worker read nothing, and all others read.
func (w *Worker) Stall(args StallArgs) error { return w.call("Spokes.Stall", args, new(none)) }

// AwaitConnected waits for n spokes of the worker, and answers when the last of them was welcomed.
func (w *Worker) AwaitConnected(n int, timeout time.Duration) (last time.Time, err error) {
	err = w.call("Spokes.AwaitConnected", AwaitArgs{N: n, Timeout: timeout}, &last)
	return last, err
}

// AwaitRevision waits until n spokes of the worker have a revision, and answers when.
func (w *Worker) AwaitRevision(bundle string, revision uint32, n int, timeout time.Duration) (times []time.Time, err error) {
	err = w.call("Spokes.AwaitRevision", AwaitArgs{N: n, Bundle: bundle, Revision: revision, Timeout: timeout}, &times)
	return times, err
}

// Stats answers what the worker's spokes have seen so far.
func (w *Worker) Stats() (stats spokes.Stats, err error) {
	err = w.call("Spokes.Stats", none(false), &stats)
	return stats, err
}
