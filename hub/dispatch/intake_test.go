package dispatch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// flights has so many sessions with a delta that has just been sent.
func flights(s *Server, n int) {
	for range n {
		s.deltas.await(&session{}, s.elapsed()+maxYield)
	}
}

// Reports wait while a wave of deltas is on its way, and neither for those of a few, nor for spokes that do not read, even while others do, nor for ever.
func TestReportsYieldToDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		in := newIntake(&Server{elapsed: func() time.Duration { return time.Since(started) }})
		in.sessions = newRegistry(in.Server, nil)
		took := func() time.Duration {
			began := time.Now()
			in.yield(t.Context())
			return time.Since(began)
		}
		flights(in.Server, wave-1)
		in.deltas.note()
		if d := took(); d != 0 {
			t.Errorf("it waits %s for a few", d)
		}
		flights(in.Server, wave)
		if d := took(); d != deltaPause {
			t.Errorf("after the last of a wave it waits %s", d)
		}
		if d := took(); d != 0 {
			t.Errorf("it waits %s for spokes that do not read", d)
		}
		flights(in.Server, wave)
		ctx, stop := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		busy.Go(func() {
			for ctx.Err() == nil {
				in.deltas.note()
				time.Sleep(deltaPause / 2)
			}
		})
		synctest.Wait()
		if d := took(); d != maxYield {
			t.Errorf("among deltas without end it waits %s", d)
		}
		if d := took(); d != 0 {
			t.Errorf("it waits %s for deltas that were sent long ago, among a few that are new", d)
		}
		stop()
		busy.Wait()
		flights(in.Server, wave)
		in.deltas.note()
		if in.yield(ctx); ctx.Err() == nil {
			t.Error("it outlasts its context")
		}
	})
}

// A session's delta is on its way from when it is sent until it is acknowledged, and neither for longer than reports wait, nor beyond the session's end.
func TestDeltasOnTheirWay(t *testing.T) {
	w := newWorld(t)
	w.publish("a", []byte("one"), "all")
	s, _ := w.join()
	flying := func(want bool, when string) {
		t.Helper()
		s.give()
		defer s.take(nil)
		if got := w.deltas.flying(1, w.elapsed()); got != want {
			t.Errorf("a delta is on its way %s: %t", when, got)
		}
	}
	next := func(content string) {
		w.publish("a", []byte(content), "all")
		s.due.add(everything)
		if err := s.advance(); err != nil {
			t.Fatal(err)
		}
	}
	ack := func() {
		if err := s.acked(&spokev1.Ack{Cursor: s.sent.cursor, Complete: true}); err != nil {
			t.Fatal(err)
		}
	}
	flying(true, "once it is sent")
	ack()
	flying(false, "once it is acknowledged")
	next("two")
	flying(true, "once the next is sent")
	w.turnClock(maxYield)
	flying(false, "after as long as reports wait")
	ack()
	next("three")
	flying(true, "once another is sent")
	w.sessions.remove(s, false)
	flying(false, "after the session's end")
}

// What a spoke says while a wave of deltas is on its way is taken in once that is over, and not before.
func TestIntakeYields(t *testing.T) {
	w := newWorld(t)
	s, _ := w.join()
	const over = 300 * time.Millisecond
	began := time.Now()
	last := began.Add(over)
	w.intake.deltas.at.Store(&last)
	flights(w.Server, wave)
	w.say(s, reports(false, "", says("a", "Ready")))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.intake.run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer stop()
	for end := began.Add(30 * time.Second); w.report("a") == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it waits for ever")
		}
	}
	if d := time.Since(began); d < over {
		t.Errorf("it was taken in after %s", d)
	}
}

// One cluster that flaps does not push everybody's events out.
func TestEventsOfOneClusterAreBounded(t *testing.T) {
	w := newWorld(t)
	s, _ := w.join()
	for i := range 2 * eventBurst {
		w.say(s, reports(false, "", says("a", []string{"Ready", "Failed"}[i%2])))
		w.flush()
	}
	n := 0
	for range w.Store.Read().Events(0) {
		n++
	}
	if n > eventBurst+5 || n < eventBurst {
		t.Errorf("%d events", n)
	}
	w.turnClock(10 * time.Second)
	w.say(s, reports(false, "", says("a", "Degraded")))
	w.flush()
	last := ""
	for e := range w.Store.Read().Events(0) {
		last = e.Reason
	}
	if last != "BundleDegraded" {
		t.Errorf("after a while, the last event is %s", last)
	}
}

func TestCompleteReportsReplaceAll(t *testing.T) {
	w := newWorld(t)
	w.publish("web", []byte("x"), "all")
	s, _ := w.join()
	w.say(s, reports(false, "1", says("a", "Ready"), says("b", "Ready"), &yardarmv1.Report{BundleUid: "web", Bundle: "forged", Phase: "Ready"}))
	w.flush()
	if r := w.report("web"); r.GetBundle() != "web" {
		t.Errorf("the spoke names the hub's bundle: %v", r)
	}
	if w.Store.Read().Presence("c1").Confirmed {
		t.Error("confirmed by an update that is not complete")
	}
	// In parts: nothing counts before the last.
	part := reports(true, "", says("b", "Failed"))
	part.GetReports().More = true
	w.say(s, part)
	w.flush()
	if w.report("a") == nil || w.report("b").Phase != "Ready" {
		t.Error("a part counts")
	}
	w.say(s, reports(true, "2", says("c", "Ready")))
	w.flush()
	if w.report("a") != nil || w.report("b").GetPhase() != "Failed" || w.report("c").GetPhase() != "Ready" || w.report("web") != nil {
		t.Errorf("a %v, b %v, c %v, web %v", w.report("a"), w.report("b"), w.report("c"), w.report("web"))
	}
	if p := w.Store.Read().Presence("c1"); !p.Confirmed || string(w.Store.Read().Observed("c1").ReportsHash) != "2" {
		t.Errorf("presence %+v", p)
	}
}

func TestReportsOfOneClusterAreBounded(t *testing.T) {
	w := newWorld(t)
	for session := range 3 {
		s, _ := w.join()
		for i := range maxReports / 2 {
			w.say(s, reports(false, "", says(fmt.Sprintf("b-%d-%d", session, i), "Ready")))
		}
		w.flush()
	}
	n := 0
	for range w.Store.Read().ObservedBundles("c1") {
		n++
	}
	if n != maxReports {
		t.Errorf("%d reports are kept", n)
	}
}

// TestDetailsOfOneClusterAreBounded: bundles that report at length lose the details that are beyond what is kept of one cluster, and say so; how they are is kept of all, and what
// others lost comes back once there is room.
func TestDetailsOfOneClusterAreBounded(t *testing.T) {
	w := newWorld(t)
	long := func(bundle string) *yardarmv1.Report {
		r := says(bundle, "Failed")
		for range maxProblems {
			r.Problems = append(r.Problems, &yardarmv1.ObjectProblem{Object: "v1/Pod/" + bundle, Message: strings.Repeat("m", maxMessage)})
		}
		return r
	}
	const bundles = 2 * maxDetails / (maxProblems * maxMessage)
	s, _ := w.join()
	for i := range bundles {
		w.say(s, reports(false, "all", long(fmt.Sprint("b-", i))))
	}
	w.flush()
	size, without := 0, []string{}
	for o := range w.Store.Read().ObservedBundles("c1") {
		if o.Report.Phase != "Failed" {
			t.Errorf("how %s is was lost", o.Report.BundleUid)
		}
		size += proto.Size(o.Report)
		if c := o.Report.Conditions; len(c) > 0 {
			without = append(without, o.Report.BundleUid)
			if c[0].Reason != yardarmv1.ReasonStatusLimit || !strings.Contains(c[0].Message, fmt.Sprint(maxDetails)) || len(o.Report.Problems) > 0 {
				t.Errorf("it says %v", o.Report)
			}
		}
	}
	if size > maxDetails+bundles*1024 || len(without) < bundles/3 || len(without) > 2*bundles/3 {
		t.Errorf("%d bytes are kept, and %d of %d bundles are without details", size, len(without), bundles)
	}
	if hash := w.Store.Read().Observed("c1").ReportsHash; len(hash) > 0 {
		t.Errorf("what is kept counts as what the spoke has said: %q", hash)
	}
	var all []*yardarmv1.Report
	for i := range bundles {
		all = append(all, says(fmt.Sprint("b-", i), "Ready"))
	}
	w.say(s, reports(true, "ready", all...))
	w.say(s, reports(false, "mended", long(without[0])))
	w.flush()
	if r := w.report(without[0]); len(r.GetProblems()) != maxProblems || len(r.Conditions) > 0 {
		t.Errorf("with room for it, it says %v", r)
	}
	if hash := w.Store.Read().Observed("c1").ReportsHash; string(hash) != "mended" {
		t.Errorf("the hash is %q", hash)
	}
}

// TestDetailsOfAllAreBounded: however many clusters there are, they have no more together than may be; and not much more where each has reported when it
// was the newest.
func TestDetailsOfAllAreBounded(t *testing.T) {
	grown := 0
	for clusters := range 10_000 {
		grown += detailsOfEach(clusters + 1)
	}
	if times := float64(grown) / allDetails; times < 3.2 || times > 3.35 {
		t.Errorf("clusters that came one after the other have %.2f times what may be", times)
	}
	for _, clusters := range []int{0, 1, 1000, 1024, 10_000, 50_000} {
		if each := detailsOfEach(clusters); each > maxDetails || each*clusters > allDetails || each < 16<<10 {
			t.Errorf("each of %d clusters may have %d bytes", clusters, each)
		}
	}
}
