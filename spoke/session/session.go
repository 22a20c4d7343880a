package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/spoke/report"
)

const (
	// outBuffer is how many messages may wait for the stream: an acknowledgement, a few refusals and a list. More would be
	// news that gets old; a sender waits.
	outBuffer = 8
	// welcomeTimeout bounds how long a hub that has accepted the connection may take to answer.
	welcomeTimeout = 30 * time.Second
	// reportEvery is the least time between two report messages: within it, the latest wins.
	reportEvery = 100 * time.Millisecond
	// heartbeatDefault serves with a hub that names no interval.
	heartbeatDefault = 30 * time.Second
)

// session is one stream, from Hello to its end. Three goroutines share it: receive owns what comes in, send owns the
// stream's sending side, fetch brings contents. The first to fail ends all.
type session struct {
	*Client
	client  spokev1.SpokeServiceClient
	stream  grpc.BidiStreamingClient[spokev1.ConnectRequest, spokev1.ConnectResponse]
	address string
	out     chan *spokev1.ConnectRequest

	// Set by greet, before the goroutines start.
	heartbeat time.Duration
	factsHash []byte
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
	s.Status(Status{Connected: true, Since: time.Now(), Hub: s.address})
	s.Logger.Info("connected to the hub", "hub", s.address)

	group, ctx := errgroup.WithContext(ctx)
	missing := make(chan struct{}, 1)
	missing <- struct{}{} // what an earlier session did not get
	group.Go(func() error { return s.receive(ctx, missing) })
	group.Go(func() error { return s.send(ctx) })
	group.Go(func() error { return s.fetchAll(ctx, missing) })
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
	facts, hash, err := s.facts.get(ctx, s.Facts)
	if err != nil {
		s.Logger.Warn("cannot observe the cluster's facts", "error", err)
	}
	s.factsHash = hash
	hello := &spokev1.Hello{
		Protocol: Protocol, Customization: Customization, SpokeVersion: s.Version, Instance: s.Instance, KubeUid: s.KubeUID,
		Cursor: s.State.Cursor(), HoldingsHash: s.State.HoldingsHash(), ReportsHash: s.Book.Hash(), FactsHash: hash,
	}
	if err := s.stream.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Hello{Hello: hello}}); err != nil {
		return s.sendError(err)
	}
	msg, err := s.stream.Recv()
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
	if w.ReadOnly != "" {
		s.Logger.Warn("the hub hands out no changes", "reason", w.ReadOnly)
	}
	if w.MaxArtifactSize > 0 {
		s.State.SetMaxArtifactSize(w.MaxArtifactSize)
	}
	if err := s.Identity.Update(ctx, w.TrustBundle, w.HubAddresses); err != nil {
		return fmt.Errorf("keep the hub's trust bundle and addresses: %w", err)
	}
	s.heartbeat = heartbeatDefault
	if d := w.HeartbeatInterval.AsDuration(); d > 0 {
		s.heartbeat = d
	}
	if w.SendFacts {
		s.out <- &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Facts{Facts: facts}}
	}
	if w.SendHoldings {
		s.out <- s.holdings()
	}
	if w.SendReports {
		s.out <- reports(s.Book.All(), true)
	}
	return nil
}

// sendError answers why the stream took no message: the hub's status is on the receiving side.
func (s *session) sendError(err error) error {
	if errors.Is(err, io.EOF) {
		_, err = s.stream.Recv()
	}
	return err
}

func (s *session) holdings() *spokev1.ConnectRequest {
	return &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{
		Holdings: &spokev1.Holdings{Holdings: s.State.Holdings()},
	}}
}

func reports(u report.Update, complete bool) *spokev1.ConnectRequest {
	return &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Reports{Reports: &spokev1.ReportUpdate{
		Reports: u.Reports, Removed: u.Removed, Complete: complete, ReportsHash: u.Hash,
	}}}
}

// receive takes what the hub sends until the stream ends.
func (s *session) receive(ctx context.Context, missing chan<- struct{}) error {
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
			select {
			case missing <- struct{}{}:
			default:
			}
		case *spokev1.ConnectResponse_Drain:
			return &drained{m.Drain.ReconnectWithin.AsDuration()}
		default:
			// A newer hub's message that this spoke need not know.
			s.Logger.Debug("ignoring an unknown message")
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
		s.Logger.Warn("refused a change", "bundle_uid", n.BundleUid, "digest", n.Digest, "code", n.Code.String(), "error", n.Message)
		if err := s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: n}}); err != nil {
			return err
		}
	}
	switch {
	case !out.Persisted:
		return nil
	case out.Diverged:
		return s.put(ctx, s.holdings())
	}
	return s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{
		Ack: &spokev1.Ack{Cursor: d.Cursor, Digests: out.Acked},
	}})
}

func (s *session) put(ctx context.Context, m *spokev1.ConnectRequest) error {
	select {
	case s.out <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send owns the sending side: answers first come first, reports as the latest, heartbeats when nothing else was said.
func (s *session) send(ctx context.Context) error {
	heartbeat := time.NewTicker(s.heartbeat - jitter(s.heartbeat/5))
	defer heartbeat.Stop()
	facts := time.NewTicker(factsEvery)
	defer facts.Stop()
	for {
		var msg *spokev1.ConnectRequest
		select {
		case <-ctx.Done():
			return ctx.Err()
		case msg = <-s.out:
		case <-s.Book.Changed():
			u, ok := s.Book.Take()
			if !ok {
				continue
			}
			if err := s.write(reports(u, false)); err != nil {
				return err
			}
			if err := pause(ctx, reportEvery); err != nil {
				return err
			}
		case <-s.State.Ended():
			msg = s.holdings()
		case <-heartbeat.C:
			msg = &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Heartbeat{Heartbeat: &spokev1.Heartbeat{}}}
		case <-facts.C:
			f, hash, err := s.facts.get(ctx, s.Facts)
			if err != nil {
				s.Logger.Warn("cannot observe the cluster's facts", "error", err)
			}
			if bytes.Equal(hash, s.factsHash) {
				continue
			}
			s.factsHash = hash
			msg = &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Facts{Facts: f}}
		}
		if msg != nil {
			if err := s.write(msg); err != nil {
				return err
			}
		}
	}
}

func (s *session) write(m *spokev1.ConnectRequest) error {
	if err := s.stream.Send(m); err != nil {
		return s.sendError(err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
