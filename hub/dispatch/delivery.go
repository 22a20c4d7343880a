package dispatch

import (
	"context"
	"time"

	"github.com/yardarm-dev/yardarm/hub/why"
)

// answerWithin is how long a session may take to say how far it is. One that writes to a spoke which does not read says nothing.
const answerWithin = time.Second

// Delivery answers how far a cluster's session is with a bundle; nil where there is no session, or it is too busy to say. It is asked when somebody wants
// to know, so that deliveries cost nothing more for it.
func (s *Server) Delivery(ctx context.Context, clusterUID, bundleUID string) *why.Delivery {
	ses := s.sessions.of(clusterUID)
	if ses == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if !ses.take(ctx.Done()) {
		return nil
	}
	defer ses.give()
	return ses.deliveryOf(bundleUID)
}

// deliveryOf is for whoever has the turn.
func (s *session) deliveryOf(bundleUID string) *why.Delivery {
	d := &why.Delivery{Known: s.known, Busy: s.sent != nil}
	if wait := s.paused - s.elapsed(); wait > 0 {
		d.Paused = s.Clock().Add(wait)
	}
	if h, ok := s.held.of(bundleUID); ok && !h.removing {
		d.Hash, d.Content = h.hash, h.hasContent
		d.Sent, d.Persisted = seconds(h.sentAt), seconds(h.persistedAt)
	}
	if s.sent == nil {
		return d
	}
	for _, a := range s.sent.assigned {
		if a.BundleUid == bundleUID {
			d.Flying, d.FlyingSince = a.Hash, s.sent.at
		}
	}
	return d
}

func seconds(since1970 uint32) time.Time {
	if since1970 == 0 {
		return time.Time{}
	}
	return time.Unix(int64(since1970), 0)
}
