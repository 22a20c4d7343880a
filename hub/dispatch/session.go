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

// session is one spoke's stream, from Hello to its end. One goroutine reads it and does what it is told; whatever else there is
// to do, most of all to send, is done in goroutines that live no longer than that, so that a session that has nothing to do
// costs one stack. Whoever has the turn owns all fields below the line; others only call poke, end and take, and read lastSeen.
type session struct {
	*Server
	id     string
	uid    string
	name   string
	stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]
	// finisher ends the stream, and with it all that reads and writes it.
	finisher finisher
	// turn holds one value while somebody has the turn: from the start on, until the spoke is welcomed, and after the end.
	turn chan struct{}
	// due is what may have changed since the session has looked; called says that somebody waits for the turn to look.
	due    due
	called atomic.Bool
	// events is used by intake, for one batch at a time.
	events *rate.Limiter
	// lastSeen is when the spoke last said anything, as of Server.elapsed.
	lastSeen atomic.Int64

	endOnce sync.Once
	ended   chan struct{}
	reason  error       // why it has ended; nil if its spoke has left; set before ended is closed
	parted  atomic.Bool // the spoke was told to come back

	// late ends a session whose spoke says no hello, and is nil after that. added says that it has been made its cluster's session, and welcomed that it has begun.
	// They belong to the goroutine that reads.
	late            *time.Timer
	added, welcomed bool

	// ----
	delivery
	// awaited is until when reports wait for the delta that is on its way, as of Server.elapsed; 0 for none.
	awaited time.Duration
	// language is the newest version of the customization language that the spoke evaluates.
	language uint32
	// tries says that the spoke answers trials.
	tries bool
	// parts are the reports of an update that is not whole yet, by bundle uid, nil for what was removed; itself nil between updates. reported is the spoke's newest word on each bundle that it has said
	// something about, in the order of the bundles' uids.
	parts    map[string]*yardarmv1.Report
	reported []*yardarmv1.Report
}

// Connect runs one session.
func (s *Server) Connect(stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]) error {
	ses, err := s.begin(stream)
	if err != nil {
		return err
	}
	return ses.run()
}

func (s *Server) begin(stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]) (_ *session, err error) {
	defer survive(func() *slog.Logger { return s.Logger }, &err)
	p, err := s.caller(stream.Context())
	if err != nil {
		return nil, err
	}
	if err := s.admitted(stream.Context(), p.UID); err != nil {
		return nil, err
	}
	cluster := s.Store.Read().Cluster(p.UID)
	if cluster == nil {
		return nil, status.Error(codes.PermissionDenied, "the hub knows no such cluster")
	}
	return s.newSession(p.UID, cluster.Metadata.Name, stream)
}

// newSession makes a session of which the caller has the turn.
func (s *Server) newSession(uid, name string, stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]) (*session, error) {
	finisher, err := finisherOf(stream.Context())
	if err != nil {
		return nil, err
	}
	ses := &session{
		Server: s, uid: uid, name: name, id: s.sessions.nextID(), stream: stream, finisher: finisher,
		turn: make(chan struct{}, 1), ended: make(chan struct{}), events: rate.NewLimiter(eventsPerSecond, eventBurst),
	}
	ses.turn <- struct{}{}
	return ses, nil
}

// logger says whose words they are. It is made when there is something to say, which for most sessions is twice.
func (s *session) logger() *slog.Logger { return s.Logger.With("cluster", s.name, "session", s.id) }

// poke says that anything which concerns the session may have changed.
func (s *session) poke() { s.pokeFor(everything) }

// pokeFor says that of what concerns the session only some bundles may have changed.
func (s *session) pokeFor(of scope) {
	s.due.add(of)
	s.wakeUp()
}

// wakeUp makes the session look at what is due.
func (s *session) wakeUp() {
	if s.called.CompareAndSwap(false, true) {
		go func() {
			if s.take(nil) {
				s.called.Store(false) // what is due from now on may be too late for this look
				s.do(s.advance)
			}
		}()
	}
}

// take waits for the turn. It answers false if there is none any more, since the session has ended, or if done has.
func (s *session) take(done <-chan struct{}) bool {
	select {
	case <-s.ended:
		return false
	default:
	}
	select {
	case s.turn <- struct{}{}:
		return true
	case <-s.ended:
	case <-done:
	}
	return false
}

// give lets the next one have the turn.
func (s *session) give() {
	var awaited time.Duration
	if s.sent != nil {
		awaited = s.sent.awaited
	}
	if awaited != s.awaited {
		s.awaited = awaited
		s.deltas.await(s, awaited)
	}
	<-s.turn
}

// do works with the turn, which it gives back. A failure ends the session.
func (s *session) do(work func() error) {
	defer s.give()
	if err := s.survived(work); err != nil {
		s.end(err)
	}
}

func (s *session) survived(work func() error) (err error) {
	defer survive(s.logger, &err)
	return work()
}

// end ends the session. The first reason counts.
func (s *session) end(reason error) {
	s.endOnce.Do(func() {
		s.reason = reason
		close(s.ended)
		go s.leave()
	})
}

// leave ends the session's stream. A draining hub says before when to come back.
func (s *session) leave() {
	defer func() { s.finish(s.outcome()) }()
	var d *draining
	if !errors.As(s.reason, &d) {
		return
	}
	defer time.AfterFunc(endGrace, func() { s.finish(s.reason) }).Stop()
	select {
	case s.turn <- struct{}{}:
	case <-s.stream.Context().Done():
		return
	}
	defer s.give()
	s.parted.Store(s.stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Drain{Drain: d.message}}) == nil)
}

// finish ends the stream with an outcome, unless it has ended. That fails only where nobody is there to hear it.
func (s *session) finish(outcome error) { _ = s.finisher.WriteStatus(status.Convert(outcome)) }

// outcome is what the stream of a session that was ended ends with: nil where the spoke knows all.
func (s *session) outcome() error {
	if s.parted.Load() {
		return nil
	}
	return s.reason
}

// over is the end of a session whose spoke has left, or that could not begin.
func (s *session) over() { s.endOnce.Do(func() { close(s.ended) }) }

func (s *session) seen() { s.lastSeen.Store(int64(s.elapsed())) }

// staleAt is when its cluster counts as stale if nothing more comes, as of Server.elapsed.
func (s *session) staleAt() time.Duration { return time.Duration(s.lastSeen.Load()) + s.StaleAfter }

// silence is for how long the spoke has said nothing.
func (s *session) silence() time.Duration { return s.elapsed() - time.Duration(s.lastSeen.Load()) }

// run takes what the spoke says until the stream or the session ends. It waits here for weeks, and all else is done in functions that return to it: Go gives
// half of a stack back only while less than a quarter is in use, and most of that quarter is gRPC's.
func (s *session) run() error {
	s.late = time.AfterFunc(s.HelloTimeout, func() { s.end(status.Errorf(codes.DeadlineExceeded, "no hello within %s", s.HelloTimeout)) })
	var err error
	for err == nil {
		m := new(spokev1.ConnectRequest)
		if err = s.stream.RecvMsg(m); err == nil {
			err = s.hear(m)
		}
	}
	return s.close(err)
}

// errEnded is that nothing is to be read any more.
var errEnded = errors.New("the session has ended")

// hear takes a message. An error ends the stream.
func (s *session) hear(m *spokev1.ConnectRequest) error {
	s.seen()
	switch {
	case !s.welcomed:
		s.late.Stop()
		s.late = nil
		return s.greet(m.GetHello())
	case m.GetHeartbeat() != nil:
		return nil // it has said all, and need wake nobody
	case !s.take(nil):
		return errEnded
	}
	s.do(func() error { return s.handle(m) })
	return nil
}

// greet begins the session, and lets others have the turn.
func (s *session) greet(hello *spokev1.Hello) (err error) {
	defer survive(s.logger, &err)
	if hello == nil {
		return status.Error(codes.InvalidArgument, "the first message has to be a hello")
	}
	if err := s.check(hello); err != nil {
		s.logger().Warn("refused a session", "error", err)
		return err
	}
	s.added = true
	known, confirmed, err := s.sessions.add(s, hello)
	if err != nil {
		return storeError(err)
	}
	s.logger().Info("spoke connected", "spoke_version", clip(hello.SpokeVersion, maxReason))
	s.language, s.tries, s.welcomed = hello.Customization, hello.Trials, true
	s.do(func() error {
		if err := s.welcome(hello, known.GetFactsHash(), confirmed); err != nil {
			return err
		}
		if !s.known || len(s.held) == 0 { // otherwise it holds just what it should, and changes since are told of
			s.poke()
		}
		return nil
	})
	return nil
}

// close ends what is left of the session, and answers what its stream ends with.
func (s *session) close(err error) error {
	defer s.over()
	if s.late != nil {
		s.late.Stop()
	}
	err = s.why(err)
	if s.welcomed {
		// Whoever still has the turn sends nothing any more.
		s.finish(err)
		s.turn <- struct{}{}
		reason := "the spoke has left"
		if err != nil {
			reason = err.Error()
		}
		s.logger().Info("spoke disconnected", "reason", reason)
	}
	if s.added {
		s.sessions.remove(s, status.Code(err) == codes.PermissionDenied)
	}
	return err
}

// why answers what the stream ends with, once nothing can be read from it any more: nil if both sides are content.
func (s *session) why(err error) error {
	select {
	case <-s.ended:
		return s.outcome()
	default:
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
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

// draining is how a session learns that it is to say goodbye, and why.
type draining struct {
	message *spokev1.Drain
	why     string
}

func (d *draining) Error() string { return d.why }

// GRPCStatus is for a spoke that does not take the message.
func (d *draining) GRPCStatus() *status.Status { return status.New(codes.Unavailable, d.Error()) }
