package session

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// What changes about a cluster while a session lives is told within it, once, and what the hub knows is not.
func TestChangedFactsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		facts := func(nodes uint32) *yardarmv1.Facts { return &yardarmv1.Facts{Nodes: nodes} }
		var now atomic.Pointer[yardarmv1.Facts]
		observe := func(context.Context) (*yardarmv1.Facts, error) {
			if facts := now.Load(); facts != nil {
				return facts, nil
			}
			return nil, errors.New("the API server does not answer")
		}
		s := &session{Client: New(Config{Facts: observe}), logger: slog.New(slog.DiscardHandler), news: make(chan *yardarmv1.Facts, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.watchFacts(ctx, holdings.MessageHash(facts(3))) }()
		for _, step := range []struct {
			what  string
			facts *yardarmv1.Facts
			after time.Duration // at most
			tells bool
		}{
			{"nothing is known", nil, time.Minute, false},
			{"what the hub knows", facts(3), factsRetry, false},
			{"another node", facts(4), factsEvery, true},
			{"the same", facts(4), time.Hour, false},
			{"the API server is gone", nil, time.Hour, false},
			{"it is back with fewer nodes", facts(3), factsEvery, true},
		} {
			synctest.Wait()
			now.Store(step.facts)
			time.Sleep(step.after)
			synctest.Wait()
			select {
			case got := <-s.news:
				if !step.tells || got.Nodes != step.facts.Nodes {
					t.Errorf("%s: told %v", step.what, got)
				}
			default:
				if step.tells {
					t.Errorf("%s: not told within %s", step.what, step.after)
				}
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	})
}
