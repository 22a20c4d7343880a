package stream

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// overhear keeps what one spoke and its hub say, and lets a test change what the spoke says before the hub reads it.
type overhear struct {
	mu   sync.Mutex
	up   []*spokev1.ConnectRequest
	down []*spokev1.ConnectResponse
	edit func(*spokev1.ConnectRequest) // may be nil
}

// listen makes a spoke that does not run yet overheard.
func listen(s *spoke) *overhear {
	o := &overhear{}
	s.dial = append(s.dial, grpc.WithStreamInterceptor(o.intercept))
	return o
}

func (o *overhear) intercept(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := streamer(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, err
	}
	return &overheard{stream, o}, nil
}

type overheard struct {
	grpc.ClientStream
	*overhear
}

func (s *overheard) SendMsg(m any) error {
	if r, ok := m.(*spokev1.ConnectRequest); ok {
		s.mu.Lock()
		if s.edit != nil {
			s.edit(r)
		}
		s.up = append(s.up, proto.CloneOf(r))
		s.mu.Unlock()
	}
	return s.ClientStream.SendMsg(m)
}

func (s *overheard) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if r, ok := m.(*spokev1.ConnectResponse); ok && err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.down = append(s.down, proto.CloneOf(r))
	}
	return err
}

// take answers what has been said since the last take.
func (o *overhear) take() (up []*spokev1.ConnectRequest, down []*spokev1.ConnectResponse) {
	o.mu.Lock()
	defer o.mu.Unlock()
	up, down = o.up, o.down
	o.up, o.down = nil, nil
	return up, down
}

func (o *overhear) hear(edit func(*spokev1.ConnectRequest)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.edit = edit
}

// greeting waits for a session to begin, and answers how.
func (o *overhear) greeting(t *testing.T) (hello *spokev1.Hello, welcome *spokev1.Welcome) {
	t.Helper()
	eventually(t, "the spoke is welcomed", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, m := range o.up {
			if m.GetHello() != nil {
				hello = m.GetHello()
			}
		}
		for _, m := range o.down {
			if m.GetWelcome() != nil {
				welcome = m.GetWelcome()
			}
		}
		return welcome != nil
	})
	return hello, welcome
}

// A change that differs in a field costs what differs, and a spoke that comes back unchanged some hashes.
func TestBriefPeers(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(50_000, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	heard := listen(s)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	heard.take()
	digest := h.publish("web", text(50_000, "two"), "prod")
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 2)
	if got, err := s.state.Content(t.Context(), digest); err != nil || !bytes.Equal(got, text(50_000, "two")) {
		t.Errorf("content: %v", err)
	}
	up, down := heard.take()
	if len(down) != 1 || down[0].GetDelta().GetChanges()[0].GetRevise() == nil || proto.Size(down[0]) > 150 {
		t.Errorf("down: %v", down)
	}
	var ack *spokev1.ConnectRequest
	for _, m := range up {
		if m.GetAck() != nil {
			ack = m
		}
	}
	if ack == nil || !ack.GetAck().Complete || proto.Size(ack) > 12 {
		t.Errorf("acknowledged by %v", ack)
	}

	eventually(t, "the hub knows all reports", func() bool {
		return bytes.Equal(h.store.Read().Observed(uid("edge-1")).GetReportsHash(), s.book.Hash())
	})
	h.stop()
	heard.take()
	h.start()
	hello, welcome := heard.greeting(t)
	welcome.TrustBundle = nil // this spoke does not say which it has
	if size := proto.Size(hello) + proto.Size(welcome); size > 180 || welcome.SendHoldings || welcome.SendReports || welcome.SendFacts {
		t.Errorf("coming back took %d bytes: %v, %v", size, hello, welcome)
	}
	// Another process says all again.
	s.halt()
	heard.take()
	s.restart()
	if hello, _ := heard.greeting(t); hello.Instance == "" || len(hello.HoldingsHash) < 32 {
		t.Errorf("another process says %v", hello)
	}
}

// With a peer that knows nothing of what is brief, all is said as it was before; and a hub that was put back to such a version is told in full, after
// it has asked once.
func TestOlderPeers(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(50_000, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	heard := listen(s)
	// What an older hub does not read; and what it would say to an older spoke is the same.
	heard.hear(func(m *spokev1.ConnectRequest) {
		if hello := m.GetHello(); hello != nil {
			hello.Brief = false
		}
	})
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	heard.take()
	two := h.publish("web", text(50_000, "two"), "prod")
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 2)
	up, down := heard.take()
	d := down[0].GetDelta()
	if d.GetChanges()[0].GetAssign() == nil || len(d.Contents) != 1 || len(d.Cursor.Epoch) == 0 || len(d.HoldingsHash) < 32 {
		t.Errorf("down: %v", down)
	}
	for _, m := range up {
		if a := m.GetAck(); a != nil && (a.Complete || len(a.Cursor.GetEpoch()) == 0 || len(a.Digests) != 1 || a.Digests[0] != two) {
			t.Errorf("acknowledged by %v", a)
		}
	}

	// Both become new, and then the hub old again: it takes cut hashes for other ones.
	again := func(edit func(*spokev1.ConnectRequest)) (*spokev1.Hello, *spokev1.Welcome) {
		h.stop()
		heard.take()
		heard.hear(edit)
		h.start()
		return heard.greeting(t)
	}
	if _, welcome := again(nil); !welcome.Brief {
		t.Errorf("both are new, and the hub says %v", welcome)
	}
	other := []byte("other")
	hello, welcome := again(func(m *spokev1.ConnectRequest) {
		if hello := m.GetHello(); hello != nil && len(hello.HoldingsHash) < 32 {
			hello.Brief, hello.HoldingsHash, hello.ReportsHash, hello.FactsHash, hello.TrustHash = false, other, other, other, other
		}
	})
	if hello.Instance != "" || !welcome.SendHoldings || !welcome.SendReports || !welcome.SendFacts {
		t.Errorf("put back, it welcomes %v with %v", hello, welcome)
	}
	h.publish("web", text(50_000, "three"), "prod")
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 3)
	if hello, _ := again(nil); hello.Instance == "" || len(hello.HoldingsHash) < 32 {
		t.Errorf("then the spoke says %v", hello)
	}
}

// A brief change that does not come out is refused, and comes whole.
func TestBriefChangeThatDoesNotComeOut(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(50_000, "one"), "prod")
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	r.greet(id, func(hello *spokev1.Hello) { hello.Brief = true })
	r.list()
	first := r.delta()
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: &spokev1.Cursor{Index: first.Cursor.Index}, Complete: true}}})
	two := h.publish("web", text(50_000, "two"), "prod")
	d := r.delta()
	if d.Changes[0].GetRevise() == nil || len(d.Cursor.Epoch) > 0 {
		t.Fatalf("got %v", d)
	}
	r.nack(&spokev1.Nack{Cursor: d.Cursor, BundleUid: uid("web"), Code: spokev1.NackCode_NACK_CODE_WRONG_DIGEST})
	r.list(held(first.Changes[0].GetAssign(), first.Cursor))
	d = r.delta()
	if a := d.Changes[0].GetAssign(); a == nil || a.Digest != two || len(d.Contents) != 1 || d.Contents[0].BaseDigest != "" {
		t.Fatalf("then %v", d)
	}
	r.ack(d.Cursor, two)
	r.quiet(50 * time.Millisecond)
	h.publish("web", text(50_000, "three"), "prod")
	if d = r.delta(); d.Changes[0].GetRevise() == nil {
		t.Errorf("once it has been taken, got %v", d)
	}
}

// After a restore, what a spoke holds is of an epoch that the hub has left, and what it says when it comes back does not tell. Regression:
// the next change of each bundle came briefly, was refused, and came again as a whole.
func TestFirstChangeAfterARestore(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(50_000, "one"), "prod")
	h.publish("other", text(100, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	heard := listen(s)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	h.awaitPhase("edge-1", "other", yardarmv1.PhaseReady, 1)
	h.restore(h.backup())
	h.publish("other", text(100, "two"), "prod") // the spoke's cursor is of the new epoch then
	h.awaitPhase("edge-1", "other", yardarmv1.PhaseReady, 2)
	again := func() {
		t.Helper()
		s.halt()
		heard.take()
		s.restart()
		if _, welcome := heard.greeting(t); welcome.SendHoldings {
			t.Error("the hub does not take it to hold what it should")
		}
	}
	again()
	change := func(revision uint32, seed string) *spokev1.Change {
		t.Helper()
		heard.take()
		h.publish("web", text(50_000, seed), "prod")
		h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, revision)
		up, down := heard.take()
		for _, m := range up {
			if m.GetNack() != nil {
				t.Errorf("refused: %v", m)
			}
		}
		for _, m := range down {
			if d := m.GetDelta(); d != nil {
				if proto.Size(m) > 700 {
					t.Errorf("a change of a field takes %d bytes", proto.Size(m))
				}
				return d.Changes[0]
			}
		}
		t.Fatal("no delta")
		return nil
	}
	if c := change(2, "two"); c.GetAssign() == nil {
		t.Errorf("the first is %v", c)
	}
	if c := change(3, "three"); c.GetRevise() == nil {
		t.Errorf("the second is not brief: %v", c)
	}
	again()
	if c := change(4, "four"); c.GetRevise() == nil {
		t.Errorf("that of a bundle that has changed since the restore is not brief: %v", c)
	}
}
