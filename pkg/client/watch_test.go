package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

type watchStream = grpc.ServerStreamingServer[hubv1.WatchResponse]

// script answers the first call by the first list of messages, and so on, and ends each with its error; nil keeps the stream open.
type script struct {
	messages []*hubv1.WatchResponse
	err      error
}

func playing(calls *atomic.Int32, scripts ...script) *fakeHub {
	return &fakeHub{watch: func(_ *hubv1.WatchRequest, s watchStream) error {
		script := scripts[min(int(calls.Add(1)), len(scripts))-1]
		for _, m := range script.messages {
			if err := s.Send(m); err != nil {
				return err
			}
		}
		if script.err == nil {
			<-s.Context().Done()
		}
		return script.err
	}}
}

func bookmark() *hubv1.WatchResponse { return &hubv1.WatchResponse{Type: "BOOKMARK"} }

func modified(c *yardarmv1.Cluster) *hubv1.WatchResponse {
	return &hubv1.WatchResponse{Type: "MODIFIED", Resource: &hubv1.WatchResponse_Cluster{Cluster: c}}
}

// deleted carries, like the hub's, no more than which one it was.
func deleted(name string) *hubv1.WatchResponse {
	return &hubv1.WatchResponse{Type: "DELETED", Resource: &hubv1.WatchResponse_Cluster{Cluster: &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: name}}}}
}

func text(c Change) string {
	if c.Object == nil {
		return string(c.Type)
	}
	return fmt.Sprintf("%s %s %s", c.Type, c.Object.GetMetadata().GetName(), c.Object.(*yardarmv1.Cluster).GetStatus().GetPhase())
}

// collect reads n changes.
func collect(t *testing.T, c *Client, n int) []string {
	t.Helper()
	var got []string
	for change, err := range c.Watch(testContext(t), &hubv1.WatchRequest{Kind: "Cluster"}, WatchOptions{}) {
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		if got = append(got, text(change)); len(got) == n {
			break
		}
	}
	return got
}

func TestWatch(t *testing.T) {
	var calls atomic.Int32
	c := start(t, playing(&calls, script{messages: []*hubv1.WatchResponse{
		added(cluster("a", "Active")), added(cluster("b", "Active")), bookmark(), {Type: "HEARTBEAT"}, {Type: "NEWER"},
		modified(cluster("a", "Banned")), deleted("b"), deleted("never-there"), added(cluster("c", "Active")),
	}}), nil)
	got := collect(t, c, 6)
	want := []string{"ADDED a Active", "ADDED b Active", "SYNCED", "MODIFIED a Banned", "DELETED b Active", "ADDED c Active"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A watch goes on from the newest bookmark, and takes a snapshot where the hub does not remember that.
func TestWatchGoesOnFromItsBookmark(t *testing.T) {
	var asked []string
	lost := status.Error(codes.Unavailable, "restarting")
	marked := func(m *hubv1.WatchResponse, bookmark string) *hubv1.WatchResponse { m.Bookmark = bookmark; return m }
	scripts := []script{
		{[]*hubv1.WatchResponse{added(cluster("a", "Active")), added(cluster("b", "Active")), marked(bookmark(), "one"), modified(cluster("a", "Banned"))}, lost},
		{[]*hubv1.WatchResponse{marked(bookmark(), "one"), modified(cluster("a", "Banned")), marked(deleted("b"), "two")}, lost},
		{nil, status.Error(codes.Aborted, "not remembered")},
		{[]*hubv1.WatchResponse{added(cluster("a", "Banned")), added(cluster("c", "Active")), marked(bookmark(), "three")}, nil},
	}
	c := start(t, &fakeHub{watch: func(req *hubv1.WatchRequest, s watchStream) error {
		asked = append(asked, req.GetBookmark())
		script := scripts[len(asked)-1]
		for _, m := range script.messages {
			if err := s.Send(m); err != nil {
				return err
			}
		}
		if script.err == nil {
			<-s.Context().Done()
		}
		return script.err
	}}, nil)
	got := collect(t, c, 6)
	want := []string{"ADDED a Active", "ADDED b Active", "SYNCED", "MODIFIED a Banned", "DELETED b Active", "ADDED c Active"}
	if !slices.Equal(got, want) || !slices.Equal(asked, []string{"", "one", "two", ""}) {
		t.Errorf("got %q, want %q; asked from %q", got, want, asked)
	}
}

// A watch that has lost its stream yields what differs from before: nothing twice, and what went away meanwhile as deleted.
func TestWatchGoesOnAfterALostStream(t *testing.T) {
	var calls atomic.Int32
	fresh := func(at int64) *yardarmv1.Cluster {
		c := cluster("same", "Active")
		c.Status.LastSeen = &timestamppb.Timestamp{Seconds: at}
		return c
	}
	lost := status.Error(codes.Unavailable, "restarting")
	c := start(t, playing(&calls,
		script{[]*hubv1.WatchResponse{added(fresh(1)), added(cluster("gone", "Active")), added(cluster("b", "Active")), bookmark()}, lost},
		script{nil, lost}, // nothing at all
		script{[]*hubv1.WatchResponse{added(fresh(2)), added(cluster("b", "Banned"))}, lost}, // half a snapshot deletes nothing
		script{[]*hubv1.WatchResponse{added(fresh(3)), added(cluster("b", "Banned")), bookmark(), added(cluster("c", ""))}, nil},
	), nil)
	got := collect(t, c, 7)
	want := []string{"ADDED same Active", "ADDED gone Active", "ADDED b Active", "SYNCED", "MODIFIED b Banned", "DELETED gone Active", "ADDED c "}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if calls.Load() != 4 {
		t.Errorf("%d streams, want 4", calls.Load())
	}
}

func TestWatchEndsWithErrors(t *testing.T) {
	refused := status.Error(codes.Unauthenticated, "who are you")
	unavailable := status.Error(codes.Unavailable, "stopping")
	for _, tc := range []struct {
		name    string
		scripts []script
		code    codes.Code
		calls   int32
	}{
		{"before the first message", []script{{nil, unavailable}}, codes.Unavailable, 1},
		{"refused at first", []script{{nil, refused}}, codes.Unauthenticated, 1},
		{"refused later", []script{{[]*hubv1.WatchResponse{bookmark()}, unavailable}, {nil, refused}}, codes.Unauthenticated, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var calls atomic.Int32
			c := start(t, playing(&calls, tc.scripts...), nil)
			var last error
			for _, err := range c.Watch(testContext(t), &hubv1.WatchRequest{}, WatchOptions{}) {
				last = err
			}
			if status.Code(last) != tc.code || calls.Load() != tc.calls {
				t.Errorf("got %v after %d streams, want %v after %d", last, calls.Load(), tc.code, tc.calls)
			}
		})
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	var calls atomic.Int32
	c := start(t, playing(&calls, script{messages: []*hubv1.WatchResponse{bookmark()}}), nil)
	ctx, cancel := context.WithCancelCause(testContext(t))
	defer cancel(nil)
	cause := errors.New("enough")
	var last error
	for change, err := range c.Watch(ctx, &hubv1.WatchRequest{}, WatchOptions{}) {
		if change.Type == Synced {
			cancel(cause)
		}
		last = err
	}
	if !errors.Is(last, cause) {
		t.Errorf("got %v, want the cause", last)
	}
}

func TestEventsGoOnAfterTheLast(t *testing.T) {
	var asked []*hubv1.WatchEventsRequest
	c := start(t, &fakeHub{watchEvents: func(req *hubv1.WatchEventsRequest, s grpc.ServerStreamingServer[hubv1.WatchEventsResponse]) error {
		asked = append(asked, req)
		first := uint64(10 * len(asked))
		for _, sequence := range []uint64{first, first + 1} {
			if err := s.Send(&hubv1.WatchEventsResponse{Event: &yardarmv1.Event{Sequence: sequence}}); err != nil {
				return err
			}
		}
		return status.Error(codes.Unavailable, "restarting")
	}}, nil)
	req := &hubv1.WatchEventsRequest{Follow: true, Tail: 5, Bundle: "web"}
	var got []uint64
	lost := 0
	for e, err := range c.Events(testContext(t), req, WatchOptions{Lost: func(error, time.Duration) { lost++ }}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.GetSequence()); len(got) == 4 {
			break
		}
	}
	if !slices.Equal(got, []uint64{10, 11, 20, 21}) || lost != 1 {
		t.Errorf("got %v, lost %d times", got, lost)
	}
	if second := asked[1]; second.GetAfter() != 11 || second.GetTail() != 0 || !second.GetFollow() || second.GetBundle() != "web" {
		t.Errorf("the second request is %v", second)
	}
	if req.GetAfter() != 0 {
		t.Error("the caller's request was changed")
	}
}

// On a quiet hub, that the stream has opened is all there is to hear.
func TestEventsFollowAQuietHub(t *testing.T) {
	var calls atomic.Int32
	c := start(t, &fakeHub{watchEvents: func(_ *hubv1.WatchEventsRequest, s grpc.ServerStreamingServer[hubv1.WatchEventsResponse]) error {
		if err := s.SendHeader(nil); err != nil {
			return err
		}
		if calls.Add(1) == 1 {
			return status.Error(codes.Unavailable, "restarting")
		}
		return s.Send(&hubv1.WatchEventsResponse{Event: &yardarmv1.Event{Sequence: 1}})
	}}, nil)
	lost, found := 0, 0
	for e, err := range c.Events(testContext(t), &hubv1.WatchEventsRequest{Follow: true}, WatchOptions{Lost: func(error, time.Duration) { lost++ }, Found: func() { found++ }}) {
		if err != nil || e.GetSequence() != 1 {
			t.Fatalf("got %v, %v", e, err)
		}
		break
	}
	if lost != 1 || found != 1 {
		t.Errorf("lost %d times, found %d times", lost, found)
	}
}

func TestEventsEndWithTheFirstRefusal(t *testing.T) {
	var calls atomic.Int32
	c := start(t, &fakeHub{watchEvents: func(_ *hubv1.WatchEventsRequest, s grpc.ServerStreamingServer[hubv1.WatchEventsResponse]) error {
		calls.Add(1)
		return status.Error(codes.Unavailable, "stopping")
	}}, nil)
	var last error
	for _, err := range c.Events(testContext(t), &hubv1.WatchEventsRequest{Follow: true}, WatchOptions{}) {
		last = err
	}
	if status.Code(last) != codes.Unavailable || calls.Load() != 1 {
		t.Errorf("got %v after %d streams", last, calls.Load())
	}
}

func TestEventsEndWithoutFollow(t *testing.T) {
	c := start(t, &fakeHub{watchEvents: func(_ *hubv1.WatchEventsRequest, s grpc.ServerStreamingServer[hubv1.WatchEventsResponse]) error {
		return s.Send(&hubv1.WatchEventsResponse{Event: &yardarmv1.Event{Sequence: 1}})
	}}, nil)
	n := 0
	for _, err := range c.Events(testContext(t), &hubv1.WatchEventsRequest{}, WatchOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("got %d events", n)
	}
}

func TestReconnectGivesUpOnSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var lost []time.Duration
		calls := 0
		err := reconnect(t.Context(), silence, WatchOptions{Lost: func(err error, _ time.Duration) {
			if !errors.Is(err, errSilent) {
				t.Errorf("lost by %v", err)
			}
			lost = append(lost, time.Since(start))
		}}, func(ctx context.Context, alive func()) error {
			if calls++; calls == 2 {
				return errStopped
			}
			time.Sleep(40 * time.Second)
			alive() // which counts from here
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		})
		if !errors.Is(err, errStopped) || !slices.Equal(lost, []time.Duration{40*time.Second + silence}) {
			t.Errorf("got %v, lost at %v", err, lost)
		}
	})
}

// A watch that outlives its credential goes on with the next one, if there is one; one that is refused at once, or whose credential stays the same, does not.
func TestReconnectWithARenewedCredential(t *testing.T) {
	ended := status.Error(codes.Unauthenticated, "the credential has expired")
	for name, c := range map[string]struct {
		renewed bool
		heard   []bool // by each attempt
		want    int
	}{
		"renewed":                {true, []bool{true, true, false}, 3},
		"the same":               {false, []bool{true, true}, 1},
		"refused from the first": {true, []bool{false, true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := reconnect(t.Context(), 0, WatchOptions{renewed: c.renewed}, func(_ context.Context, alive func()) error {
					if c.heard[calls] {
						alive()
					}
					calls++
					return ended
				})
				if status.Code(err) != codes.Unauthenticated || calls != c.want {
					t.Errorf("%d attempts, and then %v; want %d", calls, err, c.want)
				}
			})
		})
	}
}

// A consumer that stops because its context has ended must not be called again: yielding after a break panics.
func TestReconnectStopsForAConsumerWhoseContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := reconnect(ctx, 0, WatchOptions{}, func(context.Context, func()) error {
		cancel()
		return errStopped
	})
	if !errors.Is(err, errStopped) {
		t.Errorf("got %v, want that the consumer stopped", err)
	}
}

// The same where the consumer has taken so long over a message that the stream seems silent.
func TestReconnectStopsForASlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := reconnect(t.Context(), silence, WatchOptions{}, func(_ context.Context, alive func()) error {
			calls++
			alive()
			time.Sleep(2 * silence)
			return errStopped
		})
		if !errors.Is(err, errStopped) || calls != 1 {
			t.Errorf("got %v after %d streams", err, calls)
		}
	})
}

func TestReconnectPacesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pauses []time.Duration
		calls, found := 0, 0
		busy, err := status.New(codes.ResourceExhausted, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(20 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		_ = reconnect(t.Context(), 0, WatchOptions{Lost: func(_ error, pause time.Duration) { pauses = append(pauses, pause) }, Found: func() { found++ }},
			func(_ context.Context, alive func()) error {
				switch calls++; {
				case calls == 1:
					alive()
				case calls == 12:
					alive()
					alive()
					return io.EOF
				case calls == 13:
					return busy.Err()
				case calls == 14:
					return errStopped
				}
				return status.Error(codes.Unavailable, "away")
			})
		for i, pause := range pauses {
			bound := min(retryBase<<min(i, 8), retryMax)
			switch i {
			case 11: // it was there again: the count starts anew
				bound = retryBase
			case 12:
				if pause != 20*time.Second {
					t.Errorf("pause %d is %s, not what the hub asks for", i, pause)
				}
				continue
			}
			if pause <= 0 || pause > bound {
				t.Errorf("pause %d is %s, want at most %s", i, pause, bound)
			}
		}
		if len(pauses) != 13 || found != 1 {
			t.Errorf("%d pauses, found %d times", len(pauses), found)
		}
	})
}
