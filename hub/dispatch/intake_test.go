package dispatch

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reports wait while deltas go out, and not for ever.
func TestReportsYieldToDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(&Server{})
		took := func() time.Duration {
			began := time.Now()
			in.yield(t.Context())
			return time.Since(began)
		}
		if d := took(); d != 0 {
			t.Errorf("it waits %s for nothing", d)
		}
		in.deltas.note()
		if d := took(); d != deltaPause {
			t.Errorf("after one delta it waits %s", d)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			for ctx.Err() == nil {
				in.deltas.note()
				time.Sleep(deltaPause / 2)
			}
		}()
		synctest.Wait()
		if d := took(); d != maxYield {
			t.Errorf("among deltas without end it waits %s", d)
		}
		stop()
		if in.yield(ctx); ctx.Err() == nil {
			t.Error("it outlasts its context")
		}
	})
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
