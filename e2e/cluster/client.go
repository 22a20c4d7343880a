package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

const (
	// readyWithin is how long a program may take until it is ready: about 3 s on an idle machine, and much
	// more on one that compiles at the same time.
	readyWithin = 2 * time.Minute
	// readyPoll is how often it is asked.
	readyPoll = 50 * time.Millisecond
	// requestTimeout ends one request to an API server or etcd that does not answer.
	requestTimeout = 10 * time.Second
	// responseLimit bounds what is read of an answer.
	responseLimit = 4 << 20
)

// client is the little that this package asks of an API server or etcd, so that it needs no Kubernetes
// client, whose version would be the callers' too.
type client struct {
	http   http.Client
	server string // URL without a path
	token  string // may be empty
}

// newClient returns a client that trusts the CA (PEM; nil for plain HTTP). Connections are not reused
// across the server's restarts, nor left open at its end.
func newClient(server string, ca []byte, token string) *client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &client{
		http: http.Client{
			Timeout:   requestTimeout,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
		},
		server: server,
		token:  token,
	}
}

// do sends a request with a JSON body (nil: none) and decodes the answer into result (nil: discards it).
// An answer other than 2xx is a statusError.
func (c *client) do(ctx context.Context, method, path string, body, result any) error {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, responseLimit))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		return &statusError{request: method + " " + path, status: response.Status, body: string(answer)}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}

// get is do for reading.
func (c *client) get(ctx context.Context, path string, result any) error {
	return c.do(ctx, http.MethodGet, path, nil, result)
}

// statusError is an answer that says no.
type statusError struct{ request, status, body string }

func (e *statusError) Error() string { return fmt.Sprintf("%s: %s: %s", e.request, e.status, e.body) }

// awaitReady polls check until it succeeds. It fails when the process exits, when ctx ends and after
// readyWithin, with what check said last and the end of the process's log.
func awaitReady(ctx context.Context, p *process.Process, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return p.Fail(errors.New("it did not become ready"))
		case <-ctx.Done():
			return p.Fail(fmt.Errorf("it did not become ready: %w: %w", context.Cause(ctx), err))
		case <-time.After(readyPoll):
		}
	}
}
