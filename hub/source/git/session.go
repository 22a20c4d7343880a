package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxRefs bounds a server's list of its refs, in bytes: some 200,000 of them.
const maxRefs = 16 << 20

// Credentials are what a server wants to see. All is optional.
type Credentials struct {
	// Username and Password are for basic authentication over HTTPS, Token for a bearer.
	Username, Password, Token string
	// CA is what the server's certificate is known by instead of the system's roots, in PEM.
	CA []byte
	// Key is a private key for SSH, in PEM or OpenSSH's own form, without a passphrase.
	Key []byte
	// KnownHosts are the keys that a server may have, in the form of OpenSSH's file. SSH needs one.
	KnownHosts []byte
}

// Remote is a repository on a server.
type Remote struct {
	URL         *url.URL
	Credentials Credentials
	Dialer      *reach.Dialer
}

// session is one conversation with a server: first its refs, then at most one pack.
type session interface {
	refs() (io.Reader, error)
	// ask sends a request and answers what comes back.
	ask(request []byte) (io.Reader, error)
	Close() error
}

func (r Remote) connect(ctx context.Context) (session, error) {
	if r.URL.Scheme == "ssh" {
		return dialSSH(ctx, r)
	}
	return dialHTTP(ctx, r)
}

// advertised reads a server's refs.
func advertised(s session) (*packp.AdvRefs, error) {
	reader, err := s.refs()
	if err != nil {
		return nil, err
	}
	refs := packp.NewAdvRefs()
	limited := &io.LimitedReader{R: reader, N: maxRefs}
	err = refs.Decode(limited)
	switch {
	case limited.N <= 0:
		return nil, reach.Failed(yardarmv1.SourceTooLarge, "the repository's list of branches and tags is longer than %d bytes", maxRefs)
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		return packp.NewAdvRefs(), nil
	case err != nil:
		return nil, reach.Failed(yardarmv1.SourceUnreachable, "what the server answers is not Git's protocol: %w", err)
	}
	return refs, nil
}

// requestFor is a request for objects. Packs that refer to what is kept are asked for where anything is: only for those does a server look what of a commit's tree
// one has, if its parents are not wanted.
func requestFor(server *capability.List, missing []target, kept []plumbing.Hash) (*packp.UploadPackRequest, error) {
	request := packp.NewUploadPackRequest()
	request.Depth = packp.DepthCommits(1)
	request.Shallows, request.Haves = kept, slices.Clone(kept)
	for _, t := range missing {
		if !slices.Contains(request.Wants, t.want) {
			request.Wants = append(request.Wants, t.want)
		}
	}
	if !server.Supports(capability.Shallow) || !server.Supports(capability.Sideband64k) {
		return nil, reach.Failed(yardarmv1.SourceUnreachable, "the server is too old: it gives no single commits (Git can since 1.5)")
	}
	for _, c := range []capability.Capability{capability.Shallow, capability.Sideband64k, capability.OFSDelta, capability.NoProgress, capability.ThinPack} {
		if !server.Supports(c) || c == capability.ThinPack && len(kept) == 0 {
			continue
		}
		if err := request.Capabilities.Set(c); err != nil {
			return nil, fmt.Errorf("ask for objects: %w", err)
		}
	}
	return request, nil
}

// pack asks for objects, and answers the pack that comes back.
func pack(s session, request *packp.UploadPackRequest) (io.Reader, error) {
	var b bytes.Buffer
	if err := request.UploadRequest.Encode(&b); err != nil {
		return nil, fmt.Errorf("ask for objects: %w", err)
	}
	if err := request.UploadHaves.Encode(&b, false); err != nil {
		return nil, fmt.Errorf("ask for objects: %w", err)
	}
	if err := pktline.NewEncoder(&b).EncodeString("done\n"); err != nil {
		return nil, fmt.Errorf("ask for objects: %w", err)
	}
	reader, err := s.ask(b.Bytes())
	if err != nil {
		return nil, err
	}
	response := packp.NewUploadPackResponse(request)
	if err := response.Decode(io.NopCloser(reader)); err != nil {
		return nil, reach.Failed(yardarmv1.SourceUnreachable, "the server did not give what was asked for: %w", err)
	}
	return sideband.NewDemuxer(sideband.Sideband64k, response), nil
}
