package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/yardarm-dev/yardarm/hub/source/archive"
	"github.com/yardarm-dev/yardarm/hub/source/chart/charttest"
	"github.com/yardarm-dev/yardarm/hub/source/oci/ocitest"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// world is a registry, and the repository team/app in it as the hub sees it.
type world struct {
	*ocitest.Registry
	cache *archive.Cache
	at    Server
}

func newWorld(t *testing.T) *world {
	r := ocitest.Serve(t)
	return &world{Registry: r, cache: &archive.Cache{Dir: filepath.Join(t.TempDir(), "cache")},
		at: Server{URL: r.URL("team/app"), Login: reach.Login{CA: r.CA}, Dialer: &reach.Dialer{Local: true}}}
}

func (w *world) fetch(wants ...Want) []archive.Found {
	w.Helper()
	found, err := Fetch(w.Context(), w.at, w.cache, wants)
	if err != nil {
		w.Fatal(err)
	}
	return found
}

// problem is what is wrong with an artifact.
func (w *world) problem(ref *yardarmv1.OciRef) error {
	w.Helper()
	found, err := Fetch(w.Context(), w.at, w.cache, []Want{{Ref: ref}})
	if err == nil {
		err = found[0].Err
	}
	return err
}

func (w *world) refused(ref *yardarmv1.OciRef, reason, text string) {
	w.Helper()
	err := w.problem(ref)
	var failed *reach.Error
	if !errors.As(err, &failed) || failed.Reason != reason || !strings.Contains(failed.Message, text) {
		w.Errorf("%v, and %s with %q is wanted", err, reason, text)
	}
}

func (w *world) holds(found archive.Found, name, want string) {
	w.Helper()
	if found.Err != nil || found.Tree == nil {
		w.Fatalf("nothing is found: %v", found)
	}
	if text, err := fs.ReadFile(found.Tree, name); err != nil || string(text) != want {
		w.Errorf("%s holds %q, %v", name, text, err)
	}
}

func file(name, text string) ocitest.Layer {
	return ocitest.Layer{Type: ocitest.File, Title: name, Data: []byte(text)}
}

// TestRefs takes an artifact by its tag, its version and its digest. What is known costs one request, by its digest none.
func TestRefs(t *testing.T) {
	w := newWorld(t)
	one := w.Push("team/app", "1.2.0", file("a.yaml", "one"))
	two := w.Push("team/app", "v1.10.0_build.7", file("a.yaml", "two"))
	latest := w.Push("team/app", "latest", file("a.yaml", "latest"))
	w.Push("team/app", "2.0.0-rc.1", file("a.yaml", "three"))
	for text, c := range map[string]struct {
		ref         *yardarmv1.OciRef
		tag, digest string
	}{
		"latest": {nil, "latest", latest},
		"one":    {&yardarmv1.OciRef{Tag: "1.2.0"}, "1.2.0", one},
		"two":    {&yardarmv1.OciRef{Semver: ">=1"}, "v1.10.0_build.7", two},
	} {
		found := w.fetch(Want{Ref: c.ref})[0]
		if w.holds(found, "a.yaml", text); found.Ref != c.tag || found.Digest != c.digest {
			t.Errorf("%v is %s, %s", c.ref, found.Ref, found.Digest)
		}
		before := w.Requests.Load()
		if again := w.fetch(Want{Ref: c.ref, Known: c.digest})[0]; again.Tree != nil || again.Err != nil {
			t.Errorf("what is known was fetched: %v", again)
		}
		if n := w.Requests.Load() - before; n > 1 && c.ref.GetSemver() == "" || n > 2 {
			t.Errorf("a poll of %v took %d requests", c.ref, n)
		}
	}
	pinned := &yardarmv1.OciRef{Digest: one}
	w.holds(w.fetch(Want{Ref: pinned})[0], "a.yaml", "one")
	before := w.Requests.Load()
	if again := w.fetch(Want{Ref: pinned, Known: one})[0]; again.Digest != one || w.Requests.Load() != before {
		t.Errorf("a digest was looked up: %v", again)
	}
}

// TestLayers unpacks charts, archives and files, one over the other.
func TestLayers(t *testing.T) {
	w := newWorld(t)
	w.Push("team/app", "chart", ocitest.Layer{Type: ocitest.Chart, Data: charttest.Pack("app", map[string]string{"Chart.yaml": "name: app"})},
		ocitest.Layer{Type: chartSignature, Data: []byte("signed")})
	w.holds(w.fetch(Want{Ref: &yardarmv1.OciRef{Tag: "chart"}})[0], "Chart.yaml", "name: app")
	w.Push("team/app", "archive", ocitest.Layer{Type: ocitest.Archive, Data: charttest.Pack("base", map[string]string{"a.yaml": "one", "b.yaml": "one"})}, file("base/b.yaml", "two"))
	found := w.fetch(Want{Ref: &yardarmv1.OciRef{Tag: "archive"}})[0]
	w.holds(found, "base/a.yaml", "one")
	w.holds(found, "base/b.yaml", "two")
}

// TestRefusals has an artifact in each way that is none.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.refused(nil, yardarmv1.SourceRefNotFound, `no artifact "latest"`)
	w.refused(&yardarmv1.OciRef{Semver: "1.x"}, yardarmv1.SourceNotFound, "no such repository")
	w.Push("team/app", "latest", file("a.yaml", "one"))
	w.refused(&yardarmv1.OciRef{Semver: "1.x"}, yardarmv1.SourceRefNotFound, `"1.x"`)
	w.Push("team/app", "untitled", ocitest.Layer{Type: ocitest.File, Data: []byte("a: b")})
	var wrong manifest.Problem
	if err := w.problem(&yardarmv1.OciRef{Tag: "untitled"}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "without a title") {
		t.Errorf("a layer that is neither: %v", err)
	}
	w.Push("team/app", "outside", file("../a.yaml", "one"))
	if err := w.problem(&yardarmv1.OciRef{Tag: "outside"}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("a layer that leads out: %v", err)
	}
	w.cache.MaxSize = 8
	w.Push("team/app", "large", file("a.yaml", "more than eight bytes"))
	w.refused(&yardarmv1.OciRef{Tag: "large"}, yardarmv1.SourceTooLarge, "larger than 8 bytes")
	w.cache.MaxSize = 0

	w.Answer = func(out http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		_, err := out.Write([]byte("two"))
		return err == nil
	}
	w.refused(nil, yardarmv1.SourceNotTrusted, "not what its manifest says")
	w.Answer = func(out http.ResponseWriter, r *http.Request) bool {
		http.Redirect(out, r, "http://registry.example.com/", http.StatusTemporaryRedirect)
		return true
	}
	w.refused(nil, yardarmv1.SourceNotAllowed, "only https")
	w.Answer = func(out http.ResponseWriter, _ *http.Request) bool {
		out.WriteHeader(http.StatusForbidden)
		return true
	}
	w.refused(nil, yardarmv1.SourceDenied, "wants credentials")
	w.Answer = nil
	w.at.Dialer = &reach.Dialer{}
	w.refused(nil, yardarmv1.SourceNotAllowed, "hub's own machine")
}

// TestLogin shows a name and a password where the registry asks for them.
func TestLogin(t *testing.T) {
	w := newWorld(t)
	w.Push("team/app", "latest", file("a.yaml", "one"))
	w.Answer = func(out http.ResponseWriter, r *http.Request) bool {
		if name, password, _ := r.BasicAuth(); name == "ada" && password == "secret" {
			return false
		}
		out.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		out.WriteHeader(http.StatusUnauthorized)
		return true
	}
	w.refused(nil, yardarmv1.SourceDenied, "wants credentials")
	w.at.Login.Username, w.at.Login.Password = "ada", "wrong"
	w.refused(nil, yardarmv1.SourceDenied, "refuses the credentials")
	w.at.Login.Password = "secret"
	w.holds(w.fetch(Want{})[0], "a.yaml", "one")
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"oci://registry.example.com/team/app":       "registry.example.com/team/app",
		"oci://registry.example.com:5000/app":       "registry.example.com:5000/app",
		"https://registry.example.com/team/app":     "must begin with oci://",
		"oci://registry.example.com":                "is no repository",
		"oci://registry.example.com/App":            "is no repository",
		"oci://registry.example.com/app:1.0":        "names a tag",
		"oci://ada:secret@registry.example.com/app": "holds a name or a password",
		"": "must begin with oci://",
	} {
		ref, err := ParseURL(text)
		if err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")) || err == nil && ref.Registry+"/"+ref.Repository != want {
			t.Errorf("%q is %v, %v; want %q", text, ref, err, want)
		}
	}
}

// manifestOf has the registry answer with a manifest that nobody has pushed.
func (w *world) manifestOf(data []byte) {
	sum := sha256.Sum256(data)
	w.Answer = func(out http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		out.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		out.Header().Set("Docker-Content-Digest", "sha256:"+hex.EncodeToString(sum[:]))
		out.Header().Set("Content-Length", strconv.Itoa(len(data)))
		if r.Method == http.MethodGet {
			_, _ = out.Write(data) // who has gone needs no more
		}
		return true
	}
}

// TestBounds has registries answer more than anybody needs.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	layer := `{"mediaType":"text/yaml","digest":"sha256:` + strings.Repeat("0", 64) + `","size":1}`
	w.manifestOf([]byte(`{"schemaVersion":2,"layers":[` + strings.Repeat(layer+",", maxLayers) + layer + `]}`))
	w.refused(nil, yardarmv1.SourceTooLarge, "more than 128 layers")
	w.manifestOf([]byte(`{"schemaVersion":2,"layers":[` + layer + `]}` + strings.Repeat(" ", maxMetadata)))
	w.refused(nil, yardarmv1.SourceTooLarge, "manifest is larger")
	w.Answer = func(out http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		out.Header().Set("Link", `</v2/team/app/tags/list?last=1.0.0>; rel="next"`)
		_, _ = out.Write([]byte(`{"tags":["1.0.0"]}`)) // who has gone needs no more
		return true
	}
	w.refused(&yardarmv1.OciRef{Semver: "1.x"}, yardarmv1.SourceTooLarge, "list of tags is longer")
}

// Registries lead to where layers are by URLs that let whoever has them read: no error tells them.
func TestErrorsHoldNoToken(t *testing.T) {
	w := newWorld(t)
	w.Push("team/app", "latest", file("a.yaml", "one"))
	w.Answer = func(out http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		http.Redirect(out, r, "https://127.0.0.1:1/layer?token=hunter2", http.StatusTemporaryRedirect)
		return true
	}
	if err := w.problem(nil); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
