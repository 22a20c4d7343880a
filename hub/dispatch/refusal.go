package dispatch

import (
	"bytes"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// spaceRetry is how long the hub waits with a spoke whose disk is full before it tries again.
	spaceRetry = 30 * time.Second
	// contentRetry is how long it waits with an artifact that it cannot read itself.
	contentRetry = time.Minute

	// Reasons of reports that are the hub's own.
	reasonRefused  = "Refused"
	reasonContent  = "ContentUnavailable"
	reasonLanguage = "CustomizationUnsupported"
)

// refusal is what became of an assignment that a spoke does not take. The first time, it is sent once more, with its whole
// content. The second time it is shown as a failure of that bundle alone, in the place of what the spoke reports, until
// something else is assigned, the time has come to try again, or the spoke turns out to have taken it.
type refusal struct {
	hash  string
	count int
	// again: it is still to be sent once more.
	again bool
	// report is what is shown; nil after the first time.
	report *yardarmv1.Report
	// until is when to try again, as of Server.elapsed; zero for never.
	until time.Duration
}

// overtaken tells whether a spoke's report shows that it has taken the assignment after all.
func (r *refusal) overtaken(said *yardarmv1.Report) bool {
	return said != nil && said.Phase != yardarmv1.PhasePending && string(said.AssignmentHash) == r.hash
}

// nacked takes a refusal.
func (s *session) nacked(n *spokev1.Nack) error {
	if s.nacks++; s.nacks > maxNacks {
		return status.Error(codes.Aborted, "the spoke refuses too much; see its log")
	}
	s.logger().Warn("spoke refused", "bundle_uid", clip(n.BundleUid, maxUID), "digest", clip(n.Digest, maxDigest),
		"code", n.Code.String(), "error", clip(n.Message, maxMessage))
	if n.BundleUid == "" && n.Digest == "" {
		if !s.answers(n.Cursor) {
			return nil
		}
		// All of a delta, for lack of space. Nothing of it has been done; it is sent again after a while.
		for _, a := range s.sent.assigned {
			s.refuse(a, n)
		}
		s.sent = nil
		s.paused = s.elapsed() + spaceRetry
		time.AfterFunc(spaceRetry, s.poke)
		return nil
	}
	for _, a := range s.placer.Desired(s.Store.Read(), s.uid) {
		if a.BundleUid == n.BundleUid || n.BundleUid == "" && a.Digest == n.Digest {
			s.refuse(a, n)
		}
	}
	return nil
}

func (s *session) refuse(a *yardarmv1.AssignmentSpec, n *spokev1.Nack) {
	r := s.refusalOf(a)
	if r.count++; r.count == 1 {
		r.again = true
		s.poke()
		return
	}
	retry := time.Duration(0)
	if n.Code == spokev1.NackCode_NACK_CODE_NO_SPACE {
		retry = spaceRetry
	}
	s.fail(a, reasonRefused, fmt.Sprintf("the spoke refuses the assignment (%s): %s", n.Code, n.Message), retry)
}

// refusalOf answers what there is of an assignment, which is nothing at first.
func (s *session) refusalOf(a *yardarmv1.AssignmentSpec) *refusal {
	r := s.refusals[a.BundleUid]
	if r == nil || r.hash != string(a.Hash) {
		r = &refusal{hash: string(a.Hash)}
		if s.refusals == nil {
			s.refusals = map[string]*refusal{}
		}
		s.refusals[a.BundleUid] = r
	}
	return r
}

// fail shows an assignment as failed, and tries it again after a time if that is not zero.
func (s *session) fail(a *yardarmv1.AssignmentSpec, reason, message string, retry time.Duration) {
	now := s.Clock()
	r := s.refusalOf(a)
	since := timestamppb.New(now)
	if r.report != nil {
		since = r.report.Since
	}
	r.again = false
	r.report = &yardarmv1.Report{
		Bundle: a.Bundle, BundleUid: a.BundleUid, AssignmentHash: a.Hash, Revision: a.Revision, Digest: a.Digest,
		Phase: yardarmv1.PhaseFailed, Reason: reason, Message: clip(message, maxMessage), Since: since, ObservedTime: timestamppb.New(now),
	}
	if retry > 0 {
		r.until = s.elapsed() + retry
		time.AfterFunc(retry, s.poke)
	}
	s.intake.override(s, a.BundleUid, r.report)
}

// refuseLanguage shows as failed what the spoke could not evaluate, in the spoke's place, which is not sent it. One that the spoke holds already, as it does
// after it was put back to an older version, is its own to judge.
func (s *session) refuseLanguage(desired []*yardarmv1.AssignmentSpec) {
	for _, a := range desired {
		need := a.Customization.GetLanguage()
		if h, _ := s.held.of(a.BundleUid); need <= s.language || bytes.Equal(h.hash, a.Hash) {
			continue
		}
		if r := s.refusals[a.BundleUid]; r != nil && r.hash == string(a.Hash) && r.report != nil {
			continue
		}
		s.fail(a, reasonLanguage, fmt.Sprintf("its customization is in version %d of the language, and the spoke evaluates %d: upgrade the spoke", need, s.language), 0)
	}
}

// reviewRefusals forgets those of assignments that are no more, and answers, by hash, which of the others are not to be sent
// and which are to be sent once more.
func (s *session) reviewRefusals(desired []*yardarmv1.AssignmentSpec) (skip, again map[string]bool) {
	if len(s.refusals) == 0 {
		return nil, nil
	}
	skip, again = map[string]bool{}, map[string]bool{}
	current := map[string]bool{}
	now := s.elapsed()
	for _, a := range desired {
		r := s.refusals[a.BundleUid]
		if r == nil || r.hash != string(a.Hash) {
			continue
		}
		current[a.BundleUid] = true
		if r.report != nil && r.until != 0 && now >= r.until {
			r.again, r.until = true, 0
		}
		switch {
		case r.again:
			again[r.hash] = true
		case r.report != nil:
			skip[r.hash] = true
		}
	}
	for uid, r := range s.refusals {
		if current[uid] {
			continue
		}
		delete(s.refusals, uid)
		if r.report != nil {
			// What the spoke last said counts again; if it has said nothing in this session, the next one asks.
			s.intake.override(s, uid, s.reportOf(uid))
		}
	}
	return skip, again
}
