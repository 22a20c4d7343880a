package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/simplelru"

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

// Verifier knows the callers of all providers of one configuration, which may be replaced. Safe for concurrent use.
type Verifier struct {
	log *slog.Logger
	now func() time.Time
	// using is held by who replaces the configuration.
	using   sync.Mutex
	current atomic.Pointer[generation]
}

// generation is what is known by one configuration.
type generation struct {
	providers []*provider
	// replaced is closed once there is another one.
	replaced chan struct{}

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
	v := &Verifier{log: log, now: clock}
	return v, v.Use(c)
}

// Use replaces the configuration. Whoever was let in by a provider that is not in it, or that means something else by its tokens now, is so no longer: no verified token is
// remembered, and [authz.Identity.Ended] is closed. Keys that were read of a provider go on to count.
func (v *Verifier) Use(c *Config) error {
	v.using.Lock()
	defer v.using.Unlock()
	cache, err := simplelru.NewLRU(cacheSize, nil)
	if err != nil {
		return err
	}
	next, before := &generation{replaced: make(chan struct{}), verified: cache}, v.current.Load()
	for _, p := range c.Providers {
		at, err := newProvider(p, v.log, v.now)
		if err != nil {
			return err
		}
		next.providers = append(next.providers, at)
	}
	if before == nil {
		v.current.Store(next)
		return nil
	}
	gone := before.bequeath(next)
	v.current.Store(next)
	close(before.replaced)
	for _, p := range gone {
		close(p.ended)
	}
	return nil
}

// bequeath hands on what is known of providers, before anybody uses the next generation, and answers those whose people are let in no longer.
func (g *generation) bequeath(next *generation) (gone []*provider) {
	for _, old := range g.providers {
		if !slices.ContainsFunc(next.providers, func(p *provider) bool { return p.inherit(old) }) {
			gone = append(gone, old)
		}
	}
	return gone
}

// Run keeps the providers' keys until ctx ends. One that cannot be reached is no error.
func (v *Verifier) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		at := v.current.Load()
		while, stop := context.WithCancel(ctx)
		var group sync.WaitGroup
		for _, p := range at.providers {
			group.Go(func() { p.run(while) })
		}
		select {
		case <-ctx.Done():
		case <-at.replaced:
		}
		stop()
		group.Wait()
	}
	return nil
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
	for _, p := range v.current.Load().providers {
		if c := client(p.Provider); c != nil {
			out = append(out, login.Provider{Name: p.Name, Issuer: p.Issuer, ClientID: c.ClientID, Scopes: c.Scopes, CA: string(p.roots),
				Secret: c.Secret, SecretInBody: c.TokenEndpointAuthMethod == secretPost})
		}
	}
	return out
}

// Verify answers who calls with an ID token. Errors are [authz.RefusedError], with words for the caller, and [authz.UnavailableError].
func (v *Verifier) Verify(ctx context.Context, token string) (authz.Identity, error) {
	g := v.current.Load()
	key, now := sha256.Sum256([]byte(token)), v.now()
	if known, ok := g.known(key); ok && now.Before(known.until) {
		return known.who, nil
	}
	issuer, err := issuerOf(token)
	if err != nil {
		return authz.Identity{}, err
	}
	for _, p := range g.providers {
		if p.Issuer != issuer {
			continue
		}
		who, err := p.identify(ctx, token)
		if err == nil {
			g.remember(key, verdict{who, earlier(who.Expires, now.Add(cacheTime))})
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
	who, err := p.identity(c, verified.Audience, verified.Expiry, p.now())
	who.Ended = p.ended
	return who, err
}

func (g *generation) known(key [sha256.Size]byte) (verdict, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known, ok := g.verified.Get(key)
	if !ok {
		return verdict{}, false
	}
	return known.(verdict), true
}

func (g *generation) remember(key [sha256.Size]byte, d verdict) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.verified.Add(key, d)
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
