package login

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider answers discovery, and what a test says at its token endpoint. e2e/signin has a real one.
func provider(t *testing.T, token http.HandlerFunc) Provider {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": server.URL, "authorization_endpoint": server.URL + "/auth", "token_endpoint": server.URL + "/token", "jwks_uri": server.URL + "/keys"})
	})
	mux.HandleFunc("POST /token", token)
	mux.HandleFunc("POST /revoke", token)
	return Provider{Issuer: server.URL, ClientID: "yardarm", CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))}
}

func client(t *testing.T, p Provider) *Client {
	t.Helper()
	c, err := New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// come has a browser come back with an answer.
func come(t *testing.T, to string, answer url.Values) (status int, page string) {
	t.Helper()
	resp, err := http.Get(to + "?" + answer.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestBrowserAnswers: the browser's answer counts if it is to this question, and a code is redeemed with what only the one who asked knows.
func TestBrowserAnswers(t *testing.T) {
	var redeemed url.Values
	c := client(t, provider(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		redeemed = r.PostForm
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token": "a", "id_token": "no.token.secret"}`)
	}))
	for name, test := range map[string]struct{ answer, words string }{
		"a code":       {"code=c", "does not hold"},
		"refused":      {"error=access_denied&error_description=not+you", "access_denied: not you"},
		"with a trick": {"error=<b>", "not signed in"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Browser(t.Context(), 0, func(address string) error {
				u, err := url.Parse(address)
				if err != nil {
					return err
				}
				q := u.Query()
				if q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("client_id") != "yardarm" {
					t.Errorf("asked by %s", address)
				}
				back := q.Get("redirect_uri")
				if status, _ := come(t, back, url.Values{"code": {"another's"}, "state": {"guessed"}}); status != http.StatusBadRequest {
					t.Errorf("an answer to another question: status %d", status)
				}
				answer, err := url.ParseQuery(test.answer)
				answer.Set("state", q.Get("state"))
				go func() {
					if status, page := come(t, back, answer); status != http.StatusOK || strings.Contains(page, "<b>") {
						t.Errorf("status %d: %s", status, page)
					}
				}()
				return err
			})
			if err == nil || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want one with %q and no token", err, test.words)
			}
		})
	}
	if redeemed.Get("code") != "c" || redeemed.Get("code_verifier") == "" || redeemed.Get("client_secret") != "" {
		t.Errorf("redeemed by %v", redeemed)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("too late")
	if _, err := c.Browser(ctx, 0, func(string) error { cancel(late); return nil }); !errors.Is(err, late) {
		t.Errorf("error %v", err)
	}
}

func TestWhatAProviderRefuses(t *testing.T) {
	c := client(t, provider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error": "invalid_grant", "error_description": "used before", "hint": "refresh-secret"}`)
	}))
	if _, err := c.Refresh(t.Context(), "refresh-secret"); err == nil || !strings.Contains(err.Error(), "invalid_grant: used before") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	if _, err := c.Device(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no device codes") {
		t.Errorf("error %v", err)
	}
	if err := c.Revoke(t.Context(), "refresh-secret"); err != nil {
		t.Errorf("a provider that revokes nothing: %v", err)
	}
}

// TestHowASecretIsSent: to the token and to the revocation endpoint in the one way that the client is registered with, and with no word of it in what is said of a refusal.
func TestHowASecretIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		secret Secret
		inBody bool
		want   string
	}{
		"a public client":     {"", false, " yardarm "},
		"client_secret_basic": {"s3c:r t", false, "yardarm:s3c%3Ar+t  "},
		"client_secret_post":  {"s3c:r t", true, " yardarm s3c:r t"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			p := provider(t, func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				user, password, ok := r.BasicAuth()
				if ok {
					user += ":" + password
				}
				asked = append(asked, user+" "+r.PostForm.Get("client_id")+" "+r.PostForm.Get("client_secret"))
				http.Error(w, `{"error": "invalid_client"}`, http.StatusUnauthorized)
			})
			p.Secret, p.SecretInBody = c.secret, c.inBody
			at := client(t, p)
			at.revoke = p.Issuer + "/revoke"
			_, refreshed := at.Refresh(t.Context(), "r")
			revoked := at.Revoke(t.Context(), "r")
			if len(asked) != 2 || asked[0] != c.want || asked[1] != c.want {
				t.Errorf("it was sent as %q, want %q", asked, c.want)
			}
			for _, err := range []error{refreshed, revoked} {
				if err == nil || strings.Contains(err.Error(), "s3c") {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

func TestNothingInTheClear(t *testing.T) {
	if _, err := New(t.Context(), Provider{Issuer: "http://127.0.0.1:1", ClientID: "a"}); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("error %v", err)
	}
	if _, err := Ask(t.Context(), "http://127.0.0.1:1", nil); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("error %v", err)
	}
	if _, err := New(t.Context(), Provider{Issuer: "https://127.0.0.1:1", CA: "none"}); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("error %v", err)
	}
}

func TestAsk(t *testing.T) {
	answer := `{"providers": [{"name": "corp", "issuer": "https://a", "clientID": "yardarm"}]}`
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != Path {
			t.Errorf("asked at %s", r.URL.Path)
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	known := server.Client().Transport.(*http.Transport).TLSClientConfig
	if got, err := Ask(t.Context(), server.URL+"/", known); err != nil || len(got.Providers) != 1 || got.Providers[0].ClientID != "yardarm" {
		t.Errorf("%v, %v", got, err)
	}
	answer = "<html>"
	if _, err := Ask(t.Context(), server.URL, known); err == nil {
		t.Error("a page is taken for an answer")
	}
	if _, err := Ask(t.Context(), server.URL, nil); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("a hub that is not known: %v", err)
	}
}
