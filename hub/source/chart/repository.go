package chart

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/yardarm-dev/yardarm/hub/source/archive"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxIndex bounds an index.yaml, in bytes: some 20,000 versions of charts. What is read of it takes ten times as much in memory for a moment.
	maxIndex = 16 << 20
	// maxChart bounds a chart's archive, packed, in bytes: as Helm does.
	maxChart = 20 << 20
)

// Server is where a repository is, and what it wants to see.
type Server struct {
	URL    *url.URL
	Login  reach.Login
	Dialer *reach.Dialer
}

// Want is a chart in a version, or in the highest of a range.
type Want struct {
	Chart, Version string
	// Known is the digest that needs no more to be looked into; empty if none does.
	Known string
}

// Repository is one that is asked again and again. It is for one caller at a time.
type Repository struct {
	Cache archive.Cache
	// etag is of the index that chosen was read of.
	etag   string
	chosen map[choice]entry
}

// choice is a Want without what is known.
type choice struct{ chart, version string }

// Fetch asks the server which versions there are, and has those in the cache that are wanted and not known. Where its index has not changed, that costs one request, and
// no write. An error is about all of them; what is about one is in its place.
func (r *Repository) Fetch(ctx context.Context, s Server, wants []Want) ([]archive.Found, error) {
	client, err := s.Dialer.Client(s.Login.CA)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	a := asking{Server: s, client: client}
	found := make([]archive.Found, len(wants))
	failures, err := r.choose(ctx, a, wants)
	if err != nil {
		return nil, err
	}
	kept := make(map[string]bool)
	for i, w := range wants {
		if found[i].Err = failures[i]; found[i].Err == nil {
			found[i] = r.fetch(ctx, a, r.chosen[choice{w.Chart, w.Version}], w.Known)
		}
		kept[found[i].Digest] = true
	}
	return found, r.Cache.Keep(kept)
}

// choose sees to it that chosen has an entry for each want that can be met, and answers why not of the others.
func (r *Repository) choose(ctx context.Context, a asking, wants []Want) ([]error, error) {
	failures := make([]error, len(wants))
	for _, w := range wants {
		if _, ok := r.chosen[choice{w.Chart, w.Version}]; !ok {
			r.etag = "" // what the index has is to be seen again
		}
	}
	response, err := a.get(ctx, a.URL.JoinPath("index.yaml"), r.etag)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotModified && r.etag != "" {
		return failures, nil
	}
	data, err := reach.ReadAll("the repository's index.yaml", response.Body, maxIndex)
	if err != nil {
		return nil, reach.Unreachable(a.URL.Host, err)
	}
	index, err := parseIndex(data)
	if err != nil {
		return nil, err
	}
	r.etag, r.chosen = response.Header.Get("ETag"), make(map[choice]entry)
	for i, w := range wants {
		e, err := index.pick(w.Chart, w.Version)
		if failures[i] = err; err == nil {
			r.chosen[choice{w.Chart, w.Version}] = e
		}
	}
	return failures, nil
}

// fetch has the chart of an entry in the cache, unless it is known.
func (r *Repository) fetch(ctx context.Context, a asking, e entry, known string) archive.Found {
	found := archive.Found{Ref: e.Version, Digest: e.Digest}
	if e.Digest != "" {
		if e.Digest == known {
			return found
		}
		if tree, ok := r.Cache.Open(e.Digest); ok {
			found.Tree = tree
			return found
		}
	}
	data, err := a.archive(ctx, e)
	if err != nil {
		found.Err = err
		return found
	}
	sum := sha256.Sum256(data)
	found.Digest = "sha256:" + hex.EncodeToString(sum[:])
	switch {
	case e.Digest != "" && found.Digest != e.Digest:
		found.Err = reach.Failed(yardarmv1.SourceNotTrusted, "version %s of the chart is not what the repository's index says: its digest is %s instead of %s", e.Version, found.Digest, e.Digest)
	case found.Digest != known:
		found.Tree, found.Err = r.unpack(found.Digest, data)
	}
	return found
}

func (r *Repository) unpack(digest string, data []byte) (fs.FS, error) {
	return r.Cache.Add(digest, func(u *archive.Unpacker) error { return u.Tar(bytes.NewReader(data), 1) })
}

// asking is a repository's server while it is asked.
type asking struct {
	Server
	client *http.Client
}

// archive reads that of a chart. Where it is on another host than the index, no login is shown there.
func (a asking) archive(ctx context.Context, e entry) ([]byte, error) {
	at, err := a.URL.Parse(e.URLs[0])
	if err != nil {
		return nil, reach.Failed(yardarmv1.SourceRefNotFound, "the repository's index says of version %s that it is where no URL leads", e.Version)
	}
	response, err := a.get(ctx, at, "")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := reach.ReadAll("the chart's archive", response.Body, maxChart)
	if err != nil {
		return nil, reach.Unreachable(at.Host, err)
	}
	return data, nil
}

// get asks for a file, or whether it is another one than an ETag is of. The body is to be closed.
func (a asking) get(ctx context.Context, at *url.URL, etag string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask a chart repository: %w", err)
	}
	login := reach.Login{}
	if at.Host == a.URL.Host {
		login = a.Login
	}
	login.Show(request)
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, reach.Unreachable(at.Host, err)
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusNotModified && etag != "" {
		return response, nil
	}
	_ = response.Body.Close()
	return nil, login.Answered(at.Host, response.StatusCode)
}
