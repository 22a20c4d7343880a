package dispatch

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// endGrace is how long a session that has been ended has to say so. One that is stuck in a write, because its spoke does
	// not read, is cut then.
	endGrace = 300 * time.Millisecond
	// eventBurst and eventsPerSecond bound the events that one cluster's reports make, so that a spoke gone wrong does not
	// push those of all others out: the burst is a rollout of all its bundles.
	eventBurst      = 300
	eventsPerSecond = 1
)

// session is one spoke's stream, from Hello to its end. Its goroutine owns all fields below the line; others only call
// poke and end, and read lastSeen and flying.
type session struct {
	*Server
	id     string
	uid    string
	name   string
	logger *slog.Logger
	stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]
	// due is what may have changed since the session has looked; dirty says that it is to look.
	due   due
	dirty chan struct{}
	// asks are questions that its goroutine answers when it has the time, and trying is what it is to ask of its spoke.
	asks   chan func()
	trying chan *asked
	// events is used by intake, for one batch at a time.
	events *rate.Limiter
	// lastSeen is when the spoke last said anything, as of Server.elapsed.
	lastSeen atomic.Int64
	// flying says that a delta is on its way.
	flying atomic.Bool

	endOnce sync.Once
	ended   chan struct{}
	reason  error // why it has ended; set before ended is closed

	// ----
	delivery
	// language is the newest version of the customization language that the spoke evaluates.
	language uint32
	// tries says that the spoke answers trials.
	tries bool
	// parts are the reports of an update that is not whole yet, and reported the spoke's newest word on each bundle that it
	// has said something about.
	parts    map[string]*yardarmv1.Report
	reported map[string]*yardarmv1.Report
}

// Connect runs one session.
func (s *Server) Connect(stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]) error {
	p, err := s.caller(stream.Context())
	if err != nil {
		return err
	}
	if err := s.admitted(stream.Context(), p.UID); err != nil {
		return err
	}
	cluster := s.Store.Read().Cluster(p.UID)
	if cluster == nil {
		return status.Error(codes.PermissionDenied, "the hub knows no such cluster")
	}
	return s.newSession(p.UID, cluster.Metadata.Name, stream).run()
}

func (s *Server) newSession(uid, name string, stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]) *session {
	ses := &session{
		Server: s, uid: uid, name: name, id: s.sessions.nextID(), stream: stream,
		dirty: make(chan struct{}, 1), asks: make(chan func()), trying: make(chan *asked), ended: make(chan struct{}), events: rate.NewLimiter(eventsPerSecond, eventBurst),
		delivery: newDelivery(),
		parts:    map[string]*yardarmv1.Report{}, reported: map[string]*yardarmv1.Report{},
	}
	ses.logger = s.Logger.With("cluster", name, "session", ses.id)
	return ses
}

// poke says that anything which concerns the session may have changed.
func (s *session) poke() { s.pokeFor(everything) }

// pokeFor says that of what concerns the session only some bundles may have changed.
func (s *session) pokeFor(of scope) {
	s.due.add(of)
	s.wakeUp()
}

// wakeUp makes the session look at what is due.
func (s *session) wakeUp() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// end ends the session from outside. The first reason counts.
func (s *session) end(reason error) {
	s.endOnce.Do(func() {
		s.reason = reason
		close(s.ended)
	})
}

func (s *session) seen() { s.lastSeen.Store(int64(s.elapsed())) }

// silence is for how long the spoke has said nothing.
func (s *session) silence() time.Duration { return s.elapsed() - time.Duration(s.lastSeen.Load()) }

func (s *session) run() error {
	incoming := make(chan *spokev1.ConnectRequest)
	failed := make(chan error, 1)
	go func() {
		for first := true; ; first = false {
			m, err := s.stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			s.seen()
			if m.GetHeartbeat() != nil && !first {
				continue // it has said all, and need wake nobody
			}
			select {
			case incoming <- m:
			case <-s.stream.Context().Done():
				failed <- s.stream.Context().Err()
				return
			}
		}
	}()
	s.seen()
	var hello *spokev1.Hello
	select {
	case m := <-incoming:
		if hello = m.GetHello(); hello == nil {
			return status.Error(codes.InvalidArgument, "the first message has to be a hello")
		}
	case err := <-failed:
		return err
	case <-time.After(s.HelloTimeout):
		return status.Errorf(codes.DeadlineExceeded, "no hello within %s", s.HelloTimeout)
	}
	if err := s.check(hello); err != nil {
		s.logger.Warn("refused a session", "error", err)
		return err
	}
	known, confirmed, err := s.sessions.add(s, hello)
	defer func() { s.sessions.remove(s, status.Code(err) == codes.PermissionDenied) }()
	if err != nil {
		return storeError(err)
	}
	s.logger.Info("spoke connected", "spoke_version", clip(hello.SpokeVersion, maxReason))
	err = s.serve(hello, known.GetFactsHash(), confirmed, incoming, failed)
	reason := "the spoke has left"
	if err != nil {
		reason = err.Error()
	}
	s.logger.Info("spoke disconnected", "reason", reason)
	return err
}

// serve welcomes the spoke and then lives until the stream or the session ends.
func (s *session) serve(hello *spokev1.Hello, factsHash []byte, confirmed bool, incoming <-chan *spokev1.ConnectRequest, failed <-chan error) (err error) {
	defer survive(s.logger, &err)
	s.language, s.tries = hello.Customization, hello.Trials
	if err := s.aside(func() error { return s.welcome(hello, factsHash, confirmed) }); err != nil {
		return err
	}
	if !s.known || len(s.held) == 0 { // otherwise it holds just what it should, and changes since are told of
		s.poke()
	}
	for {
		s.flying.Store(s.sent != nil)
		select {
		case m := <-incoming:
			if err := s.handle(m); err != nil {
				return err
			}
		case <-s.dirty:
			if err := s.aside(s.advance); err != nil {
				return err
			}
		case answer := <-s.asks:
			answer()
		case t := <-s.trying:
			if err := s.aside(func() error { return s.try(t) }); err != nil {
				return err
			}
		case err := <-failed:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-s.ended:
			return s.aside(s.goodbye)
		}
	}
}

// aside does what may write to the stream in a goroutine that lives no longer, and has the session's fields meanwhile. So a
// write to a spoke that does not read keeps no session from being ended, since returning ends the stream and with it the
// write; and the goroutine that waits for weeks keeps a small stack.
func (s *session) aside(work func() error) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }()
		defer survive(s.logger, &err)
		err = work()
	}()
	select {
	case err := <-done:
		return err
	case <-s.ended:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(endGrace):
		return s.reason
	}
}

// goodbye ends the session for the reason given; a draining hub says when to come back.
func (s *session) goodbye() error {
	var d *draining
	if !errors.As(s.reason, &d) {
		return s.reason
	}
	return s.stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Drain{Drain: d.message}})
}

func (s *session) handle(m *spokev1.ConnectRequest) error {
	switch m := m.Message.(type) {
	case *spokev1.ConnectRequest_Ack:
		return s.acked(m.Ack)
	case *spokev1.ConnectRequest_Nack:
		return s.nacked(m.Nack)
	case *spokev1.ConnectRequest_Holdings:
		return s.listed(m.Holdings)
	case *spokev1.ConnectRequest_Reports:
		return s.reports(m.Reports)
	case *spokev1.ConnectRequest_Facts:
		s.intake.facts(s, cleanFacts(m.Facts))
	case *spokev1.ConnectRequest_Trial:
		s.trials.answered(s, m.Trial.GetId(), cleanTrial(m.Trial.GetResult()))
	case *spokev1.ConnectRequest_Hello:
		return status.Error(codes.InvalidArgument, "a second hello")
	}
	return nil
}

// reports takes an update, once it is whole.
func (s *session) reports(u *spokev1.ReportUpdate) error {
	for _, r := range u.Reports {
		r, err := cleanReport(r)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		s.parts[r.BundleUid] = r
	}
	for _, uid := range u.Removed {
		if !isUID(uid) {
			return status.Error(codes.InvalidArgument, "a removed report names no bundle")
		}
		s.parts[uid] = nil
	}
	if len(s.parts) > maxReports {
		return status.Errorf(codes.InvalidArgument, "%d reports in one update; the limit is %d", len(s.parts), maxReports)
	}
	if u.More {
		return nil
	}
	whole := update{reports: s.parts, complete: u.Complete, hash: cut(u.ReportsHash)}
	s.parts = map[string]*yardarmv1.Report{}
	if u.Complete {
		clear(s.reported)
	}
	for uid, r := range whole.reports {
		if r == nil {
			delete(s.reported, uid)
			continue
		}
		if s.reported[uid] = r; len(s.reported) > maxReports {
			return status.Errorf(codes.InvalidArgument, "reports of more than %d bundles", maxReports)
		}
	}
	for uid, r := range s.refusals {
		switch {
		case r.overtaken(whole.reports[uid]):
			delete(s.refusals, uid)
		case r.report != nil:
			whole.reports[uid], whole.hash = r.report, nil
		}
	}
	s.intake.update(s, whole)
	return nil
}

// draining is how a session learns that it is to say goodbye, and why.
type draining struct {
	message *spokev1.Drain
	why     string
}

func (d *draining) Error() string { return d.why }

// GRPCStatus is for a spoke that does not take the message.
func (d *draining) GRPCStatus() *status.Status { return status.New(codes.Unavailable, d.Error()) }
