package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/yardarm-dev/yardarm/hub/authz"
)

func TestTokensOfPeopleAndJobs(t *testing.T) {
	i := newIssuer(t)
	none := ""
	people := i.provider()
	people.Username, people.Groups = Claim{Claim: "email", Prefix: &none}, []Claim{{Claim: "groups"}, {Claim: "team", Prefix: &none}}
	jobs := i.provider()
	jobs.Groups, jobs.Required = []Claim{{Claim: "repository"}}, map[string][]string{"repository_owner": {"acme", "acme-labs"}, "ref_protected": {"true"}}
	for name, c := range map[string]struct {
		provider Provider
		claims   map[string]any
		user     string
		groups   string
		refused  string
	}{
		"a person": {people, map[string]any{"email": "ann@example.com", "groups": []string{"ops", "dev"}, "team": "shop"},
			"ann@example.com", "corp:ops corp:dev shop", ""},
		"without groups":            {people, map[string]any{"email": "ann@example.com"}, "ann@example.com", "", ""},
		"a verified address":        {people, map[string]any{"email": "ann@example.com", "email_verified": true}, "ann@example.com", "", ""},
		"an address not verified":   {people, map[string]any{"email": "ann@example.com", "email_verified": false}, "", "", "has not verified its email"},
		"no address":                {people, nil, "", "", "claim email"},
		"an address that is a list": {people, map[string]any{"email": []string{"a"}}, "", "", "claim email"},
		"a name of two lines":       {people, map[string]any{"email": "a\nb"}, "", "", "claim email"},
		"a name that is too long":   {people, map[string]any{"email": strings.Repeat("a", 257)}, "", "", "256 bytes"},
		"too many groups":           {people, map[string]any{"email": "a", "groups": many(257)}, "", "", "257 groups"},
		"many groups":               {people, map[string]any{"email": "a", "groups": many(256)}, "a", "", ""},
		"a job": {jobs, map[string]any{"sub": "repo:acme/web:ref:refs/heads/main", "repository": "acme/web", "repository_owner": "acme", "ref_protected": true},
			"corp:repo:acme/web:ref:refs/heads/main", "corp:acme/web", ""},
		"a job of another owner": {jobs, map[string]any{"repository_owner": "mallory", "ref_protected": "true"}, "", "", "claim repository_owner"},
		"a job that lacks one":   {jobs, map[string]any{"repository_owner": "acme"}, "", "", "claim ref_protected"},
		"for somebody else":      {people, map[string]any{"email": "a", "aud": []string{"grafana", "argo"}}, "", "", `"grafana", "argo", and this hub takes`},
		"for several":            {people, map[string]any{"email": "a", "aud": []string{"grafana", "yardarm"}}, "a", "", ""},
		"for nobody":             {people, map[string]any{"email": "a", "aud": nil}, "", "", "audience nobody"},
		"expired":                {people, map[string]any{"email": "a", "exp": time.Now().Add(-2 * time.Minute).Unix()}, "", "", "expired at 2"},
		"expired a moment ago":   {people, map[string]any{"email": "a", "exp": time.Now().Add(-30 * time.Second).Unix()}, "a", "", ""},
		"without an end":         {people, map[string]any{"email": "a", "exp": nil}, "", "", "expired"},
		"not valid yet":          {people, map[string]any{"email": "a", "nbf": time.Now().Add(2 * time.Minute).Unix()}, "", "", "not valid yet"},
		"of a fast clock":        {people, map[string]any{"email": "a", "iat": time.Now().Add(30 * time.Second).Unix()}, "a", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, &clock{now: time.Now()}, c.provider)
			token := i.token(c.claims)
			if c.refused != "" {
				refusedFor(t, v, token, c.refused)
				return
			}
			who := identify(t, v, token)
			if groups := strings.Join(who.Groups, " "); who.Name != c.user || c.groups != "" && groups != c.groups || who.Kind != "User" || who.Expires.IsZero() || who.Local {
				t.Errorf("it is %+v", who)
			}
		})
	}
}

func many(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint("g", i))
	}
	return out
}

func TestWhatIsNoTokenOfAProvider(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	c := &clock{now: time.Now()}
	v := newVerifier(t, c, i.provider())
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := i.token(nil)
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	changed, err := json.Marshal(i.claims(map[string]any{"sub": "admin"}))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct{ token, words string }{
		"of another issuer":       {other.token(nil), "is no identity provider of this hub"},
		"of nobody":               {i.token(map[string]any{"iss": nil}), "is no identity provider"},
		"by one's own key":        {sign(t, jose.ES256, own, i.claims(nil)), "does not verify by the keys"},
		"by its name for the key": {sign(t, jose.ES256, jose.JSONWebKey{Key: own, KeyID: "one"}, i.claims(nil)), "does not verify"},
		"by a shared secret":      {sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), i.claims(nil)), "does not verify"},
		"without a signature":     {none + "." + payload + ".", "does not verify"},
		"none with a signature":   {none + "." + payload + "." + signature, "does not verify"},
		"changed":                 {head + "." + base64.RawURLEncoding.EncodeToString(changed) + "." + signature, "does not verify"},
		"two parts":               {head + "." + payload, "neither a token of this hub nor an ID token"},
		"no token":                {"yes", "neither"},
		"no base64":               {"a.%.c", "damaged"},
		"no JSON":                 {"a.YQ.c", "damaged"},
		"huge":                    {head + "." + strings.Repeat("A", maxToken) + ".", "at most"},
	} {
		t.Run(name, func(t *testing.T) { refusedFor(t, v, bad.token, bad.words) })
	}
	narrow := i.provider()
	narrow.Algorithms = []string{"RS256"}
	refusedFor(t, newVerifier(t, c, narrow), good, "does not verify")
	if who := identify(t, v, good); who.Name != "corp:u-1" {
		t.Errorf("the good one is %v", who)
	}
	if asked := i.times(); asked > 3 {
		t.Errorf("bad tokens had it asked for its keys %d times", asked)
	}
}

// TestKeyRotation: a token by a new key counts at once, one by a key that was withdrawn no longer, and nobody makes the hub ask again and again.
func TestKeyRotation(t *testing.T) {
	i := newIssuer(t)
	c := &clock{now: time.Now()}
	v := newVerifier(t, c, i.provider())
	old := i.token(nil)
	identify(t, v, old)
	i.rotate("two", "RS256")
	c.pass(askAgain)
	identify(t, v, i.token(nil))
	if asked := i.times(); asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	identify(t, v, old) // it is remembered, for a while
	c.pass(cacheTime)
	refusedFor(t, v, old, "does not verify")
	asked := i.times()
	for n := range 20 {
		refusedFor(t, v, sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), i.claims(map[string]any{"jti": n})), "does not verify")
	}
	if i.times() != asked {
		t.Errorf("bad tokens had it asked %d times", i.times()-asked)
	}
}

// TestVerifiedTokensAreRemembered: until they expire, and not without bound.
func TestVerifiedTokensAreRemembered(t *testing.T) {
	i := newIssuer(t)
	c := &clock{now: time.Now()}
	v := newVerifier(t, c, i.provider())
	token := i.token(map[string]any{"exp": c.Now().Add(2 * time.Minute).Unix()})
	who := identify(t, v, token)
	if want := 3 * time.Minute; who.Expires.Sub(c.Now()).Round(2*time.Second) != want {
		t.Errorf("it ends in %v", who.Expires.Sub(c.Now()))
	}
	i.Close()
	identify(t, v, token)
	c.pass(who.Expires.Sub(c.Now()))
	refusedFor(t, v, token, "expired")
	for n := range cacheSize + 1 {
		v.current.Load().remember([32]byte{byte(n), byte(n >> 8)}, verdict{})
	}
	if v.current.Load().verified.Len() != cacheSize {
		t.Errorf("%d are remembered", v.current.Load().verified.Len())
	}
}

// TestProviderAway: a provider that cannot be reached stops nobody else, its callers are told, and it counts again as soon as it is back.
func TestProviderAway(t *testing.T) {
	there, away := newIssuer(t), newIssuer(t)
	away.set(true)
	first, second := there.provider(), away.provider()
	second.Name = "away"
	var said record
	for _, p := range []*Provider{&first, &second} {
		if err := p.complete(); err != nil {
			t.Fatal(err)
		}
	}
	v, err := New(&Config{Providers: []Provider{first, second}}, slog.New(slog.NewTextHandler(&said, nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	identify(t, v, there.token(nil))
	_, err = v.Verify(ctx, away.token(nil))
	var unavailable *authz.UnavailableError
	if !errors.As(err, &unavailable) || errors.Is(err, authz.ErrCredential) || !strings.Contains(err.Error(), away.URL) || !strings.Contains(err.Error(), "502") || strings.Contains(err.Error(), "\n") {
		t.Errorf("without its provider: %v", err)
	}
	await(t, "the log says that it is away", func() bool { return strings.Contains(said.String(), "cannot be reached") })
	away.set(false)
	await(t, "it counts again", func() bool {
		_, err := v.Verify(ctx, away.token(nil))
		return err == nil
	})
	await(t, "the log says that it is back", func() bool { return strings.Count(said.String(), "can be reached") == 2 })
	// With its keys known, it may go.
	away.set(true)
	identify(t, v, away.token(map[string]any{"sub": "another"}))
}

// TestConfigurationIsReplaced while tokens are verified: another meaning of a provider's tokens counts at once, those whom it let in end, and those of others do not,
// also while no provider can be reached.
func TestConfigurationIsReplaced(t *testing.T) {
	first, second := newIssuer(t), newIssuer(t)
	stays, changes := first.provider(), second.provider()
	stays.Name = "stays"
	v := newVerifier(t, &clock{now: time.Now()}, stays, changes)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	here, there := identify(t, v, first.token(nil)), identify(t, v, second.token(nil))
	over := func(who authz.Identity) bool {
		select {
		case <-who.Ended:
			return true
		default:
			return false
		}
	}
	use := func(providers ...Provider) {
		t.Helper()
		for i := range providers {
			if err := providers[i].complete(); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Use(&Config{Providers: providers}); err != nil {
			t.Fatal(err)
		}
	}
	first.set(true)
	second.set(true)
	// By which client people sign in is nothing to those who have.
	stays.Pages = &Client{ClientID: "yardarm", Secret: "rotated"}
	changes.Required = map[string][]string{"groups": {"ops"}}
	use(stays, changes)
	if over(here) || !over(there) {
		t.Errorf("ended are %v, %v", over(here), over(there))
	}
	identify(t, v, first.token(map[string]any{"sub": "another"}))
	refusedFor(t, v, second.token(nil), "claim groups")
	if pages := v.Pages(); len(pages) != 1 || pages[0].Secret != "rotated" {
		t.Errorf("for pages: %v", pages)
	}
	use(changes)
	refusedFor(t, v, first.token(nil), "no identity provider")
	if !over(here) {
		t.Error("who was let in by a provider that has gone is so still")
	}
	first.set(false)
	use(stays)
	if again := identify(t, v, first.token(nil)); over(again) {
		t.Error("who is let in again has ended")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNobodyIsAskedInTheClear(t *testing.T) {
	p := Provider{Name: "a", Issuer: "http://127.0.0.1:1", Audiences: []string{"a"}}
	if err := p.complete(); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("error %v", err)
	}
	i := newIssuer(t)
	v := newVerifier(t, &clock{now: time.Now()}, i.provider())
	if _, err := v.current.Load().providers[0].keys(t.Context(), strings.Replace(i.URL, "https", "http", 1)); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("keys over http: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	i := newIssuer(f)
	v := newVerifier(f, &clock{now: time.Now()}, i.provider())
	good := i.token(nil)
	f.Add(good)
	f.Add(good[:len(good)-4])
	f.Add("a.e30.c")
	f.Fuzz(func(t *testing.T, token string) {
		if who, err := v.Verify(t.Context(), token); err == nil && token != good {
			t.Errorf("%q lets in %v", token, who)
		}
	})
}

func BenchmarkVerifyRemembered(b *testing.B) {
	i := newIssuer(b)
	v := newVerifier(b, &clock{now: time.Now()}, i.provider())
	token := i.token(nil)
	identify(b, v, token)
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
