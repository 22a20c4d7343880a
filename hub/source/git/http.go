package git

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	uploadPack = "git-upload-pack"
	// maxRedirects is how often a server may send one elsewhere on itself: once for a repository's new name, and once for ".git".
	maxRedirects = 3
)

// httpSession speaks Git's smart protocol over HTTPS.
type httpSession struct {
	ctx    context.Context
	remote Remote
	client *http.Client
	// base is the repository's URL, after redirects.
	base   string
	bodies []io.Closer
}

func dialHTTP(ctx context.Context, r Remote) (session, error) {
	transport, err := r.Dialer.Transport(r.Credentials.CA)
	if err != nil {
		return nil, err
	}
	return &httpSession{ctx: ctx, remote: r, base: strings.TrimSuffix(r.URL.String(), "/"), client: &http.Client{Transport: transport, CheckRedirect: stays}}, nil
}

// stays lets a server send one elsewhere on itself only: credentials were given for it.
func stays(next *http.Request, via []*http.Request) error {
	if first := via[0].URL; next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		return reach.Failed(yardarmv1.SourceNotAllowed, "the server sends one to %s://%s, which is not followed; give the source that URL", next.URL.Scheme, next.URL.Host)
	}
	if len(via) > maxRedirects {
		return reach.Failed(yardarmv1.SourceUnreachable, "the server sends one elsewhere more than %d times", maxRedirects)
	}
	return nil
}

func (s *httpSession) refs() (io.Reader, error) {
	response, err := s.do(http.MethodGet, s.base+"/info/refs?service="+uploadPack, nil)
	if err != nil {
		return nil, err
	}
	if kind := response.Header.Get("Content-Type"); kind != "application/x-git-upload-pack-advertisement" {
		return nil, reach.Failed(yardarmv1.SourceNotFound, "%s does not speak Git's smart protocol there; look whether the URL is that of a repository", s.remote.URL.Host)
	}
	at := *response.Request.URL
	at.RawQuery = ""
	s.base = strings.TrimSuffix(at.String(), "/info/refs")
	return response.Body, nil
}

func (s *httpSession) ask(request []byte) (io.Reader, error) {
	response, err := s.do(http.MethodPost, s.base+"/"+uploadPack, request)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

func (s *httpSession) do(method, url string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(s.ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask a Git server: %w", err)
	}
	request.Header.Set("User-Agent", "git/yardarm") // some servers know Git by it
	if body != nil {
		request.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		request.Header.Set("Accept", "application/x-git-upload-pack-result")
	}
	switch c := s.remote.Credentials; {
	case c.Token != "":
		request.Header.Set("Authorization", "Bearer "+c.Token)
	case c.Password != "":
		request.SetBasicAuth(c.Username, c.Password)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, reach.Unreachable(s.remote.URL.Host, err)
	}
	s.bodies = append(s.bodies, response.Body)
	host := s.remote.URL.Host
	switch response.StatusCode {
	case http.StatusOK:
		return response, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		if s.remote.Credentials.Token == "" && s.remote.Credentials.Password == "" {
			return nil, reach.Failed(yardarmv1.SourceDenied, "%s wants credentials (%s); name some in the source", host, response.Status)
		}
		return nil, reach.Failed(yardarmv1.SourceDenied, "%s refuses the credentials (%s)", host, response.Status)
	case http.StatusNotFound, http.StatusGone:
		return nil, reach.Failed(yardarmv1.SourceNotFound, "%s has no such repository, or does not show it without the right credentials (%s)", host, response.Status)
	}
	return nil, reach.Failed(yardarmv1.SourceUnreachable, "%s answers %s", host, response.Status)
}

func (s *httpSession) Close() error {
	for _, body := range s.bodies {
		_ = body.Close()
	}
	s.client.CloseIdleConnections()
	return nil
}
