package oidc

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/pkg/login"
)

const (
	// readTimeout bounds one reading of a provider's keys: two questions.
	readTimeout = 15 * time.Second
	// askAgain is the least time between two readings of a provider's keys, so that nobody makes the hub flood it with tokens that are by none.
	askAgain = 5 * time.Second
	// retryBase and retryMax pace the attempts to reach a provider.
	retryBase = time.Second
	retryMax  = 30 * time.Second
	// keysAge is after how long keys are read again though nothing was signed by others: one that was withdrawn ends with it.
	keysAge = 10 * time.Minute
	// maxKeys is how many of a provider's keys are tried.
	maxKeys = 32
)

// provider is one identity provider at work. Safe for concurrent use.
type provider struct {
	Provider
	log  *slog.Logger
	now  func() time.Time
	http *http.Client
	// ended is closed once those whom the provider has let in are let in no longer.
	ended chan struct{}

	// verifier has the keys that were read last; nil until they were read once.
	verifier atomic.Pointer[oidc.IDTokenVerifier]
	reading  singleflight.Group

	// mu guards what follows: when the keys were last asked for, and what came of it.
	mu    sync.Mutex
	asked time.Time
	err   error
}

func newProvider(p Provider, log *slog.Logger, now func() time.Time) (*provider, error) {
	connections, err := login.HTTP(string(p.roots))
	if err != nil {
		return nil, fmt.Errorf("identity provider %s: %w", p.Name, err)
	}
	return &provider{Provider: p, log: log.With("provider", p.Name), now: now, http: connections, ended: make(chan struct{})}, nil
}

// inherit takes over what is known of the provider by another configuration, and tells whether that one lets in the same people.
// Nobody uses p yet.
func (p *provider) inherit(old *provider) bool {
	if p.Issuer != old.Issuer || !slices.Equal(p.roots, old.roots) || !slices.Equal(p.Algorithms, old.Algorithms) {
		return false
	}
	if known := old.verifier.Load(); known != nil {
		p.verifier.CompareAndSwap(nil, known)
	}
	a, b := p.Provider, old.Provider
	a.Login, a.Pages, b.Login, b.Pages = nil, nil, nil, nil // by which they come to their tokens, and no part of what those mean
	if !reflect.DeepEqual(a, b) {
		return false
	}
	p.ended = old.ended
	return true
}

// run keeps the provider's keys until ctx ends. It logs when the provider goes away, and when it is back.
func (p *provider) run(ctx context.Context) {
	defer p.http.CloseIdleConnections()
	pauses := backoff.Backoff{Base: retryBase, Max: retryMax}
	there, away := false, false
	for {
		err := p.read(ctx)
		pause := keysAge
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			pause = pauses.Next()
			if !away {
				p.log.Warn("an identity provider cannot be reached; until it is, its tokens count only by keys that were read before", "issuer", p.Issuer, "error", err)
			}
		default:
			pauses.Reset()
			if !there {
				p.log.Info("an identity provider can be reached", "issuer", p.Issuer)
			}
		}
		there, away = err == nil, err != nil
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// verify answers the claims of a token whose signature holds.
func (p *provider) verify(ctx context.Context, token string) (*oidc.IDToken, error) {
	v := p.verifier.Load()
	if v == nil {
		if err := p.refresh(ctx); err != nil {
			return nil, err
		}
		v = p.verifier.Load()
	}
	verified, err := v.Verify(ctx, token)
	if err == nil {
		return verified, nil
	}
	// The provider may have new keys.
	if err := p.refresh(ctx); err != nil {
		return nil, err
	}
	if verified, err = p.verifier.Load().Verify(ctx, token); err != nil {
		// What the library says may quote the token.
		return nil, refused("it does not verify by the keys of issuer %s", p.Issuer)
	}
	return verified, nil
}

// refresh reads the keys again, unless they were asked for moments ago. The error is an [authz.UnavailableError].
func (p *provider) refresh(ctx context.Context) error {
	p.mu.Lock()
	recent, err := p.now().Sub(p.asked) < askAgain, p.err
	p.mu.Unlock()
	if !recent {
		err = p.read(ctx)
	}
	if err != nil {
		return &authz.UnavailableError{Reason: fmt.Sprintf("the identity provider %s (%s) cannot be reached: %v", p.Name, p.Issuer, err)}
	}
	return nil
}

// read asks the provider where its keys are, and for them. Callers at one time share one answer, which does not end with any of them.
func (p *provider) read(ctx context.Context) error {
	result := p.reading.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		err := brief(p.discover(ctx))
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked, p.err = p.now(), err
		return nil, err
	})
	select {
	case r := <-result:
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *provider) discover(ctx context.Context) error {
	ctx = oidc.ClientContext(ctx, p.http)
	found, err := oidc.NewProvider(ctx, p.Issuer)
	if err != nil {
		return err
	}
	var where struct {
		Keys string `json:"jwks_uri"`
	}
	if err := found.Claims(&where); err != nil {
		return err
	}
	keys, err := p.keys(ctx, where.Keys)
	if err != nil {
		return fmt.Errorf("read its keys: %w", err)
	}
	p.verifier.Store(oidc.NewVerifier(p.Issuer, keys, &oidc.Config{
		SupportedSigningAlgs: p.Algorithms,
		// These are judged by what the operator says of them, and with words for the caller.
		SkipClientIDCheck: true, SkipExpiryCheck: true,
	}))
	return nil
}

// brief is an error without what a provider, or whatever answers in its place, has said at length.
func brief(err error) error {
	if err == nil {
		return nil
	}
	const limit = 200 // bytes
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return errors.New(text)
}

// keys reads a key set. The library's own would keep a key that was withdrawn until another one is used, and ask again for each bad token.
func (p *provider) keys(ctx context.Context, from string) (*oidc.StaticKeySet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", from, resp.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return nil, fmt.Errorf("%s answers no key set: %w", from, err)
	}
	var public []crypto.PublicKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		// One of a kind that is not known is none of those that can verify.
		if key.UnmarshalJSON(raw) == nil && key.IsPublic() && key.Use != "enc" {
			public = append(public, key.Key)
		}
	}
	if len(public) == 0 {
		return nil, fmt.Errorf("%s has no key that a signature can be verified by", from)
	}
	return &oidc.StaticKeySet{PublicKeys: public}, nil
}
