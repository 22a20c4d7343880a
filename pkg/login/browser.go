package login

import (
	"context"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"time"
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
	question, address := c.Question("http://" + listener.Addr().String() + callbackPath)
	answers := make(chan url.Values, 1) // the first one counts
	server := &http.Server{Handler: callback(question.State, answers), ReadHeaderTimeout: headerTimeout}
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
	if err := open(address); err != nil {
		return Tokens{}, err
	}
	select {
	case <-ctx.Done():
		return Tokens{}, context.Cause(ctx)
	case err := <-served:
		served <- err
		return Tokens{}, fmt.Errorf("await the browser: %w", err)
	case answer := <-answers:
		return c.Redeem(ctx, question, answer)
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
