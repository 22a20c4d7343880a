package oci

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/yardarm-dev/yardarm/hub/source/archive"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	scheme = "oci://"
	// defaultTag is what registries' clients take where nothing is said.
	defaultTag = "latest"
	// maxMetadata bounds a manifest and each page of a list of tags, in bytes: as registries do.
	maxMetadata = 4 << 20
	// maxTagPages bounds a list of tags.
	maxTagPages = 100
)

// Server is where a repository is, as in "oci://registry.example.com/team/app", and what its registry wants to see.
type Server struct {
	URL    string
	Login  reach.Login
	Dialer *reach.Dialer
}

// Want is an artifact.
type Want struct {
	Ref *yardarmv1.OciRef
	// Known is the digest that needs no more to be looked into; empty if none does.
	Known string
}

// ParseURL takes a repository's URL, and answers what registries' clients call it: HOST/PATH.
func ParseURL(text string) (registry.Reference, error) {
	name, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return registry.Reference{}, errors.New("must begin with oci:// and a host, as in oci://registry.example.com/team/app")
	}
	if strings.Contains(name, "@") && !strings.Contains(name, "@sha256:") {
		return registry.Reference{}, errors.New("holds a name or a password; make source credentials of them, and name those")
	}
	ref, err := registry.ParseReference(name)
	switch {
	case err != nil || ref.Repository == "":
		return registry.Reference{}, errors.New("is no repository of a registry, such as oci://registry.example.com/team/app; its path is in lower case") // the error quotes it
	case ref.Reference != "":
		return registry.Reference{}, errors.New("names a tag or a digest; those are said by ref")
	}
	return ref, nil
}

// Fetch asks the registry what each ref means now, and has the artifacts in the cache that are not known. That costs one request of each that is, two for a range, and no
// write. An error is about all of them; what is about one is in its place.
func Fetch(ctx context.Context, s Server, cache *archive.Cache, wants []Want) ([]archive.Found, error) {
	a, err := s.connect()
	if err != nil {
		return nil, err
	}
	defer a.client.CloseIdleConnections()
	found, kept := make([]archive.Found, len(wants)), make(map[string]bool)
	for i, w := range wants {
		found[i] = a.fetch(ctx, cache, w)
		if about := (*reach.Error)(nil); errors.As(found[i].Err, &about) && aboutAll(about.Reason) {
			return nil, about
		}
		kept[found[i].Digest] = true
	}
	return found, cache.Keep(kept)
}

// aboutAll tells whether a failure of one artifact is one of all others of its repository too.
func aboutAll(reason string) bool {
	switch reason {
	case yardarmv1.SourceUnreachable, yardarmv1.SourceNotTrusted, yardarmv1.SourceDenied, yardarmv1.SourceNotAllowed, yardarmv1.SourceNotFound:
		return true
	}
	return false
}

// asking is a repository while it is asked.
type asking struct {
	Server
	*remote.Repository
	client *http.Client
}

func (s Server) connect() (*asking, error) {
	ref, err := ParseURL(s.URL)
	if err != nil {
		return nil, reach.Failed(yardarmv1.SourceNotFound, "the URL %w", err)
	}
	client, err := s.Dialer.Client(s.Login.CA)
	if err != nil {
		return nil, err
	}
	login := &auth.Client{Client: client, Cache: auth.NewCache(), Header: http.Header{"User-Agent": {"yardarm"}}}
	if s.Login.Password != "" || s.Login.Token != "" {
		login.Credential = auth.StaticCredential(ref.Host(), auth.Credential{Username: s.Login.Username, Password: s.Login.Password, AccessToken: s.Login.Token})
	}
	return &asking{Server: s, client: client, Repository: &remote.Repository{Client: login, Reference: ref, MaxMetadataBytes: maxMetadata, TagListMaxPages: maxTagPages}}, nil
}

// fetch has an artifact in the cache, unless it is known.
func (a *asking) fetch(ctx context.Context, cache *archive.Cache, w Want) archive.Found {
	name, tag, err := a.named(ctx, w.Ref)
	if err != nil {
		return archive.Found{Err: err}
	}
	found := archive.Found{Ref: tag, Digest: w.Ref.GetDigest()}
	var manifest ocispec.Descriptor
	if found.Digest == "" || found.Digest != w.Known {
		if manifest, err = a.Resolve(ctx, name); err != nil {
			found.Err = a.failed(err, "the repository has no artifact %q", name)
			return found
		}
		found.Digest = manifest.Digest.String()
	}
	if found.Digest == w.Known {
		return found
	}
	var ok bool
	if found.Tree, ok = cache.Open(found.Digest); !ok {
		found.Tree, found.Err = a.unpack(ctx, cache, manifest)
	}
	return found
}

// named is the name by which the registry knows what is wanted, and the tag if it is one.
func (a *asking) named(ctx context.Context, ref *yardarmv1.OciRef) (name, tag string, err error) {
	switch {
	case ref.GetDigest() != "":
		return ref.GetDigest(), "", nil
	case ref.GetSemver() != "":
		tag, err = a.highest(ctx, ref.GetSemver())
	case ref.GetTag() != "":
		tag = ref.GetTag()
	default:
		tag = defaultTag
	}
	return tag, tag, err
}

// highest finds the highest version in a range among the tags. A tag has an underscore where a version has a plus, which tags may not have.
func (a *asking) highest(ctx context.Context, text string) (string, error) {
	constraint, err := semver.NewConstraint(text)
	if err != nil {
		return "", reach.Failed(yardarmv1.SourceRefNotFound, "%q is no range of versions: %w", text, err)
	}
	var best *semver.Version
	var found string
	err = a.Tags(ctx, "", func(tags []string) error {
		for _, tag := range tags {
			v, err := semver.NewVersion(strings.Replace(tag, "_", "+", 1))
			if err == nil && constraint.Check(v) && (best == nil || v.GreaterThan(best) || v.Equal(best) && tag < found) {
				best, found = v, tag
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errdef.ErrSizeExceedsLimit), errors.Is(err, errdef.ErrTooManyPages):
		return "", reach.Failed(yardarmv1.SourceTooLarge, "the registry's list of tags is longer than %d pages of %d bytes", maxTagPages, maxMetadata)
	case err != nil:
		return "", a.failed(err, "the registry has no such repository")
	case best == nil:
		return "", reach.Failed(yardarmv1.SourceRefNotFound, "the repository has no tag that is a version in %q", text)
	}
	return found, nil
}

// failed is why the registry did not give what was asked for; missing says what it is that is not there.
func (a *asking) failed(err error, missing string, args ...any) error {
	host := a.Reference.Host()
	var answered *errcode.ErrorResponse
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return reach.Failed(yardarmv1.SourceRefNotFound, missing, args...)
	case errors.As(err, &answered) && answered.StatusCode == http.StatusNotFound:
		return reach.Failed(yardarmv1.SourceNotFound, missing, args...)
	case errors.As(err, &answered):
		return a.Login.Answered(host, answered.StatusCode)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return a.Login.Answered(host, http.StatusUnauthorized)
	}
	var quoted *url.Error
	if errors.As(err, &quoted) {
		err = quoted.Err // it has the URL in it, and that may have a token
	}
	return reach.Unreachable(host, err)
}
