package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// historyClock is set by tests.
type historyClock struct{ now time.Time }

func (c *historyClock) add(d time.Duration) { c.now = c.now.Add(d) }

func historied(t *testing.T) (*Store, *historyClock) {
	clock := &historyClock{time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	s := opened(t, Config{Clock: func() time.Time { return clock.now }})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutCluster(cluster("c1", "edge-1", map[string]string{"env": "prod"})), tx.PutCluster(cluster("c2", "edge-2", nil)), tx.PutGroup(group("prod", map[string]string{"env": "prod"})))
	})
	return s, clock
}

func historyOf(t *testing.T, s *Store, subject string) *History {
	t.Helper()
	h, err := s.History(subject)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// told is a history in short, as in "web 2/1 Ready".
func told(transitions []*storev1.Transition) string {
	var parts []string
	for _, t := range transitions {
		if t.BundleUid == "" {
			parts = append(parts, fmt.Sprintf("[%s%s]", t.Phase, t.Presence))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %d/%d %s", t.Bundle, t.Desired, t.Revision, t.Phase))
	}
	return strings.Join(parts, ", ")
}

func reported(revision uint32, phase string) func(*Tx) error {
	return func(tx *Tx) error {
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c1", Report: &yardarmv1.Report{BundleUid: "b1", Bundle: "web", Revision: revision, Phase: phase}})
	}
}

func flushed(t *testing.T, s *Store) {
	t.Helper()
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
}

// TestHistory follows a cluster through what becomes of it, over flushes and a restart, and asks how it stood in between.
func TestHistory(t *testing.T) {
	s, clock := historied(t)
	observe(t, s, func(tx *Tx) error {
		return tx.PutPresence(&Presence{ClusterUID: "c2", State: yardarmv1.PresenceConnected})
	})
	update(t, s, func(tx *Tx) error { return tx.PutBundle(bundle("b1", "web", "prod")) })
	start := clock.now
	rollout := func(settled uint32) func(*Tx) error {
		return func(tx *Tx) error {
			return tx.PutRollout(&storev1.Rollout{BundleUid: "b1", Revision: settled, Settled: settled, Phase: settled})
		}
	}
	steps := []struct {
		observe bool
		fn      func(*Tx) error
		want    string // how the cluster stands then
	}{
		{false, rollout(1), "[], web 1/0 "},
		{true, func(tx *Tx) error {
			return tx.PutPresence(&Presence{ClusterUID: "c1", State: yardarmv1.PresenceConnected})
		}, "[Connected], web 1/0 "},
		{true, reported(1, yardarmv1.PhaseReady), "[Connected], web 1/1 Ready"},
		{false, rollout(2), "[Connected], web 2/1 Ready"},
		{true, reported(2, yardarmv1.PhaseFailed), "[Connected], web 2/2 Failed"},
		{false, func(tx *Tx) error { return tx.PutCluster(cluster("c1", "edge-1", nil)) }, "[Connected], web 0/2 Failed"},
		{true, func(tx *Tx) error { return tx.DeleteObservedBundle("c1", "b1") }, "[Connected], web 0/0 "},
		{false, func(tx *Tx) error { return tx.PutCluster(cluster("c1", "edge-1", map[string]string{"env": "prod"})) }, "[Connected], web 0/0 "},
		{false, func(tx *Tx) error { return tx.TakeTurn(tx.Turn("b1", "c1")) }, "[Connected], web 2/0 "},
		{false, func(tx *Tx) error { return tx.PutBundle(bundle("b1", "web", "other")) }, "[Connected], web 0/0 "},
		{true, func(tx *Tx) error { return tx.PutPresence(&Presence{ClusterUID: "c1", State: yardarmv1.PresenceStale}) }, "[Stale], web 0/0 "},
		{false, func(tx *Tx) error { return tx.DeleteCluster("c1") }, "[Deleted], web 0/0 "},
	}
	for i, step := range steps {
		clock.add(time.Minute)
		if step.observe {
			observe(t, s, step.fn)
		} else {
			update(t, s, step.fn)
		}
		if i%3 == 2 {
			flushed(t, s)
		}
		standing, ok := historyOf(t, s, "c1").Standing(clock.now)
		if got := told(standing); got != step.want || !ok {
			t.Fatalf("step %d: it stands %q, want %q", i, got, step.want)
		}
	}
	flushed(t, s)
	before := s.metrics.commitCount()
	observe(t, s, func(tx *Tx) error {
		return tx.PutPresence(&Presence{ClusterUID: "c2", State: yardarmv1.PresenceConnected, LastSeen: clock.now})
	})
	flushed(t, s)
	if n := s.metrics.commitCount() - before; n > 0 || len(s.history) > 0 {
		t.Errorf("a heartbeat makes %d commits and the history %v", n, s.history)
	}
	s = reopened(t, s)
	h := historyOf(t, s, "c1")
	for i, step := range steps {
		standing, ok := h.Standing(start.Add(time.Duration(i+1)*time.Minute + time.Second))
		if got := told(standing); got != step.want || !ok {
			t.Errorf("after step %d it stood %q, want %q", i, got, step.want)
		}
	}
	if n := len(historyOf(t, s, "b1").Transitions); n != 2 {
		t.Errorf("%d transitions of the bundle's rollouts, want 2", n)
	}
}

// TestTrimHistory keeps how things stood where it cuts, says so, and writes nothing the second time.
func TestTrimHistory(t *testing.T) {
	s, clock := historied(t)
	update(t, s, func(tx *Tx) error { return tx.PutBundle(bundle("b1", "web", "prod")) })
	start := clock.now
	for i := range 20 {
		clock.add(time.Hour)
		observe(t, s, reported(uint32(i+1), yardarmv1.PhaseReady))
		flushed(t, s)
	}
	whole := historyOf(t, s, "c1")
	cut := start.Add(10*time.Hour + time.Minute)
	for again, want := range []int{10, 0} {
		before := s.metrics.commitCount()
		dropped, err := s.TrimHistory(t.Context(), cut)
		if err != nil || dropped != want {
			t.Errorf("%d chunks were dropped, want %d: %v", dropped, want, err)
		}
		if n := s.metrics.commitCount() - before; int(n) != 1-again {
			t.Errorf("%d commits", n)
		}
	}
	s = reopened(t, s)
	h := historyOf(t, s, "c1")
	if !h.Since.Equal(start.Add(10 * time.Hour)) {
		t.Errorf("it is known since %v", h.Since)
	}
	for hour := range 20 {
		at := start.Add(time.Duration(hour+1)*time.Hour + time.Minute)
		want, _ := whole.Standing(at)
		got, ok := h.Standing(at)
		if ok != (hour+1 >= 10) || ok && told(got) != told(want) {
			t.Errorf("at hour %d it stood %q (%v), want %q", hour+1, told(got), ok, told(want))
		}
	}
	update(t, s, func(tx *Tx) error { return errors.Join(tx.DeleteObservedBundle("c1", "b1"), tx.DeleteCluster("c1")) })
	flushed(t, s)
	if _, err := s.TrimHistory(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if h := historyOf(t, s, "c1"); len(h.Transitions)+len(h.At) > 0 {
		t.Errorf("a deleted cluster's history stays: %v", h)
	}
}

// TestHistoryIsBounded keeps the newest of what one cluster has too much of, in memory and on disk.
func TestHistoryIsBounded(t *testing.T) {
	s, clock := historied(t)
	for i := range maxPendingTransitions + 10 {
		observe(t, s, reported(uint32(i+1), yardarmv1.PhaseReady))
	}
	if h := historyOf(t, s, "c1"); len(h.Transitions) > maxPendingTransitions || h.Lost < 10 {
		t.Errorf("%d wait, and %d are lost", len(h.Transitions), h.Lost)
	}
	for i := range maxHistoryOf + 10 {
		clock.add(time.Second)
		s.history.note("c1", &storev1.Transition{Time: timestamppb.New(clock.now), BundleUid: "b1", Revision: uint32(i)})
		flushed(t, s)
	}
	if _, err := s.TrimHistory(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if keys, _, err := s.log.HistoryOf("c1"); err != nil || len(keys) > maxHistoryOf+1 {
		t.Errorf("%d chunks are kept: %v", len(keys), err)
	}
	if got, ok := historyOf(t, s, "c1").Standing(clock.now); !ok || got[len(got)-1].Revision != maxHistoryOf+9 {
		t.Errorf("it stands %v", got)
	}
}
