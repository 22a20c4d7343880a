package session

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/spoke/report"
)

// maxPart is how much of an update of reports goes into one message, in bytes: a quarter of what a hub takes.
const maxPart = 1 << 20

// send owns the sending side: answers first come first, lists as of now, reports as the latest, heartbeats now and then, by which it also
// tells that there is time for what can wait: those of a fleet are spread, whatever it has just been sent.
func (s *session) send(ctx context.Context) error {
	if s.sendReports {
		if err := s.report(ctx, s.Book.All(), true); err != nil {
			return err
		}
	}
	heartbeat := time.NewTicker(s.heartbeat - jitter(s.heartbeat/5))
	defer heartbeat.Stop()
	changed := s.Book.Changed()
	var later <-chan time.Time // until when reports wait
	for {
		var msg *spokev1.ConnectRequest
		select {
		case <-ctx.Done():
			return ctx.Err()
		case msg = <-s.out:
		case <-changed:
			if u, ok := s.Book.Take(); ok {
				if err := s.report(ctx, u, false); err != nil {
					return err
				}
				changed, later = nil, time.After(reportEvery)
			}
			continue
		case <-later:
			changed, later = s.Book.Changed(), nil
			continue
		case <-s.list:
			if err := s.answers(ctx); err != nil {
				return err
			}
			msg = s.holdings()
		case <-s.State.Ended():
			if err := s.answers(ctx); err != nil {
				return err
			}
			msg = s.holdings()
		case facts := <-s.news:
			msg = &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Facts{Facts: facts}}
		case <-heartbeat.C:
			signal(s.spare)
			msg = &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Heartbeat{Heartbeat: &spokev1.Heartbeat{}}}
		}
		if err := s.write(ctx, msg); err != nil {
			return err
		}
	}
}

// answers writes what waits in out: refusals come before the list that shows their outcome.
func (s *session) answers(ctx context.Context) error {
	for {
		select {
		case msg := <-s.out:
			if err := s.write(ctx, msg); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (s *session) write(ctx context.Context, m *spokev1.ConnectRequest) error {
	err := s.stream.Send(m)
	if errors.Is(err, io.EOF) {
		// The stream has ended, and receive is about to learn why: it alone may ask.
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (s *session) holdings() *spokev1.ConnectRequest {
	return &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{
		Holdings: &spokev1.Holdings{Holdings: s.State.Holdings()},
	}}
}

// report writes an update, in as many parts as it takes.
func (s *session) report(ctx context.Context, u report.Update, complete bool) error {
	for {
		part := &spokev1.ReportUpdate{Complete: complete, Removed: u.Removed}
		u.Removed = nil
		for size := 0; len(u.Reports) > 0; u.Reports = u.Reports[1:] {
			if size += proto.Size(u.Reports[0]); size > maxPart && len(part.Reports) > 0 {
				break
			}
			part.Reports = append(part.Reports, u.Reports[0])
		}
		if part.More = len(u.Reports) > 0; !part.More {
			part.ReportsHash = u.Hash
		}
		if err := s.write(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Reports{Reports: part}}); err != nil {
			return err
		}
		if !part.More {
			return nil
		}
	}
}
