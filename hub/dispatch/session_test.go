package dispatch

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// What an older session said counts no more once a newer one has begun, whichever speaks last. Regression: a late word of
// the older one took the place of what the newer one had said.
func TestOlderSessionsWordIsDropped(t *testing.T) {
	w := newWorld(t)
	old, _ := w.join()
	w.say(old, reports(false, "old", says("a", "Ready")))
	newer, _ := w.join()
	w.say(newer, reports(false, "new", says("b", "Ready")))
	w.say(old, reports(false, "older", says("b", "Failed"), says("c", "Failed")))
	w.flush()
	if w.report("a") != nil || w.report("b").GetPhase() != "Ready" || w.report("c") != nil {
		t.Errorf("a %v, b %v, c %v", w.report("a"), w.report("b"), w.report("c"))
	}
	if got := string(w.Store.Read().Observed("c1").ReportsHash); got != "new" {
		t.Errorf("reports hash %q", got)
	}
	select {
	case <-old.ended:
	default:
		t.Error("the older one goes on")
	}
	// Its end is not the newer one's.
	w.sessions.remove(old, false)
	if !w.sessions.current(newer) {
		t.Error("the newer one is forgotten")
	}
}

// Regression: between finding that a cluster had been away too long and noting it, it came back, and was stale although
// connected, for as long as its stream lived.
func TestComingBackWinsOverTheSweep(t *testing.T) {
	w := newWorld(t)
	s, _ := w.join()
	w.sessions.remove(s, false)
	w.turnClock(w.ReconnectGrace)
	turns := w.sessions.due(w.clock())
	if len(turns) != 1 {
		t.Fatalf("turns %v", turns)
	}
	s, _ = w.join()
	if err := w.sessions.turn(t.Context(), turns, w.clock()); err != nil {
		t.Fatal(err)
	}
	if p := w.Store.Read().Presence("c1"); p.State != yardarmv1.PresenceConnected {
		t.Errorf("presence %+v", p)
	}
	// The same for a silent stream that was replaced.
	w.turnClock(w.StaleAfter)
	s.lastSeen.Store(int64(w.elapsed() - w.StaleAfter))
	turns = w.sessions.due(w.clock())
	if len(turns) != 1 {
		t.Fatalf("turns %v", turns)
	}
	w.join()
	if err := w.sessions.turn(t.Context(), turns, w.clock()); err != nil {
		t.Fatal(err)
	}
	if p := w.Store.Read().Presence("c1"); p.State != yardarmv1.PresenceConnected {
		t.Errorf("presence %+v", p)
	}
}

// A session that could not begin is not left behind. Regression: drains waited for it for ever.
func TestSessionThatBreaksWhileItBegins(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stream := &greeting{wire: newWire(ctx), hello: &spokev1.Hello{Protocol: 1}}
	s, err := w.newSession("c1", "edge", stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.run(); err == nil {
		t.Fatal("it has begun")
	}
	if n := w.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// greeting is a wire on which one Hello comes, and then nothing.
type greeting struct {
	*wire
	hello *spokev1.Hello
	said  bool
}

func (g *greeting) RecvMsg(m any) error {
	if g.said {
		<-g.ctx.Done()
		return g.ctx.Err()
	}
	g.said = true
	m.(*spokev1.ConnectRequest).Message = &spokev1.ConnectRequest_Hello{Hello: g.hello}
	return nil
}

// A bug in a session is that session's end and no more.
func TestPanicEndsTheSessionAlone(t *testing.T) {
	w := newWorld(t)
	stream := &greeting{wire: newWire(t.Context()), hello: &spokev1.Hello{Protocol: 1}}
	stream.panics = true
	s, err := w.newSession("c1", "edge", stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.run(); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "a bug") {
		t.Errorf("ended with %v", err)
	}
	if w.Sessions() != 0 {
		t.Error("it is left behind")
	}
}

// A spoke whose disk is full gets nothing for a while, then all of it again; the second time, its bundles have failed and
// say why; and when there is space, all is well by itself.
func TestFullDiskPausesTheSession(t *testing.T) {
	w := newWorld(t)
	w.publish("web", []byte("one"), "all")
	w.publish("db", []byte("two"), "all")
	s, stream := w.join()
	refuse := func(d *spokev1.Delta) {
		t.Helper()
		w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{
			Cursor: d.Cursor, Code: spokev1.NackCode_NACK_CODE_NO_SPACE, Message: "no space left on device",
		}}})
	}
	first := stream.take()
	if len(first.GetChanges()) != 2 {
		t.Fatalf("first %v", first)
	}
	// A refusal of something else is not about it.
	stale := proto.CloneOf(first)
	stale.Cursor.Index--
	refuse(stale)
	if s.sent == nil {
		t.Fatal("an older refusal has undone the delta in flight")
	}
	refuse(first)
	w.publish("web", []byte("three"), "all")
	// A clock that is set makes no time pass.
	const year = 365 * 24 * time.Hour
	w.setClock(year)
	w.advance(s)
	if d := stream.take(); d != nil {
		t.Fatalf("sent at once to a full disk: %v", d)
	}
	if w.flush(); w.report("db") != nil {
		t.Errorf("failed after one refusal: %v", w.report("db"))
	}
	w.turnClock(spaceRetry)
	w.advance(s)
	second := stream.take()
	if len(second.GetChanges()) != 2 || second.Cursor.Index <= first.Cursor.Index {
		t.Fatalf("second %v", second)
	}
	refuse(second)
	w.flush()
	if r := w.report("db"); r.GetPhase() != yardarmv1.PhaseFailed || !strings.Contains(r.Message, "no space left") {
		t.Errorf("db after two refusals: %v", r)
	}
	if r := w.report("web"); r != nil {
		t.Errorf("web after one refusal of this revision: %v", r)
	}
	w.setClock(-2 * year)
	w.turnClock(spaceRetry)
	w.advance(s)
	third := stream.take()
	if len(third.GetChanges()) != 2 {
		t.Fatalf("third %v", third)
	}
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{
		Cursor: third.Cursor, Digests: []string{third.Contents[0].Digest, third.Contents[1].Digest}}}})
	if len(s.refusals) != 0 || stream.take() != nil {
		t.Errorf("afterwards: refusals %v", s.refusals)
	}
}

// What is refused is sent once more, whole, and then waits for the spoke to fetch what it still lacks.
func TestRefusedIsSentOnceMore(t *testing.T) {
	w := newWorld(t)
	w.publish("web", bytes.Repeat([]byte("one "), 100), "all")
	s, stream := w.join()
	first := stream.take()
	a := first.Changes[0].GetAssign()
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: first.Cursor, Digests: []string{a.Digest}}}})
	w.publish("web", append(bytes.Repeat([]byte("one "), 100), '!'), "all")
	w.advance(s)
	second := stream.take()
	if second.Contents[0].BaseDigest != a.Digest {
		t.Fatalf("second %v", second)
	}
	// The change, not the content: the spoke still holds the first.
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{
		Cursor: second.Cursor, BundleUid: "web", Code: spokev1.NackCode_NACK_CODE_INVALID}}})
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{Holdings: []*spokev1.Holding{{
		Bundle: "web", BundleUid: "web", Hash: a.Hash, Digest: a.Digest, Epoch: first.Cursor.Epoch, Index: first.Cursor.Index, HasContent: true}}}}})
	third := stream.take()
	if third == nil || third.Contents[0].BaseDigest != "" || third.Changes[0].GetAssign().GetRevision() != 2 {
		t.Fatalf("once more: %v", third)
	}
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: third.Cursor}}})
	if d := stream.take(); d != nil {
		t.Errorf("and again: %v", d)
	}
}

// FuzzConnectRequest says anything in a session, and then looks whether it still works: no panic, bounded memory, and a spoke
// that says nothing wrong afterwards gets what it should have.
func FuzzConnectRequest(f *testing.F) {
	for _, m := range []*spokev1.ConnectRequest{
		{},
		{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: &spokev1.Cursor{Index: 3}, Digests: []string{"x"}}}},
		{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{}}},
		{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{BundleUid: "web", Code: 3}}},
		{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{Holdings: []*spokev1.Holding{{BundleUid: "web", Held: true, Removing: true, Index: 1 << 63}}}}},
		reports(true, "hash", &yardarmv1.Report{BundleUid: "web", Phase: "Failed", Problems: []*yardarmv1.ObjectProblem{{}}}),
		{Message: &spokev1.ConnectRequest_Facts{Facts: &yardarmv1.Facts{Capacity: map[string]string{"": ""}}}},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, data)
	}
	w := newWorld(f)
	w.publish("web", []byte("one"), "all")
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s, stream := w.session(t)
		if _, _, err := w.sessions.add(s, &spokev1.Hello{}); err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{one, two, one} {
			m := &spokev1.ConnectRequest{}
			if proto.Unmarshal(data, m) != nil {
				return
			}
			if s.handle(m) != nil {
				return // refused, which ends the session
			}
			if err := s.advance(); err != nil {
				t.Fatalf("advance: %v", err)
			}
		}
		if err := w.intake.write(t.Context(), map[*session]*observation{s: w.intake.pending[s]}); w.intake.pending[s] != nil && err != nil {
			t.Fatalf("take in: %v", err)
		}
		delete(w.intake.pending, s)
		s.refusals = map[string]*refusal{}
		stream.take()
		if err := s.handle(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{}}}); err != nil {
			t.Fatal(err)
		}
		s.paused = 0
		if err := s.advance(); err != nil {
			t.Fatal(err)
		}
		if d := stream.take(); len(d.GetChanges()) != 1 || d.Changes[0].GetAssign().GetBundle() != "web" {
			t.Fatalf("then it gets %v", d)
		}
	})
}
