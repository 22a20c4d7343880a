package oidc

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/yardarm-dev/yardarm/hub/authz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuer is an identity provider of which a test says how it behaves. e2e/signin has a real one.
type issuer struct {
	*httptest.Server
	t testing.TB

	mu    sync.Mutex
	keys  []jose.JSONWebKey // their private parts
	down  bool
	asked int // how often for its keys
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if i.isDown() {
			http.Error(w, "a page\nof many lines", http.StatusBadGateway)
			return
		}
		i.answer(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked++
		set := jose.JSONWebKeySet{}
		for _, key := range i.keys {
			set.Keys = append(set.Keys, key.Public())
		}
		i.answer(w, set)
	})
	i.Server = httptest.NewTLSServer(mux)
	t.Cleanup(i.Close)
	i.rotate("one", "ES256")
	return i
}

func (i *issuer) answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		i.t.Error(err)
	}
}

func (i *issuer) isDown() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.down
}

func (i *issuer) set(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *issuer) times() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// rotate makes a key the only one.
func (i *issuer) rotate(id string, algorithm jose.SignatureAlgorithm) {
	i.t.Helper()
	var key crypto.PrivateKey
	var err error
	if strings.HasPrefix(string(algorithm), "ES") {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = []jose.JSONWebKey{{Key: key, KeyID: id, Algorithm: string(algorithm), Use: "sig"}}
}

// provider is the configuration that trusts the issuer.
func (i *issuer) provider() Provider {
	return Provider{Name: "corp", Issuer: i.URL, Audiences: []string{"yardarm"}, roots: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw})}
}

// token signs claims by the first key, over those that any token has.
func (i *issuer) token(over map[string]any) string {
	i.t.Helper()
	i.mu.Lock()
	key := i.keys[0]
	i.mu.Unlock()
	return sign(i.t, jose.SignatureAlgorithm(key.Algorithm), key, i.claims(over))
}

func (i *issuer) claims(over map[string]any) map[string]any {
	c := map[string]any{"iss": i.URL, "aud": "yardarm", "sub": "u-1", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range over {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// clock is one that a test turns.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newVerifier makes a Verifier of providers, which are completed as those of a file are.
func newVerifier(t testing.TB, c *clock, providers ...Provider) *Verifier {
	t.Helper()
	for i := range providers {
		if err := providers[i].complete(); err != nil {
			t.Fatal(err)
		}
	}
	v, err := New(&Config{Providers: providers}, slog.New(slog.DiscardHandler), c.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range v.current.Load().providers {
			p.http.CloseIdleConnections()
		}
	})
	return v
}

// refusedFor checks that a token lets nobody in, that the reason says so, and that it does not hold the token.
func refusedFor(t testing.TB, v *Verifier, token string, words ...string) {
	t.Helper()
	who, err := v.Verify(t.Context(), token)
	var refused *authz.RefusedError
	if !errors.As(err, &refused) || !errors.Is(err, authz.ErrCredential) || who.Name != "" {
		t.Fatalf("got %v, %v; want a refusal with %q", who, err, words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	for _, part := range strings.Split(token, ".") {
		if len(part) > 10 && strings.Contains(err.Error(), part) {
			t.Errorf("%q holds the token", err)
		}
	}
}

// record is a log that a test reads while it is written.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// await polls until check is content.
func await(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !check(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// identify verifies a token that is to let somebody in.
func identify(t testing.TB, v *Verifier, token string) authz.Identity {
	t.Helper()
	who, err := v.Verify(context.WithoutCancel(t.Context()), token)
	if err != nil {
		t.Fatal(err)
	}
	return who
}
