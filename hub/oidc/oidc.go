package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/simplelru"
	"golang.org/x/sync/errgroup"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/pkg/login"
)

const (
	// cacheSize is how many verified tokens are remembered, each with some hundred bytes: a caller that works makes many calls with one.
	cacheSize = 2048
	// cacheTime bounds for how long: a provider's withdrawn key ends with it.
	cacheTime = 5 * time.Minute
	// maxToken bounds a token, in bytes.
	maxToken = 16 << 10
)

// Verifier knows the callers of all providers of one configuration. Safe for concurrent use.
type Verifier struct {
	providers []*provider
	now       func() time.Time

	// mu guards verified: [verdict] by the SHA-256 of the token.
	mu       sync.Mutex
	verified *simplelru.LRU
}

// verdict is what is known of a token.
type verdict struct {
	who authz.Identity
	// until is when it has to be verified again.
	until time.Time
}

// New makes a Verifier. It asks no provider before Run or Verify. A nil clock is time.Now.
func New(c *Config, log *slog.Logger, clock func() time.Time) (*Verifier, error) {
	if c == nil || log == nil {
		return nil, errors.New("oidc: a configuration and a logger are needed")
	}
	if clock == nil {
		clock = time.Now
	}
	cache, err := simplelru.NewLRU(cacheSize, nil)
	if err != nil {
		return nil, err
	}
	v := &Verifier{now: clock, verified: cache}
	for _, p := range c.Providers {
		at, err := newProvider(p, log, clock)
		if err != nil {
			return nil, err
		}
		v.providers = append(v.providers, at)
	}
	return v, nil
}

// Run keeps the providers' keys until ctx ends. One that cannot be reached is no error.
func (v *Verifier) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range v.providers {
		group.Go(func() error { return p.run(ctx) })
	}
	return group.Wait()
}

// Login are the providers by which people sign in to programs on their machines, for whoever asks.
func (v *Verifier) Login() []login.Provider {
	return v.with(func(p Provider) *Client { return p.Login })
}

// Pages are those by which they sign in to the hub's pages.
func (v *Verifier) Pages() []login.Provider {
	return v.with(func(p Provider) *Client { return p.Pages })
}

func (v *Verifier) with(client func(Provider) *Client) (out []login.Provider) {
	for _, p := range v.providers {
		if c := client(p.Provider); c != nil {
			out = append(out, login.Provider{Name: p.Name, Issuer: p.Issuer, ClientID: c.ClientID, Scopes: c.Scopes, CA: string(p.roots)})
		}
	}
	return out
}

// Verify answers who calls with an ID token. Errors are [authz.RefusedError], with words for the caller, and [authz.UnavailableError].
func (v *Verifier) Verify(ctx context.Context, token string) (authz.Identity, error) {
	key, now := sha256.Sum256([]byte(token)), v.now()
	if known, ok := v.known(key); ok && now.Before(known.until) {
		return known.who, nil
	}
	issuer, err := issuerOf(token)
	if err != nil {
		return authz.Identity{}, err
	}
	for _, p := range v.providers {
		if p.Issuer != issuer {
			continue
		}
		who, err := p.identify(ctx, token)
		if err == nil {
			v.remember(key, verdict{who, earlier(who.Expires, now.Add(cacheTime))})
		}
		return who, err
	}
	return authz.Identity{}, refused("its issuer, %s, is no identity provider of this hub", quoted([]string{issuer}))
}

func (p *provider) identify(ctx context.Context, token string) (authz.Identity, error) {
	verified, err := p.verify(ctx, token)
	if err != nil {
		return authz.Identity{}, err
	}
	var c claims
	if err := verified.Claims(&c); err != nil {
		return authz.Identity{}, refused("its claims are no JSON object")
	}
	return p.identity(c, verified.Audience, verified.Expiry, p.now())
}

func (v *Verifier) known(key [sha256.Size]byte) (verdict, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.verified.Get(key)
	if !ok {
		return verdict{}, false
	}
	return known.(verdict), true
}

func (v *Verifier) remember(key [sha256.Size]byte, d verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.verified.Add(key, d)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// issuerOf reads who says to have issued a token, which is to be verified by that issuer's keys.
func issuerOf(token string) (string, error) {
	if len(token) > maxToken {
		return "", refused("it has %d bytes; at most %d are looked at", len(token), maxToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", &authz.RefusedError{Reason: "the credential is neither a token of this hub nor an ID token"}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return "", refused("it is damaged")
	}
	return c.Issuer, nil
}
