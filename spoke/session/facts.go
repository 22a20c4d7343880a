package session

import (
	"context"
	"sync"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// factsEvery is how often facts are observed anew: versions and nodes change rarely, and groups follow them.
const factsEvery = 2 * time.Minute

// factsCache keeps the last facts from one session to the next, so that a reconnect need not wait for the API server.
type factsCache struct {
	mu    sync.Mutex
	facts *yardarmv1.Facts
	hash  []byte
	at    time.Time
}

// get answers the facts and their hash, observed anew if they are old. If that fails, the last ones stand.
func (f *factsCache) get(ctx context.Context, observe func(context.Context) (*yardarmv1.Facts, error)) (*yardarmv1.Facts, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.facts != nil && time.Since(f.at) < factsEvery {
		return f.facts, f.hash, nil
	}
	facts, err := observe(ctx)
	if err != nil {
		if f.facts == nil {
			f.hash = holdings.MessageHash(&yardarmv1.Facts{})
			return &yardarmv1.Facts{}, f.hash, err
		}
		return f.facts, f.hash, err
	}
	f.facts, f.hash, f.at = facts, holdings.MessageHash(facts), time.Now()
	return f.facts, f.hash, nil
}
