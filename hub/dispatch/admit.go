package dispatch

import (
	"context"
	"time"

	"google.golang.org/grpc/status"
)

// admitted waits for a session's turn to begin. Its handshake is paid for, so that standing in line is cheaper for both sides
// than coming again; a line that is too long is refused, with the time that it takes to be through. Spokes add as much again,
// at random.
func (s *Server) admitted(ctx context.Context) error {
	turn := s.admit.Reserve()
	wait := turn.Delay()
	if wait > s.AdmitWait {
		turn.Cancel()
		s.metrics.refused.Inc()
		return retryLater("many spokes are connecting; come back in a moment", wait)
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return status.FromContextError(ctx.Err()).Err()
	}
}

// spread is the time over which the spokes of a hub that goes down are to come back: at least the one that is asked for, and
// what it takes to admit them all.
func (s *Server) spread(sessions int, atLeast time.Duration) time.Duration {
	return max(atLeast, time.Duration(float64(sessions)/s.AdmitPerSecond*float64(time.Second)))
}
