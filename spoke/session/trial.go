package session

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

const (
	// maxTrials is how many wait for the one under way: each is a request of a person's, who waits too.
	maxTrials = 4
	// trialMost bounds what a hub can have one take, and trialDefault serves with one that says nothing.
	trialMost    = 5 * time.Minute
	trialDefault = 30 * time.Second
)

// trial is one that the hub has asked for, and until when it wants to know.
type trial struct {
	*spokev1.Trial
	until time.Time
}

// ask puts a trial in line; where the line is too long, it is answered at once.
func (s *session) ask(ctx context.Context, t *spokev1.Trial) error {
	within := trialDefault
	if d := t.Within.AsDuration(); d > 0 {
		within = min(d, trialMost)
	}
	select {
	case s.trials <- trial{t, time.Now().Add(within)}:
		return nil
	default:
		return s.answer(ctx, t, untried(yardarmv1.TrialBusy, "the cluster has enough to try; try again in a minute"))
	}
}

// tryAll tries what the hub asks for, one after the other. A trial ends with its session, and holds nothing back.
func (s *session) tryAll(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case t := <-s.trials:
			if err := s.answer(ctx, t.Trial, s.tried(ctx, t)); err != nil {
				return err
			}
		}
	}
}

func (s *session) answer(ctx context.Context, t *spokev1.Trial, result *yardarmv1.TrialResult) error {
	return s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Trial{Trial: &spokev1.TrialAnswer{Id: t.Id, Result: result}}})
}

func (s *session) tried(ctx context.Context, t trial) *yardarmv1.TrialResult {
	ctx, cancel := context.WithDeadline(ctx, t.until)
	defer cancel()
	if s.Try == nil {
		return untried(yardarmv1.TrialSpokeTooOld, "the spoke tries nothing")
	}
	if err := s.State.Check(t.Assignment); err != nil {
		return untried(yardarmv1.TrialSpokeTooOld, err.Error())
	}
	content, err := s.contentOf(ctx, t.Assignment)
	if err != nil {
		s.logger.Warn("content to be tried could not be had", "bundle", t.Assignment.Bundle, "digest", t.Assignment.Digest, "error", err)
		return untried(yardarmv1.TrialNotFetched, "the spoke could not get the artifact: "+err.Error())
	}
	return s.Try(ctx, t.Assignment, content)
}

// contentOf answers an artifact's canonical form: what is here, or else what the hub has, which is verified and not kept.
func (s *session) contentOf(ctx context.Context, a *yardarmv1.AssignmentSpec) ([]byte, error) {
	content, err := s.State.Content(ctx, a.Digest)
	if !errors.Is(err, state.ErrNoContent) {
		return content, err
	}
	var p partial
	if err := s.receiveContent(ctx, a, &p); err != nil {
		return nil, err
	}
	if uint64(len(p.data)) != p.encodedSize {
		return nil, status.Error(codes.Unavailable, "the hub ended the content early")
	}
	if content, err = manifest.Decompress(p.data, int(p.size)); err != nil {
		return nil, err
	}
	return content, manifest.Digest(a.Digest).Verify(content)
}

func untried(reason, message string) *yardarmv1.TrialResult {
	return &yardarmv1.TrialResult{Reason: reason, Message: message}
}
