package notify

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestPace(t *testing.T) {
	p := pace{hold: time.Minute, quiet: 10 * time.Minute}
	at := func(minutes int) time.Time { return made.Add(time.Duration(minutes) * time.Minute) }
	row := func(digits uint32, over int) *storev1.Told {
		r := &storev1.Told{NotificationUid: hubUID, Subject: "x", Began: timestamppb.New(at(0)), Digits: digits, Revision: 3}
		if over > 0 {
			r.Over = timestamppb.New(at(over))
		}
		return r
	}
	began := func(minute int, digits uint32, revision uint32) *storev1.Told {
		return &storev1.Told{NotificationUid: hubUID, Subject: "x", Began: timestamppb.New(at(minute)), Digits: digits, Revision: revision}
	}
	for _, test := range []struct {
		name       string
		row        *storev1.Told
		revision   uint32
		n          int
		since, now int
		want       *storev1.Told
	}{
		{"nothing", nil, 3, 0, 0, 60, nil},
		{"not for long enough", nil, 3, 5, 20, 20, nil},
		{"for long enough", nil, 3, 5, 20, 21, began(20, 1, 3)},
		{"goes on", row(1, 0), 3, 9, 0, 30, row(1, 0)},
		{"smaller", row(3, 0), 3, 1, 0, 30, row(3, 0)},
		{"ten times as many", row(1, 0), 3, 10, 0, 30, row(2, 0)},
		{"gone for a short time", row(1, 0), 3, 0, 30, 39, row(1, 0)},
		{"gone", row(1, 0), 3, 0, 30, 40, row(1, 40)},
		{"stays gone", row(1, 40), 3, 0, 30, 90, row(1, 40)},
		{"comes again, for a short time", row(1, 40), 3, 1, 90, 90, row(1, 40)},
		{"comes again", row(1, 40), 3, 1, 90, 91, began(90, 1, 3)},
		{"of another revision", row(1, 0), 4, 1, 90, 91, began(90, 1, 4)},
		{"gone, of another revision", row(1, 0), 4, 0, 90, 200, row(1, 0)},
	} {
		if got := p.next(test.row, "x", test.revision, test.n, at(test.since), at(test.now)); !proto.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// clock is one that a test turns; it begins an hour after the notifications were made.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time        { return made.Add(time.Hour + time.Duration(c.passed.Load())) }
func (c *clock) after(d time.Duration) { c.passed.Add(int64(d)) }

// newFleetWorld is a world whose clock stands still unless it is turned, and in which the fleet is looked at all the time.
func newFleetWorld(t *testing.T) (*world, *clock) {
	t.Helper()
	c := &clock{}
	w := newWorld(t, func(config *Config) {
		config.Clock, config.Hold, config.Quiet = c.now, time.Millisecond, 10*time.Millisecond
	})
	w.update(func(tx *store.Tx) error {
		return tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "eu", Uid: "uid-eu"},
			Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"region": "eu"}}}})
	})
	return w, c
}

// clusters enrols clusters c00 and so on, of which the first is in group eu.
func (w *world) clusters(n int) {
	w.Helper()
	w.update(func(tx *store.Tx) (err error) {
		for i := range n {
			labels := map[string]string{}
			if i == 0 {
				labels["region"] = "eu"
			}
			err = errors.Join(err, tx.PutCluster(&yardarmv1.Cluster{Spec: &yardarmv1.ClusterSpec{},
				Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprintf("c%02d", i), Uid: fmt.Sprintf("c%02d", i), Labels: labels}}))
		}
		return err
	})
}

// become gives clusters from one number to another a presence.
func (w *world) become(from, to int, presence string) {
	w.Helper()
	w.update(func(tx *store.Tx) (err error) {
		for i := from; i < to; i++ {
			err = errors.Join(err, tx.PutPresence(&store.Presence{ClusterUID: fmt.Sprintf("c%02d", i), State: presence, Since: made}))
		}
		return err
	})
}

// seen waits until the notifier has looked at the fleet as it is now: twice, since the first look may have begun before.
func (w *world) seen() {
	w.Helper()
	for range 2 {
		before := w.looks.Load()
		w.until("the fleet is looked at", func() bool { return w.looks.Load() > before })
	}
}

// told waits for so many requests, and answers the events; a moment later there are no more.
func (w *world) told(h *hook, n int) (events []Event) {
	w.Helper()
	w.until(fmt.Sprintf("%d events are told", n), func() bool { return len(h.got()) >= n })
	w.seen()
	for _, p := range h.got() {
		events = append(events, p.event)
	}
	if len(events) != n {
		w.Fatalf("told %d events, want %d: %+v", len(events), n, events)
	}
	return events
}

// TestStaleClusters: a thousand are one message, and what comes and goes quickly is none.
func TestStaleClusters(t *testing.T) {
	w, c := newFleetWorld(t)
	all, eu, info, us := newHook(t, nil), newHook(t, nil), newHook(t, nil), newHook(t, nil)
	w.notification("all", &yardarmv1.NotificationSpec{Url: all.URL, Severity: "warning"})
	w.notification("eu", &yardarmv1.NotificationSpec{Url: eu.URL, ClusterGroups: []string{"eu"}, Topics: []string{"stale"}})
	w.notification("info", &yardarmv1.NotificationSpec{Url: info.URL})
	w.notification("us", &yardarmv1.NotificationSpec{Url: us.URL, ClusterGroups: []string{"us"}})
	w.clusters(1001)
	w.update(func(tx *store.Tx) error {
		banned := proto.CloneOf(tx.Cluster("c1000"))
		banned.Spec.Ban = &yardarmv1.Ban{Reason: "stolen"}
		return tx.PutCluster(banned)
	})
	w.become(0, 1001, yardarmv1.PresenceStale)
	for range 5 { // it flaps
		w.seen()
		w.become(0, 1001, yardarmv1.PresenceConnected)
		w.seen()
		c.after(time.Hour)
		w.become(0, 1001, yardarmv1.PresenceStale)
	}
	w.told(all, 0)
	c.after(time.Second)
	first := w.told(all, 1)[0]
	if first.Topic != "stale" || first.Severity != "warning" || first.ClusterCount != 1000 || len(first.Clusters) != 10 || first.Summary != "1000 clusters are not heard any more" ||
		!strings.HasPrefix(first.Message, "c00, c01, c02, ") || !strings.HasSuffix(first.Message, " and 990 more") || strings.Join(first.Groups, " ") != "eu" {
		t.Errorf("told %+v", first)
	}
	if e := w.told(eu, 1)[0]; e.ClusterCount != 1 || e.Summary != "1 cluster is not heard any more" || e.Message != "c00" || e.ID != first.ID {
		t.Errorf("told of group eu %+v", e)
	}
	w.told(us, 0)

	// It is the same after a restart, also where it is not known any more that it was told.
	w.stop()
	w.update(func(tx *store.Tx) error { return tx.DeleteTold("uid-all", "stale") })
	w.start()
	if e := w.told(all, 2)[1]; e.ID != first.ID {
		t.Errorf("told again as %s, want %s", e.ID, first.ID)
	}

	// It is over once it has not been so for long enough.
	for range 3 {
		w.become(0, 1001, yardarmv1.PresenceConnected)
		w.seen()
		c.after(9 * time.Millisecond)
		w.seen()
		w.become(0, 1001, yardarmv1.PresenceStale)
		w.seen()
	}
	w.become(0, 1001, yardarmv1.PresenceConnected)
	w.seen()
	c.after(10 * time.Millisecond)
	if e := w.told(info, 2)[1]; e.Topic != "convergence" || e.Severity != "info" || e.Summary != "all clusters are heard again" || e.ID == first.ID {
		t.Errorf("told %+v", e)
	}
	w.told(all, 2)
}

// TestDivergence: what is not any more as a rollout has left it is told once for its bundle, and again when it is ten times as much.
func TestDivergence(t *testing.T) {
	w, c := newFleetWorld(t)
	h, other := newHook(t, nil), newHook(t, nil)
	w.notification("ops", &yardarmv1.NotificationSpec{Url: h.URL, Bundles: []string{"web"}, Topics: []string{"divergence", "convergence"}})
	w.notification("db", &yardarmv1.NotificationSpec{Url: other.URL, Bundles: []string{"db"}})
	w.clusters(20)
	w.rollout("web", 3, rollout.Completed, "", 2)
	w.told(h, 1) // that it has converged
	report := func(from, to int, revision uint32, phase string, drifted uint32) {
		t.Helper()
		w.update(func(tx *store.Tx) (err error) {
			for i := from; i < to; i++ {
				err = errors.Join(err, tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: fmt.Sprintf("c%02d", i), Report: &yardarmv1.Report{
					Bundle: "web", BundleUid: "uid-web", Revision: revision, Phase: phase, Objects: &yardarmv1.ObjectCounts{Drifted: drifted}}}))
			}
			return err
		})
		w.seen()
		c.after(5 * time.Millisecond)
	}
	report(0, 20, 3, yardarmv1.PhaseReady, 0)
	report(0, 5, 2, yardarmv1.PhaseFailed, 0) // which is about another revision
	w.told(h, 1)
	report(0, 2, 3, yardarmv1.PhaseReady, 1)
	report(2, 3, 3, yardarmv1.PhaseDegraded, 0)
	first := w.told(h, 2)[1]
	if first.Topic != "divergence" || first.Bundle != "web" || first.Revision != 3 || strings.Join(first.Groups, " ") != "prod" {
		t.Errorf("told %+v", first)
	}
	report(3, 12, 3, yardarmv1.PhaseFailed, 0)
	next := w.told(h, 3)[2]
	if next.Summary != "web: 12 clusters are not at revision 3 any more" || next.ID == first.ID ||
		next.Message != "1 degraded, 2 drifted, 9 failed: c00, c01, c02, c03, c04, c05, c06, c07, c08, c09 and 2 more" {
		t.Errorf("told %+v", next)
	}
	report(12, 20, 3, yardarmv1.PhaseFailed, 0)
	report(0, 20, 3, yardarmv1.PhaseReady, 0)
	c.after(5 * time.Millisecond)
	if e := w.told(h, 4)[3]; e.Topic != "convergence" || e.Summary != "web: revision 3 is where it should be again" {
		t.Errorf("told %+v", e)
	}
	// While another revision is on its way, its rollout says what there is to say.
	report(0, 20, 3, yardarmv1.PhaseFailed, 0)
	w.told(h, 5)
	w.rollout("web", 4, rollout.Progressing, "", 9)
	report(0, 20, 4, yardarmv1.PhaseFailed, 0)
	w.told(h, 5)
	w.told(other, 0)
	w.update(func(tx *store.Tx) error { return tx.DeleteBundle("uid-web") })
	w.until("nothing is noted of a bundle that is gone", func() bool { return w.store.Read().Told(hubUID, divergenceSubject+"uid-web") == nil })
}
