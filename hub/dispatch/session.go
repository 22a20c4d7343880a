package dispatch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
)

const (
	// helloTimeout bounds how long a spoke may take to say Hello.
	helloTimeout = 15 * time.Second
	// maxSteps is how many changes one delta carries: with assignments of about 300 bytes, well below a message. The next
	// delta has the rest.
	maxSteps = 1000
	// maxDivergences is how many lists in a row may disagree with what a delta should have led to before the session is
	// ended, so that two sides with different rules do not keep each other busy.
	maxDivergences = 5
	// noSpaceRetry is how long the hub waits with a spoke whose disk is full.
	noSpaceRetry = 30 * time.Second
)

// session is one spoke's stream, from Hello to its end. Its goroutine owns all fields below the line; others only call
// poke and end, and read lastSeen.
type session struct {
	*Server
	id      string
	uid     string
	name    string
	logger  *slog.Logger
	stream  grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]
	dirty   chan struct{}
	ended   chan error // the first reason counts
	started time.Time
	// lastSeen is when the spoke last said anything, in Unix nanoseconds by the hub's clock.
	lastSeen atomic.Int64

	// ----
	// held is what the spoke holds by all that it has acknowledged; known says whether the hub knows it yet.
	held  map[string]holding
	known bool
	// sent is the cursor of the delta in flight, and expected what the spoke holds once it has acknowledged it.
	sent     *spokev1.Cursor
	expected map[string]holding
	// nacks counts refusals by assignment hash; whole are bundles that get their content without a base; refused are
	// assignments that are not sent any more.
	nacks       map[string]int
	whole       map[string]bool
	refused     map[string]bool
	divergences int
}

// Connect runs one session.
func (s *Server) Connect(stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]) error {
	p, err := s.caller(stream.Context())
	if err != nil {
		return err
	}
	if !s.admit.Allow() {
		s.metrics.refused.Inc()
		return retryLater("many spokes are connecting; come back in a moment", time.Second)
	}
	cluster := s.Store.Read().Cluster(p.UID)
	if cluster == nil {
		return status.Error(codes.PermissionDenied, "the hub knows no such cluster")
	}
	ses := &session{
		Server: s, uid: p.UID, name: cluster.Metadata.Name, id: s.sessions.nextID(), stream: stream,
		dirty: make(chan struct{}, 1), ended: make(chan error, 1), started: s.Clock(),
		nacks: map[string]int{}, whole: map[string]bool{}, refused: map[string]bool{},
	}
	ses.logger = s.Logger.With("cluster", ses.name, "session", ses.id)
	return ses.run()
}

// poke says that something which may concern the session has changed.
func (s *session) poke() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// end ends the session from outside.
func (s *session) end(err error) {
	select {
	case s.ended <- err:
	default:
	}
}

func (s *session) seen() { s.lastSeen.Store(s.Clock().UnixNano()) }

func (s *session) run() error {
	incoming := make(chan *spokev1.ConnectRequest)
	failed := make(chan error, 1)
	go func() {
		for {
			m, err := s.stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			s.seen()
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
	case <-time.After(helloTimeout):
		return status.Errorf(codes.DeadlineExceeded, "no hello within %s", helloTimeout)
	}
	if err := s.check(hello); err != nil {
		s.logger.Warn("refused a session", "error", err)
		return err
	}
	confirmed, err := s.welcome(hello)
	if err != nil {
		return err
	}
	if err := s.sessions.add(s, hello, confirmed); err != nil {
		return storeError(err)
	}
	s.logger.Info("spoke connected", "spoke_version", hello.SpokeVersion)
	err = s.loop(incoming, failed)
	s.sessions.remove(s)
	s.logger.Info("spoke disconnected", "error", err)
	return err
}

// check refuses a Hello that this hub cannot or must not serve.
func (s *session) check(h *spokev1.Hello) error {
	if h.Protocol < minProtocol {
		return status.Errorf(codes.FailedPrecondition, "the spoke speaks protocol %d and the hub %d to %d: upgrade the spoke", h.Protocol, minProtocol, maxProtocol)
	}
	if h.Protocol > maxProtocol {
		return status.Errorf(codes.FailedPrecondition, "the spoke speaks protocol %d and the hub %d to %d: upgrade the hub", h.Protocol, minProtocol, maxProtocol)
	}
	tx := s.Store.Read()
	if id := tx.Identity(s.uid); id != nil && id.KubeUid != h.KubeUid {
		return status.Error(codes.FailedPrecondition,
			"the spoke runs in another cluster than the one that was enrolled (its kube-system namespace has another uid): it may be a clone; enrol it under a name of its own")
	}
	return s.checkCursor(tx, h.Cursor)
}

// checkCursor compares the hub's place in its history with the one that the spoke has seen. A spoke that is ahead proves
// that the database was put back by hand: nothing that it says can be trusted to be new any more.
func (s *session) checkCursor(tx *store.ReadTx, c *spokev1.Cursor) error {
	if c == nil {
		return nil
	}
	if !s.CA.VerifyCursor(c) {
		return status.Error(codes.FailedPrecondition, "the spoke's cursor was not made by this hub")
	}
	epoch := s.Store.Epoch()
	newerEpoch := bytes.Compare(c.Epoch, epoch)
	if newerEpoch > 0 || newerEpoch == 0 && c.Index > tx.Index() {
		reason := fmt.Sprintf("the database was rolled back: cluster %s has seen %x/%d, and the database is at %x/%d; "+
			"restore a backup with yardarm-hub restore, which begins a new epoch", s.name, c.Epoch, c.Index, epoch, tx.Index())
		if s.Store.ReadOnly() == "" {
			s.Logger.Error("going read-only", "reason", reason)
			s.Store.SetReadOnly(reason)
		}
		return status.Error(codes.FailedPrecondition, reason)
	}
	return nil
}

// welcome answers Hello, and asks for what the hub does not know. It tells whether the spoke's reports are known already.
func (s *session) welcome(h *spokev1.Hello) (confirmed bool, err error) {
	tx := s.Store.Read()
	observed := tx.Observed(s.uid)
	confirmed = observed != nil && bytes.Equal(observed.ReportsHash, h.ReportsHash)
	desired := placement.Desired(tx, s.uid)
	s.held = map[string]holding{}
	for _, a := range desired {
		s.held[a.BundleUid] = holding{
			bundle: a.Bundle, uid: a.BundleUid, hash: a.Hash, revision: a.Revision, digest: a.Digest,
			epoch: s.Store.Epoch(), index: tx.Index(), hasContent: true,
		}
	}
	// Equal hashes under one epoch say all: the spoke holds just what it should. A cluster that is being deleted tells its
	// list, since what it is still removing is in no hash.
	s.known = bytes.Equal(setHash(s.held), h.HoldingsHash) && bytes.Equal(h.Cursor.GetEpoch(), s.Store.Epoch()) &&
		tx.Cluster(s.uid).GetSpec().GetRemoval() == nil
	w := &spokev1.Welcome{
		Session: s.id, Cursor: s.CA.SignCursor(s.Store.Epoch(), tx.Index()),
		HeartbeatInterval: durationpb.New(s.HeartbeatInterval),
		TrustBundle:       s.CA.TrustBundle(), HubAddresses: s.Addresses, MaxArtifactSize: s.MaxArtifactSize,
		SendHoldings: !s.known, SendReports: !confirmed,
		SendFacts: observed == nil || !bytes.Equal(observed.FactsHash, h.FactsHash),
		ReadOnly:  s.Store.ReadOnly(),
	}
	return confirmed, s.stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Welcome{Welcome: w}})
}

// loop lives until the stream or the session ends.
func (s *session) loop(incoming <-chan *spokev1.ConnectRequest, failed <-chan error) error {
	s.poke()
	for {
		select {
		case m := <-incoming:
			if err := s.handle(m); err != nil {
				return err
			}
		case <-s.dirty:
			if err := s.advance(); err != nil {
				return err
			}
		case err := <-failed:
			if err == io.EOF {
				return nil
			}
			return err
		case err := <-s.ended:
			return s.goodbye(err)
		}
	}
}

// goodbye ends the session for the reason given; a draining hub says when to come back.
func (s *session) goodbye(reason error) error {
	var d *draining
	if !errors.As(reason, &d) {
		return reason
	}
	return s.stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Drain{Drain: d.message}})
}

func (s *session) handle(m *spokev1.ConnectRequest) error {
	switch m := m.Message.(type) {
	case *spokev1.ConnectRequest_Heartbeat:
	case *spokev1.ConnectRequest_Ack:
		s.acked(m.Ack)
	case *spokev1.ConnectRequest_Nack:
		s.nacked(m.Nack)
	case *spokev1.ConnectRequest_Holdings:
		return s.listed(m.Holdings)
	case *spokev1.ConnectRequest_Reports:
		return s.intake.reports(s, m.Reports)
	case *spokev1.ConnectRequest_Facts:
		s.intake.facts(s, m.Facts)
	case *spokev1.ConnectRequest_Hello:
		return status.Error(codes.InvalidArgument, "a second hello")
	}
	return nil
}

// advance sends the next delta, if there is any and none is in flight. It is computed from the newest state, whatever has
// happened since the last one.
func (s *session) advance() error {
	tx := s.Store.Read()
	cluster := tx.Cluster(s.uid)
	if err := authError(s.CA.AuthorizeCluster(tx, s.uid)); err != nil {
		return err
	}
	if !s.known || s.sent != nil || s.Store.ReadOnly() != "" {
		return nil
	}
	meta := s.Store.Meta()
	steps := plan(tx, planInput{
		clusterUID: s.uid, desired: placement.Desired(tx, s.uid), held: s.held, skip: s.refused,
		epoch: meta.Epoch, index: tx.Index(), past: meta.Past,
		within: func(b *yardarmv1.Bundle) bool { return withinBoundary(tx, cluster, b) },
	})
	if len(steps) == 0 {
		return nil
	}
	delta := &spokev1.Delta{Cursor: s.CA.SignCursor(meta.Epoch, tx.Index())}
	expected := make(map[string]holding, len(s.held)+len(steps))
	for uid, h := range s.held {
		expected[uid] = h
	}
	inlined := 0
	for i, step := range steps {
		if i == maxSteps {
			s.poke() // after the acknowledgement, the rest
			break
		}
		delta.Changes = append(delta.Changes, step.change)
		expected[step.after.uid] = step.after
		if step.change.GetAssign() == nil || step.after.hasContent || inlined > maxInlineTotal {
			continue
		}
		base := ""
		if old := s.held[step.after.uid]; old.hasContent && !s.whole[step.after.uid] {
			base = old.digest
		}
		content, err := s.contents.inline(base, step.after.digest)
		if err != nil {
			return storeError(err)
		}
		if content != nil {
			inlined += len(content.Data)
			delta.Contents = append(delta.Contents, content)
		}
	}
	delta.HoldingsHash = setHash(expected)
	s.sent, s.expected = delta.Cursor, expected
	s.metrics.deltas.Inc()
	s.metrics.deltaBytes.Add(float64(proto.Size(delta)))
	s.logger.Debug("delta", "changes", len(delta.Changes), "contents", len(delta.Contents), "index", delta.Cursor.Index)
	return s.stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Delta{Delta: delta}})
}

// acked notes what the spoke has persisted.
func (s *session) acked(a *spokev1.Ack) {
	if s.sent != nil && a.Cursor != nil && a.Cursor.Index == s.sent.Index && bytes.Equal(a.Cursor.Epoch, s.sent.Epoch) {
		s.held, s.sent, s.expected, s.divergences = s.expected, nil, nil, 0
		s.poke()
	}
	for _, digest := range a.Digests {
		for uid, h := range s.held {
			if h.digest == digest && !h.hasContent {
				h.hasContent = true
				s.held[uid] = h
			}
		}
	}
}

// nacked counts a refusal: the first gets the whole once more, the second is shown as a failure of that bundle alone.
func (s *session) nacked(n *spokev1.Nack) {
	s.logger.Warn("spoke refused", "bundle_uid", n.BundleUid, "digest", n.Digest, "code", n.Code.String(), "error", n.Message)
	if n.BundleUid == "" && n.Digest == "" {
		// All of a delta, for lack of space. It is sent again after a while.
		s.sent, s.expected = nil, nil
		time.AfterFunc(noSpaceRetry, s.poke)
		return
	}
	for _, a := range placement.Desired(s.Store.Read(), s.uid) {
		if a.BundleUid != n.BundleUid && (n.Digest == "" || a.Digest != n.Digest) {
			continue
		}
		s.whole[a.BundleUid] = true
		key := string(a.Hash)
		if s.nacks[key]++; s.nacks[key] > 1 {
			s.refused[key] = true
			s.intake.refused(s, a, n)
		}
	}
}

// listed takes the spoke's full list: the truth about what it holds.
func (s *session) listed(l *spokev1.Holdings) error {
	if s.sent != nil {
		if s.divergences++; s.divergences > maxDivergences {
			return status.Error(codes.Aborted, "hub and spoke do not agree on what follows from a delta; see the spoke's log")
		}
	}
	s.held = make(map[string]holding, len(l.Holdings))
	for _, h := range l.Holdings {
		s.held[h.BundleUid] = holdingOf(h)
	}
	s.known, s.sent, s.expected = true, nil, nil
	if len(s.held) == 0 {
		if done, err := s.finishRemoval(); done || err != nil {
			return err
		}
	}
	s.poke()
	return nil
}

// finishRemoval deletes a cluster that is being deleted, once its spoke holds nothing any more.
func (s *session) finishRemoval() (bool, error) {
	cluster := s.Store.Read().Cluster(s.uid)
	if cluster.GetSpec().GetRemoval() == nil {
		return false, nil
	}
	now := s.Clock()
	_, err := s.Store.Update(s.stream.Context(), func(tx *store.Tx) error { return deleteCluster(tx, s.uid, now) })
	if err != nil {
		return false, storeError(err)
	}
	return true, nil // the change wakes the session, which then ends
}
