package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
)

const (
	// parallel is how many objects of others are made at a time.
	parallel = 16
	// quietFor is how long a spoke must have asked for nothing before it counts as idle.
	quietFor = 3 * time.Second
)

// makeOthers fills a cluster with objects that are not managed, of kinds that are.
func (w *world) makeOthers(ctx context.Context) error {
	began := time.Now()
	if err := w.with.makeNamespace(ctx, "others"); err != nil {
		return err
	}
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(parallel)
	for i := range w.Others {
		calls.Go(func() error {
			kind, resource := "ConfigMap", configMaps
			if i%4 == 3 {
				kind, resource = "Secret", secrets
			}
			_, err := w.with.dynamic.Resource(resource).Namespace("others").Create(ctx, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": fmt.Sprintf("other-%04d", i), "labels": map[string]any{"app": "other"}},
			}}, metav1.CreateOptions{})
			return err
		})
	}
	if err := calls.Wait(); err != nil {
		return fmt.Errorf("make the objects of others: %w", err)
	}
	w.say("%d objects of others made in %s", w.Others, short(time.Since(began)))
	return nil
}

// churn publishes one revision after the other of all that is managed, and answers the last one's number.
func (w *world) churn(ctx context.Context, revision int) (int, error) {
	began := time.Now()
	for n := range w.Revisions {
		revision++
		if err := w.publishAll(ctx, revision); err != nil {
			return 0, err
		}
		if (n+1)%5 == 0 {
			w.say("churn: %d of %d revisions of %d objects in both clusters after %s", n+1, w.Revisions, w.Bundles*w.PerBundle, short(time.Since(began)))
		}
	}
	return revision, nil
}

// measureIdle watches a spoke with nothing to do, and then the memory of both.
func (w *world) measureIdle(ctx context.Context, f *Figures) error {
	if err := w.with.awaitQuiet(ctx); err != nil {
		return err
	}
	pid := w.with.spoke.Process().PID()
	before, err := measure.CPU(pid)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := sleep(ctx, w.Idle); err != nil {
		return err
	}
	after, err := measure.CPU(pid)
	if err != nil {
		return err
	}
	asked, err := w.with.audit.requests()
	if err != nil {
		return err
	}
	f.IdleMillicores = 1000 * float64(after-before) / float64(time.Since(began))
	f.IdleWrites = asked.writes()
	f.detail.seconds = int(w.Idle.Seconds())
	w.say("idle for %s: %.2f millicores, requests: %v", w.Idle, f.IdleMillicores, asked)

	for s, rss := range map[*site]*int64{w.with: &f.RSS, w.without: &f.RSSWithout} {
		m, err := measure.MemoryOf(s.spoke.Process().PID())
		if err != nil {
			return err
		}
		*rss = m.Resident
		w.say("spoke %s others: %.1f MiB resident, %.1f at its peak", s.name, float64(m.Resident)/mib, float64(m.Peak)/mib)
	}
	f.detail.objects, f.detail.others = w.Bundles*w.PerBundle, w.Others
	return nil
}

// awaitQuiet waits until the spoke has asked for nothing for a while, and forgets what it has asked until then.
func (s *site) awaitQuiet(ctx context.Context) error {
	last := time.Now()
	return poll(ctx, func() (bool, error) {
		asked, err := s.audit.requests()
		if err != nil {
			return false, err
		}
		if len(asked) > 0 {
			last = time.Now()
		}
		return time.Since(last) >= quietFor, nil
	}, func() string { return "the spoke does not come to rest" })
}

// measureNoop has a spoke compare all it has, again and again, while nothing differs.
func (w *world) measureNoop(ctx context.Context, f *Figures) error {
	if err := w.with.restart(ctx, "--resync", w.Resync.String()); err != nil {
		return err
	}
	if err := w.awaitReady(ctx, 2*w.Bundles); err != nil {
		return err
	}
	// The start's own requests are over by the first resync.
	if _, err := w.resyncs(ctx, 1); err != nil {
		return err
	}
	passes, err := w.with.passes(ctx)
	if err != nil {
		return err
	}
	const rounds = 2
	asked, err := w.resyncs(ctx, rounds)
	if err != nil {
		return err
	}
	after, err := w.with.passes(ctx)
	if err != nil {
		return err
	}
	f.detail.passes, f.detail.kinds, f.detail.noopWrites = after-passes, len(kinds), asked.writes()
	f.NoopRequests = float64(asked.most()) / rounds
	w.say("%d resyncs, %d passes over bundles: requests: %v", rounds, f.detail.passes, asked)
	if f.detail.passes < w.Bundles {
		return fmt.Errorf("%d passes over %d bundles: not all was compared", f.detail.passes, w.Bundles)
	}
	return nil
}

// resyncs waits for so many lists of a kind, and answers all requests until shortly after the last.
func (w *world) resyncs(ctx context.Context, n int) (counts, error) {
	all := counts{}
	gather := func() error {
		asked, err := w.with.audit.requests()
		all.add(asked)
		return err
	}
	err := poll(ctx, func() (bool, error) {
		err := gather()
		return all.lists(configMaps) >= n, err
	}, func() string { return "the spoke does not compare all" })
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, w.Resync/4); err != nil { // the other kinds are listed at the same time
		return nil, err
	}
	return all, gather()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
