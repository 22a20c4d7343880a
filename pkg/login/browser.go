package login

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// callbackPath is where the provider sends the browser back to.
	callbackPath = "/callback"
	// headerTimeout is for who connects and says nothing.
	headerTimeout = 5 * time.Second
)

// Browser signs in by the person's browser on this machine: authorization code with PKCE, and a redirect to a port of the loopback interface, which
// is any one that is free where port is 0. open is called with the URL to show, and Browser returns once the browser has come back, or ctx ends.
func (c *Client) Browser(ctx context.Context, port int, open func(url string) error) (Tokens, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return Tokens{}, fmt.Errorf("await the browser: %w", err)
	}
	oauth := c.oauth
	oauth.RedirectURL = "http://" + listener.Addr().String() + callbackPath
	// Three secrets of the same making: that the answer is to this question, that the code is redeemed by who asked, that the token is of this sign-in.
	state, verifier, nonce := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	answers := make(chan url.Values, 1) // the first one counts
	server := &http.Server{Handler: callback(state, answers), ReadHeaderTimeout: headerTimeout}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		// The page goes out first, but for a browser that does not take it.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close()
		}
		<-served
	}()
	options := []oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)}
	if slices.Contains(oauth.Scopes, oidc.ScopeOfflineAccess) {
		// The specification wants that the person is asked before a refresh token is given.
		options = append(options, oauth2.SetAuthURLParam("prompt", "consent"))
	}
	if err := open(oauth.AuthCodeURL(state, options...)); err != nil {
		return Tokens{}, err
	}
	select {
	case <-ctx.Done():
		return Tokens{}, context.Cause(ctx)
	case err := <-served:
		served <- err
		return Tokens{}, fmt.Errorf("await the browser: %w", err)
	case answer := <-answers:
		if reason := answer.Get("error"); reason != "" {
			return Tokens{}, c.failure("you are not signed in", errors.New(reason+" "+answer.Get("error_description")))
		}
		token, err := oauth.Exchange(c.with(ctx), answer.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			return Tokens{}, c.failure("it gives no token", err)
		}
		return c.tokens(ctx, token, nonce)
	}
}

// callback takes the answer that a provider sends by the browser. What is none, or is to another question, changes nothing.
func callback(state string, answers chan<- url.Values) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodGet || r.URL.Path != callbackPath || q.Get("state") != state {
			http.Error(w, "This is not the answer that yardarm awaits.", http.StatusBadRequest)
			return
		}
		text := "You are signed in, and can close this page."
		if reason := q.Get("error"); reason != "" {
			text = "You are not signed in: " + reason
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		fmt.Fprintf(w, "<!doctype html><title>yardarm login</title><p>%s\n", html.EscapeString(text))
		select {
		case answers <- q:
		default:
		}
	})
}
