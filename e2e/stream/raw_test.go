package stream

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// raw is a stream that says only what a test says: a spoke that is slow, wrong or hostile.
type raw struct {
	t      testing.TB
	stream grpc.BidiStreamingClient[spokev1.ConnectRequest, spokev1.ConnectResponse]
	client spokev1.SpokeServiceClient
	cancel context.CancelFunc

	messages chan *spokev1.ConnectResponse
	ended    chan error
}

// connect opens a stream, on a connection of its own, and says nothing yet.
func connect(t testing.TB, h *hub, id *identity, options ...grpc.DialOption) *raw {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r := &raw{t: t, cancel: cancel, client: spokev1.NewSpokeServiceClient(id.conn(t, h.address, options...)), messages: make(chan *spokev1.ConnectResponse, 1000), ended: make(chan error, 1)}
	var err error
	if r.stream, err = r.client.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := r.stream.Recv()
			if err != nil {
				r.ended <- err
				return
			}
			r.messages <- m
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// greet says a Hello that holds nothing, but for what edit says, and answers the Welcome.
func (r *raw) greet(id *identity, edit func(*spokev1.Hello)) *spokev1.Welcome {
	r.t.Helper()
	r.hello(id, edit)
	w := r.next().GetWelcome()
	if w == nil {
		r.t.Fatal("the hub's first message is no welcome")
	}
	return w
}

func (r *raw) hello(id *identity, edit func(*spokev1.Hello)) {
	r.t.Helper()
	hello := &spokev1.Hello{Protocol: 1, SpokeVersion: "raw", Instance: "raw", KubeUid: id.kube, HoldingsHash: holdings.SetHash(nil)}
	if edit != nil {
		edit(hello)
	}
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Hello{Hello: hello}})
}

func (r *raw) send(m *spokev1.ConnectRequest) {
	r.t.Helper()
	if err := r.stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
		r.t.Fatal(err)
	}
}

func (r *raw) list(holdings ...*spokev1.Holding) {
	r.t.Helper()
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{Holdings: holdings}}})
}

func (r *raw) ack(c *spokev1.Cursor, digests ...string) {
	r.t.Helper()
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: c, Digests: digests}}})
}

func (r *raw) nack(n *spokev1.Nack) {
	r.t.Helper()
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: n}})
}

func (r *raw) reports(u *spokev1.ReportUpdate) {
	r.t.Helper()
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Reports{Reports: u}})
}

// next answers the hub's next message.
func (r *raw) next() *spokev1.ConnectResponse {
	r.t.Helper()
	select {
	case m := <-r.messages:
		return m
	case err := <-r.ended:
		select {
		case m := <-r.messages:
			r.ended <- err
			return m
		default:
		}
		r.t.Fatalf("the stream has ended: %v", err)
	case <-time.After(patience):
		r.t.Fatal("the hub says nothing")
	}
	return nil
}

func (r *raw) delta() *spokev1.Delta {
	r.t.Helper()
	m := r.next()
	if m.GetDelta() == nil {
		r.t.Fatalf("not a delta: %v", m)
	}
	return m.GetDelta()
}

// quiet fails if the hub says anything within the time given: for what must not come, there is nothing to wait for.
func (r *raw) quiet(d time.Duration) {
	r.t.Helper()
	select {
	case m := <-r.messages:
		r.t.Fatalf("the hub says: %v", m)
	case err := <-r.ended:
		r.t.Fatalf("the stream has ended: %v", err)
	case <-time.After(d):
	}
}

// end answers what the hub ended the stream with.
func (r *raw) end() *status.Status {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return status.Convert(err)
	case <-time.After(patience):
		r.t.Fatal("the stream goes on")
	}
	return nil
}

// held is a holding as a spoke lists it.
func held(a *yardarmv1.AssignmentSpec, c *spokev1.Cursor) *spokev1.Holding {
	return &spokev1.Holding{
		Bundle: a.Bundle, BundleUid: a.BundleUid, Hash: a.Hash, Revision: a.Revision, Digest: a.Digest, Epoch: c.Epoch, Index: c.Index, HasContent: true,
	}
}
