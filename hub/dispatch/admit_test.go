package dispatch

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A spoke that connects in a loop is told to come back later, and takes no turns from the others. Regression: each of its attempts took
// one from the line of all.
func TestLoopTakesNoTurns(t *testing.T) {
	w := newWorld(t)
	w.admit = rate.NewLimiter(0, againBurst+3)
	began := 0
	for range 10 * againBurst {
		err := w.admitted(t.Context(), "looping")
		if err == nil {
			began++
			continue
		}
		st := status.Convert(err)
		info, ok := st.Details()[0].(*errdetails.RetryInfo)
		if st.Code() != codes.ResourceExhausted || !ok || info.RetryDelay.AsDuration() != w.AgainEvery || !strings.Contains(st.Message(), "again and again") {
			t.Fatalf("refused with %v", st)
		}
	}
	if began != againBurst {
		t.Errorf("%d of its sessions have begun, want %d", began, againBurst)
	}
	for _, uid := range []string{"a", "b", "c"} {
		if err := w.admitted(t.Context(), uid); err != nil {
			t.Errorf("%s: %v", uid, err)
		}
	}
}

func TestAgain(t *testing.T) {
	a, now := newAgain(time.Second), time.Now()
	for range againBurst {
		a.wait("c", now)
	}
	a.forget(now.Add(time.Second))
	if wait := a.wait("c", now.Add(time.Second)); wait != 0 {
		t.Errorf("after a second it is to wait %s", wait)
	}
	if wait := a.wait("c", now.Add(time.Second)); wait != time.Second {
		t.Errorf("right after that it is to wait %s", wait)
	}
	if a.forget(now.Add(time.Hour)); len(a.clusters) != 0 {
		t.Error("what has rested for long is remembered")
	}
}
