package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

const (
	// outBuffer is how many messages may wait for the stream: an acknowledgement, a few refusals and a list. More would be
	// news that gets old; a sender waits.
	outBuffer = 8
	// welcomeTimeout bounds how long a hub may take to answer: the connection, and 10 s for which it may have its session wait.
	welcomeTimeout = connectTimeout + 15*time.Second
	// reportEvery is the least time between two report messages: within it, the latest wins.
	reportEvery = 100 * time.Millisecond
	// heartbeatDefault serves with a hub that names no interval. The bounds are for one that names a senseless one.
	heartbeatDefault = 30 * time.Second
	heartbeatLeast   = 10 * time.Millisecond
	heartbeatMost    = 10 * time.Minute
)

// session is one stream, from Hello to its end. Its goroutines share it: receive owns what comes in, send owns the stream's
// sending side, fetchAll brings contents, watchFacts looks at the cluster, tryAll tries what the hub asks for. The first to fail ends all.
type session struct {
	*Client
	client  spokev1.SpokeServiceClient
	stream  grpc.BidiStreamingClient[spokev1.ConnectRequest, spokev1.ConnectResponse]
	address string
	logger  *slog.Logger

	// out is what is to be said as it is. What is to be said as of when it is said has signals instead, so that an older list
	// never follows a newer one: list for the holdings, news for facts; the book has a signal of its own.
	out  chan *spokev1.ConnectRequest
	list chan struct{}
	news chan *yardarmv1.Facts
	// missing says that some content may be missing.
	missing chan struct{}
	// spare says that there is time for what can wait.
	spare chan struct{}
	// trials are those that wait for their turn.
	trials chan trial

	// Set by greet, before the goroutines start.
	welcomed    bool
	heartbeat   time.Duration
	told        []byte // the hash of the facts that the hub knows
	sendReports bool
}

// drained ends a session that the hub has asked to come back later.
type drained struct{ within time.Duration }

func (d *drained) Error() string {
	return fmt.Sprintf("the hub asks to reconnect within %s", d.within)
}

func (s *session) run(ctx context.Context, cancel context.CancelCauseFunc) error {
	timer := time.AfterFunc(welcomeTimeout, func() { cancel(fmt.Errorf("the hub has not answered within %s", welcomeTimeout)) })
	err := s.greet(ctx)
	timer.Stop()
	if err != nil {
		return cause(ctx, err)
	}
	s.welcomed = true
	s.Status(Status{Connected: true, Since: time.Now(), Hub: s.address})
	s.logger.Info("connected to the hub")

	group, ctx := errgroup.WithContext(ctx)
	s.missing <- struct{}{} // what an earlier session did not get
	group.Go(func() error { return s.receive(ctx) })
	group.Go(func() error { return s.send(ctx) })
	group.Go(func() error { return s.fetchAll(ctx) })
	group.Go(func() error { return s.watchFacts(ctx, s.told) })
	group.Go(func() error { return s.tryAll(ctx) })
	// Recv returns only when the stream ends, which is when its context does.
	group.Go(func() error { <-ctx.Done(); cancel(context.Cause(ctx)); return nil })
	return cause(ctx, group.Wait())
}

// cause prefers what ended the context over the error that followed from it.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && !errors.Is(c, context.Canceled) {
		return c
	}
	return err
}

// greet says Hello and takes the Welcome.
func (s *session) greet(ctx context.Context) error {
	if err := s.State.Settle(ctx); err != nil {
		s.logger.Warn("what an earlier write left half done stays so", "error", err)
	}
	_, hash, err := s.facts.get(ctx, s.Facts)
	if err != nil {
		s.logger.Warn("cannot observe the cluster's facts", "error", err)
	}
	hello := s.hello(hash)
	if err := s.stream.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Hello{Hello: hello}}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	msg, err := s.stream.Recv() // also why Send failed, if it did
	if err != nil {
		return err
	}
	w := msg.GetWelcome()
	if w == nil {
		return errors.New("the hub's first message is no welcome")
	}
	if err := s.State.CheckCursor(w.Cursor); err != nil {
		return err
	}
	s.logger = s.logger.With("session", w.Session)
	if w.ReadOnly != "" {
		s.logger.Warn("the hub hands out no changes", "reason", w.ReadOnly)
	}
	s.brief = w.Brief
	s.within = min(max(w.ReconnectWithin.AsDuration(), 0), backoffCap) // a hub shows clusters as stale that are not back in twice that
	if w.MaxArtifactSize > 0 {
		s.State.SetMaxArtifactSize(w.MaxArtifactSize)
	}
	if err := s.Identity.Update(ctx, w.TrustBundle, w.HubAddresses); err != nil {
		return fmt.Errorf("keep the hub's trust bundle and addresses: %w", err)
	}
	s.heartbeat = heartbeatDefault
	if d := w.HeartbeatInterval.AsDuration(); d > 0 {
		s.heartbeat = min(max(d, heartbeatLeast), heartbeatMost)
	}
	if !w.SendFacts {
		s.told = hash
	}
	if w.SendHoldings {
		s.list <- struct{}{}
	}
	s.sendReports = w.SendReports
	return nil
}

// hello says what the spoke holds: in few bytes to a hub that is known to take it so. One that does not, after all, asks for everything, and
// is told in full the next time.
func (s *session) hello(factsHash []byte) *spokev1.Hello {
	h := &spokev1.Hello{
		Protocol: Protocol, Customization: yardarmv1.CustomizationLanguage, SpokeVersion: s.Version, Instance: s.Instance, KubeUid: s.KubeUID,
		Cursor: s.State.Cursor(), HoldingsHash: s.State.HoldingsHash(), Removing: s.State.Removing(),
		ReportsHash: s.Book.Hash(), FactsHash: factsHash, TrustHash: s.Identity.TrustHash(), Brief: true, Trials: s.Try != nil,
	}
	if s.brief {
		h.Instance = ""
		for _, hash := range []*[]byte{&h.HoldingsHash, &h.ReportsHash, &h.FactsHash, &h.TrustHash} {
			*hash = holdings.Cut(*hash)
		}
	}
	return h
}

// receive takes what the hub sends until the stream ends.
func (s *session) receive(ctx context.Context) error {
	for {
		msg, err := s.stream.Recv()
		if err != nil {
			return err
		}
		switch m := msg.Message.(type) {
		case *spokev1.ConnectResponse_Delta:
			if err := s.take(ctx, m.Delta); err != nil {
				return err
			}
			if len(s.State.Missing()) > 0 {
				signal(s.missing)
			}
		case *spokev1.ConnectResponse_Trial:
			if err := s.ask(ctx, m.Trial); err != nil {
				return err
			}
		case *spokev1.ConnectResponse_Drain:
			return &drained{m.Drain.ReconnectWithin.AsDuration()}
		default:
			// A newer hub's message that this spoke need not know.
			s.logger.Debug("ignoring an unknown message")
		}
	}
}

// take persists a delta and answers it.
func (s *session) take(ctx context.Context, d *spokev1.Delta) error {
	out, err := s.State.ApplyDelta(ctx, d)
	if err != nil {
		return err
	}
	for _, n := range out.Nacks {
		s.logger.Warn("refused a change", "bundle_uid", n.BundleUid, "digest", n.Digest, "code", n.Code.String(), "error", n.Message)
		if err := s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: n}}); err != nil {
			return err
		}
	}
	switch {
	case !out.Persisted:
		return nil
	case out.Diverged:
		signal(s.list)
		return nil
	}
	ack := &spokev1.Ack{Cursor: d.Cursor, Digests: out.Acked}
	if s.brief {
		ack.Cursor = &spokev1.Cursor{Index: d.Cursor.GetIndex()}
		if out.Complete {
			ack.Digests, ack.Complete = nil, true
		}
	}
	return s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: ack}})
}

func (s *session) put(ctx context.Context, m *spokev1.ConnectRequest) error {
	select {
	case s.out <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
