package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// trialMargin is how much sooner than the caller's patience ends a spoke has to have answered: a slow one then says what it has found out.
	trialMargin = time.Second
	// Bounds of what a spoke may say of a trial.
	maxTriedObjects = 100
	maxTriedFields  = 20        // of one object
	maxTriedBytes   = 128 << 10 // of all objects
)

const streamEnded = "the cluster's stream has ended while it was asked"

// trials are assignments that clusters are asked to try. They are in memory alone, and end with the calls that ask.
type trials struct {
	mu    sync.Mutex
	asked map[string]*asked // by id; guarded by mu
}

// asked is a trial that waits for its answer.
type asked struct {
	id         string
	session    *session
	assignment *yardarmv1.AssignmentSpec
	// encoded is the artifact's content, which is not in the store.
	encoded []byte
	until   time.Time
	// answer takes the first answer; cap 1.
	answer chan *yardarmv1.TrialResult
}

func newTrials() *trials { return &trials{asked: map[string]*asked{}} }

// Try has a cluster say what would come of an assignment if it were given now, whose content (zstd) is given along. It answers why where it cannot say, and at
// the latest when ctx ends. It keeps nothing.
func (s *Server) Try(ctx context.Context, clusterUID string, a *yardarmv1.AssignmentSpec, encoded []byte) *yardarmv1.TrialResult {
	ses := s.sessions.of(clusterUID)
	if ses == nil || ses.silence() >= s.StaleAfter {
		return untried(yardarmv1.TrialNotConnected, "the cluster is not connected")
	}
	t := &asked{id: s.sessions.nextID(), session: ses, assignment: a, encoded: encoded, answer: make(chan *yardarmv1.TrialResult, 1)}
	if deadline, ok := ctx.Deadline(); ok {
		t.until = deadline.Add(-trialMargin)
	}
	s.trials.begin(t)
	defer s.trials.end(t)
	if !ses.take(ctx.Done()) {
		if ctx.Err() != nil {
			return untried(yardarmv1.TrialNotAnswered, "the cluster's stream takes nothing now")
		}
		return untried(yardarmv1.TrialNotConnected, streamEnded)
	}
	go ses.do(func() error { return ses.try(t) }) // which may wait for a spoke that does not read
	select {
	case result := <-t.answer:
		return result
	case <-ses.stream.Context().Done():
		return untried(yardarmv1.TrialNotConnected, streamEnded)
	case <-ctx.Done():
		return untried(yardarmv1.TrialNotAnswered, "the cluster has been asked, and has not answered in time")
	}
}

func untried(reason, message string) *yardarmv1.TrialResult {
	return &yardarmv1.TrialResult{Reason: reason, Message: message}
}

// try asks the spoke, if it is one that can be asked.
func (s *session) try(t *asked) error {
	if !s.tries {
		s.trials.answered(s, t.id, untried(yardarmv1.TrialSpokeTooOld, "the cluster's spoke does not try revisions: upgrade it"))
		return nil
	}
	if needs := t.assignment.GetCustomization().GetLanguage(); needs > s.language {
		s.trials.answered(s, t.id, untried(yardarmv1.TrialSpokeTooOld,
			fmt.Sprintf("the customization needs version %d of its language, and the cluster's spoke knows %d: upgrade it", needs, s.language)))
		return nil
	}
	m := &spokev1.Trial{Id: t.id, Assignment: t.assignment}
	if !t.until.IsZero() {
		m.Within = durationpb.New(max(time.Until(t.until), time.Millisecond))
	}
	return s.stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Trial{Trial: m}})
}

func (t *trials) begin(a *asked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked[a.id] = a
}

func (t *trials) end(a *asked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.asked, a.id)
}

// answered takes the first answer to a trial from the session that was asked. Others are nobody's.
func (t *trials) answered(by *session, id string, result *yardarmv1.TrialResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.asked[id]; a != nil && a.session == by {
		delete(t.asked, id)
		a.answer <- result
	}
}

// content answers what a cluster is asked to try, by its digest: its size and its encoded bytes.
func (t *trials) content(clusterUID, digest string) (size uint64, encoded []byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.asked {
		if a.session.uid == clusterUID && a.assignment.GetDigest() == digest {
			return a.assignment.GetSize(), a.encoded, true
		}
	}
	return 0, nil, false
}

// cleanTrial answers a bounded copy.
func cleanTrial(r *yardarmv1.TrialResult) *yardarmv1.TrialResult {
	out := &yardarmv1.TrialResult{
		Reason: clip(r.GetReason(), maxReason), Message: clip(r.GetMessage(), maxMessage), Hold: clip(r.GetHold(), maxReason), HoldMessage: clip(r.GetHoldMessage(), maxMessage),
		Created: r.GetCreated(), Changed: r.GetChanged(), Unchanged: r.GetUnchanged(), Recreated: r.GetRecreated(), Pruned: r.GetPruned(), Released: r.GetReleased(),
		Refused: r.GetRefused(), Untried: r.GetUntried(), MoreObjects: r.GetMoreObjects(),
	}
	size := 0
	for i, o := range r.GetObjects() {
		clean := &yardarmv1.TriedObject{Object: clip(o.GetObject(), maxName), Action: clip(o.GetAction(), maxReason), Reason: clip(o.GetReason(), maxReason), Message: clip(o.GetMessage(), maxMessage)}
		for _, f := range o.GetFields()[:min(len(o.GetFields()), maxTriedFields)] {
			clean.Fields = append(clean.Fields, &yardarmv1.TriedField{Path: clip(f.GetPath(), maxPath), Before: clip(f.GetBefore(), maxValue), After: clip(f.GetAfter(), maxValue)})
		}
		if size += proto.Size(clean); i == maxTriedObjects || size > maxTriedBytes {
			out.MoreObjects += uint32(len(r.Objects) - i)
			break
		}
		out.Objects = append(out.Objects, clean)
	}
	return out
}
