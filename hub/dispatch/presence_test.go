package dispatch

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Whatever comes, goes, says something or says nothing: each look finds those that have fallen silent and those that are heard again, and no others, as a look at
// all of them would.
func TestSilenceIsFoundAtOnce(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	sessions := map[string]*session{}
	silent := map[string]bool{}
	found := map[string]int{}
	for step := range 5000 {
		uid := fmt.Sprintf("c%d", random.IntN(3))
		switch s := sessions[uid]; random.IntN(4) {
		case 0:
			w.turnClock(time.Duration(random.Int64N(int64(w.StaleAfter / 3))))
		case 1:
			if s != nil {
				s.seen()
			}
		case 2:
			if s != nil && random.IntN(4) == 0 {
				w.sessions.remove(s, false)
				s.over()
				delete(sessions, uid)
				delete(silent, uid)
			}
		case 3:
			if s != nil {
				break
			}
			s, err := w.newSession(uid, uid, newWire(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			s.seen()
			// Its turn to be welcomed comes some time after its Hello.
			w.turnClock(time.Duration(random.Int64N(int64(w.AdmitWait))))
			if _, _, err := w.sessions.add(s, &spokev1.Hello{SpokeVersion: "test"}); err != nil {
				t.Fatal(err)
			}
			sessions[uid] = s
		}
		want := map[string]string{}
		for uid, s := range sessions {
			if is := s.silence() >= w.StaleAfter; is != silent[uid] {
				silent[uid] = is
				want[uid] = map[bool]string{true: yardarmv1.PresenceStale, false: yardarmv1.PresenceConnected}[is]
				found[want[uid]]++
			}
		}
		got := map[string]string{}
		for uid, turn := range w.sessions.due(w.clock()) {
			if turn.session != nil { // otherwise it is of a session that has ended
				got[uid] = turn.state
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("step %d: found %v, want %v", step, got, want)
		}
	}
	if found[yardarmv1.PresenceStale] < 20 || found[yardarmv1.PresenceConnected] < 20 {
		t.Errorf("too little has happened: %v", found)
	}
}

// A spoke that stood in line for its welcome has been silent since its Hello, though a look before that found nobody.
func TestSilenceBeginsBeforeTheWelcome(t *testing.T) {
	w := newWorld(t)
	s, _ := w.session(t)
	s.seen()
	w.turnClock(w.AdmitWait)
	w.sessions.due(w.clock())
	if _, _, err := w.sessions.add(s, &spokev1.Hello{SpokeVersion: "test"}); err != nil {
		t.Fatal(err)
	}
	w.turnClock(w.StaleAfter - w.AdmitWait - 1)
	if turns := w.sessions.due(w.clock()); len(turns) != 0 {
		t.Errorf("found a moment too early: %v", turns)
	}
	w.turnClock(1)
	if turns := w.sessions.due(w.clock()); turns["c1"].state != yardarmv1.PresenceStale {
		t.Errorf("found %v", turns)
	}
}
