package gateway

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/simplelru"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/login"
)

const (
	// renewal is how long before its end an ID token is renewed: longer than a call takes, and than clocks differ.
	renewal = 30 * time.Second
	// maxRenewals is how many are remembered, each with some kilobytes of tokens: those of the last minutes, of people with a page open.
	maxRenewals = 1024
)

// fresh answers a session whose ID token is good for a while yet: as it was, or with another one that its provider has given.
func (s *sessions) fresh(ctx context.Context, have session) (session, error) {
	now := s.now()
	if have.Refresh == "" || now.Add(renewal).Unix() < have.Expires {
		return have, nil
	}
	next, err := s.renewals.once(have, now, func() (next session, err error) {
		next = have
		// Other calls wait for it, which does not end with this one.
		err = s.providers.with(context.WithoutCancel(ctx), have.Provider, func(ctx context.Context, c *login.Client) error {
			tokens, err := c.Refresh(ctx, have.Refresh)
			if err == nil {
				next.take(tokens)
			}
			return err
		})
		return next, err
	})
	switch {
	case err == nil:
		return next, nil
	case status.Code(err) == codes.Unauthenticated:
		return have, status.Errorf(codes.Unauthenticated, "the session has ended; sign in again: %s", status.Convert(err).Message())
	case now.Unix() < have.Expires:
		return have, nil // the provider is away, and what it has given counts yet
	}
	return have, err
}

// renewals remember what the refresh tokens of sessions have given. A provider takes each of them once, and ends the sign-in if it sees it again; but
// a page makes several calls at a time, with the cookie that it had when it made them.
type renewals struct {
	under singleflight.Group

	// mu guards given: [session] by the SHA-256 of the refresh token before.
	mu    sync.Mutex
	given *simplelru.LRU
}

func newRenewals() *renewals {
	given, err := simplelru.NewLRU(maxRenewals, nil)
	if err != nil {
		panic("gateway: " + err.Error()) // its size is a constant
	}
	return &renewals{given: given}
}

// once calls renew for the first who comes with a session; the others get what it has come to.
func (r *renewals) once(have session, now time.Time, renew func() (session, error)) (session, error) {
	key := sha256.Sum256([]byte(have.Refresh))
	next, err, _ := r.under.Do(string(key[:]), func() (any, error) {
		if known, ok := r.known(key); ok && known != have && now.Unix() < known.Expires {
			return known, nil
		}
		next, err := renew()
		if err == nil {
			r.remember(key, next)
		}
		return next, err
	})
	return next.(session), err
}

func (r *renewals) known(key [sha256.Size]byte) (session, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.given.Get(key)
	if !ok {
		return session{}, false
	}
	return known.(session), true
}

func (r *renewals) remember(key [sha256.Size]byte, next session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.given.Add(key, next)
}
