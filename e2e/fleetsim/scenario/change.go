package scenario

import (
	"context"
	"errors"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
)

// change publishes changes of one field to all, one after the other, each once the last one's reports are in.
func change(ctx context.Context, c Config) (_ any, err error) {
	w, err := newFleet(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	found, err := w.measureChanges(ctx, seed.BundleName(0), groupAll, w.Changes)
	if err != nil {
		return nil, err
	}
	spokes := w.started
	if err := w.close(); err != nil {
		return nil, err
	}
	down, up := found.down/float64(spokes), found.up/float64(spokes)
	bare, err := echoFloor(ctx, c, spokes, down, up, c.Changes)
	if err != nil {
		return nil, err
	}
	p99, cost := measure.Percentile(found.samples, 0.99), found.cost()
	return &report.Change{
		Spokes: spokes, Changes: c.Changes,
		P50: measure.Milliseconds(measure.Percentile(found.samples, 0.5)), P99: measure.Milliseconds(p99), Last: measure.Milliseconds(measure.Percentile(found.samples, 1)),
		FloorP99: measure.Milliseconds(bare.p99), Ratio: measure.Ratio(float64(p99), float64(bare.p99)),
		BytesPerSpoke: down, BytesUp: up, ArtifactBytes: artifactSize,
		HubCPU: cost.hub.Seconds(), GeneratorCPU: cost.generator.Seconds(), FloorCPU: bare.cpu.Seconds(),
	}, nil
}

// changes is what changes have shown.
type changes struct {
	// samples are the times from the answer to a publication until a spoke has it.
	samples []time.Duration
	// down and up are the bytes at the sockets, of all spokes, for one change.
	down, up float64
	// each is what each took, in the order in which they were made.
	each []spent
}

// spent is the processor time of one change, and how long it was watched for that: until all was at rest.
type spent struct {
	cost
	took time.Duration
}

// cost is that of one change, in the mean.
func (c changes) cost() (mean cost) {
	for _, one := range c.each {
		mean.hub += one.hub / time.Duration(len(c.each))
		mean.generator += one.generator / time.Duration(len(c.each))
	}
	return mean
}

func (w *world) measureChanges(ctx context.Context, bundle, group string, n int) (out changes, err error) {
	for range n {
		if err := w.settle(ctx); err != nil {
			return changes{}, err
		}
		bytesBefore, err := w.stats()
		if err != nil {
			return changes{}, err
		}
		began := time.Now()
		before, err := w.cost()
		if err != nil {
			return changes{}, err
		}
		revision, answered, err := w.publish(ctx, bundle, group)
		if err != nil {
			return changes{}, err
		}
		times, err := w.awaitRevision(bundle, group, revision)
		if err != nil {
			return changes{}, err
		}
		var last time.Duration
		for _, at := range times {
			// A spoke can have it before the publisher has its answer.
			took := max(at.Sub(answered), 0)
			out.samples, last = append(out.samples, took), max(last, took)
		}
		if err := w.settle(ctx); err != nil {
			return changes{}, err
		}
		after, err := w.cost()
		if err != nil {
			return changes{}, err
		}
		bytesAfter, err := w.stats()
		if err != nil {
			return changes{}, err
		}
		one := spent{after.since(before), time.Since(began)}
		out.each = append(out.each, one)
		out.down += float64(bytesAfter.BytesIn-bytesBefore.BytesIn) / float64(n)
		out.up += float64(bytesAfter.BytesOut-bytesBefore.BytesOut) / float64(n)
		w.say("a change reached %d spokes in %s; CPU of the hub %s, of the spokes %s", len(times), short(last), short(one.hub), short(one.generator))
	}
	return out, nil
}
