package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	"github.com/yardarm-dev/yardarm/pkg/login"
)

// renewal is how long before its end an ID token is renewed: longer than a call takes, and than clocks differ.
const renewal = 30 * time.Second

// signIn is a context's sign-in by an identity provider. Its ID token is renewed, in the file, before it ends. Safe for concurrent use.
type signIn struct {
	path    string
	context string
	now     func() time.Time

	// mu guards what follows, and is held while a token is renewed.
	mu      sync.Mutex
	current string
	err     error
}

func newSignIn(path string, context clientconfig.Context, now func() time.Time) *signIn {
	return &signIn{path: path, context: context.Name, now: now, current: context.Login.IDToken}
}

// token answers an ID token that is good for a while.
func (s *signIn) token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fresh(s.current) {
		return s.current, nil
	}
	s.err = clientconfig.Edit(s.path, func(c *clientconfig.Config) error { return s.renew(ctx, c) })
	return s.current, s.err
}

// failure is why the token could not be renewed last; nil if it could.
func (s *signIn) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *signIn) renew(ctx context.Context, c *clientconfig.Config) error {
	found, err := c.Context(s.context)
	if err != nil {
		return err
	}
	kept := found.Login
	switch {
	case kept == nil:
		return fmt.Errorf("context %q is not signed in any more; 'yardarm login' signs in", s.context)
	case s.fresh(kept.IDToken): // another command has renewed it
		s.current = kept.IDToken
		return nil
	case kept.RefreshToken == "":
		return fmt.Errorf("the sign-in of context %q has ended; 'yardarm login' signs in again", s.context)
	}
	provider, err := login.New(ctx, providerOf(*kept))
	if err != nil {
		return err
	}
	defer provider.Close()
	tokens, err := provider.Refresh(ctx, kept.RefreshToken)
	if err != nil {
		return fmt.Errorf("the sign-in of context %q has ended: %w\n'yardarm login' signs in again", s.context, err)
	}
	kept.IDToken, kept.RefreshToken = tokens.ID, tokens.Refresh
	s.current = tokens.ID
	return nil
}

func (s *signIn) fresh(token string) bool { return s.now().Add(renewal).Before(expiryOf(token)) }

// expiryOf reads when an ID token ends. It is for the hub to verify; here it only says when to ask for the next one.
func expiryOf(token string) time.Time {
	var c struct {
		Expires float64 `json:"exp"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return time.Time{}
	}
	return time.Unix(int64(c.Expires), 0)
}

func providerOf(l clientconfig.Login) login.Provider {
	return login.Provider{Issuer: l.Issuer, ClientID: l.ClientID, Scopes: l.Scopes, CA: l.CA}
}
