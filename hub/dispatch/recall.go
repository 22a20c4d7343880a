package dispatch

import (
	"context"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/durationpb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

const (
	// recallShare is how many spokes are recalled in a second, as a part of those that are admitted: others may come back as well.
	recallShare = 1. / 2
	// recallWithin is how soon one that is recalled comes back: within the grace in which it still counts as connected.
	recallWithin = time.Second
)

// recall has all spokes come back, one after the other, when the trust bundle has changed: Welcome tells them of it. It ends with ctx.
func (s *Server) recall(ctx context.Context) error {
	changed := s.CA.TrustChanged()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		// Before the first is recalled: it may change again meanwhile.
		changed = s.CA.TrustChanged()
		pace := rate.NewLimiter(rate.Limit(s.AdmitPerSecond*recallShare), 1)
		for uid := range s.sessions.uids() {
			if pace.Wait(ctx) != nil {
				return nil
			}
			if session := s.sessions.of(uid); session != nil {
				session.end(&draining{&spokev1.Drain{ReconnectWithin: durationpb.New(recallWithin)}, "the hub's CA has changed"})
			}
		}
	}
}
