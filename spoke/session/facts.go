package session

import (
	"context"
	"sync"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

const (
	// factsEvery is how often facts are observed anew: versions and nodes change rarely, and groups follow them.
	factsEvery = 2 * time.Minute
	// factsTimeout bounds one observation: an API server that does not answer must not keep the spoke from its hub.
	factsTimeout = 10 * time.Second
	// factsRetry is how soon facts are observed again while none are known.
	factsRetry = 15 * time.Second
)

// factsCache keeps the last facts from one session to the next, so that a reconnect need not wait for the API server.
type factsCache struct {
	mu    sync.Mutex
	facts *yardarmv1.Facts
	hash  []byte
	at    time.Time
}

// get answers the facts and their hash, observed anew if they are old. If that fails, the last ones stand; none are nil:
// nothing is known, which is no news about the cluster.
func (f *factsCache) get(ctx context.Context, observe func(context.Context) (*yardarmv1.Facts, error)) (*yardarmv1.Facts, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.facts != nil && time.Since(f.at) < factsEvery {
		return f.facts, f.hash, nil
	}
	ctx, cancel := context.WithTimeout(ctx, factsTimeout)
	defer cancel()
	facts, err := observe(ctx)
	if err == nil && facts != nil {
		f.facts, f.hash, f.at = facts, holdings.MessageHash(facts), time.Now()
	}
	return f.facts, f.hash, err
}

// watchFacts observes facts as long as the session lives, and hands on what differs from what the hub was told last.
func (s *session) watchFacts(ctx context.Context, told []byte) error {
	for {
		every := factsEvery
		facts, hash, err := s.facts.get(ctx, s.Facts)
		if err != nil && ctx.Err() == nil {
			s.logger.Warn("cannot observe the cluster's facts", "error", err)
		}
		if facts == nil {
			every = factsRetry
		} else if string(hash) != string(told) {
			select {
			case s.news <- facts:
				told = hash
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}
