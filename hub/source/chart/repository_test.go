package chart

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/source/archive"
	"github.com/yardarm-dev/yardarm/hub/source/chart/charttest"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// world is a repository on a server, as the hub sees it.
type world struct {
	*testing.T
	server *charttest.Repository
	repo   *Repository
	at     Server
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, server: charttest.Serve(t), repo: &Repository{Cache: archive.Cache{Dir: filepath.Join(t.TempDir(), "cache")}}}
	w.at = Server{Login: reach.Login{CA: w.server.CA}, Dialer: &reach.Dialer{Local: true}}
	var err error
	if w.at.URL, err = ParseURL(w.server.URL); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) fetch(wants ...Want) []archive.Found {
	w.Helper()
	found, err := w.repo.Fetch(w.Context(), w.at, wants)
	if err != nil {
		w.Fatal(err)
	}
	return found
}

func (w *world) refused(want Want, reason, text string) {
	w.Helper()
	found, err := w.repo.Fetch(w.Context(), w.at, []Want{want})
	if err == nil {
		err = found[0].Err
	}
	var failed *reach.Error
	if !errors.As(err, &failed) || failed.Reason != reason || !strings.Contains(failed.Message, text) {
		w.Errorf("%v, and %s with %q is wanted", err, reason, text)
	}
}

func template(value string) map[string]string { return map[string]string{"templates/a.yaml": value} }

// TestVersions takes a version by its name, the highest in a range, and the highest that is no pre-release.
func TestVersions(t *testing.T) {
	w := newWorld(t)
	for _, version := range []string{"1.2.0", "1.10.0", "v2.0.0", "3.0.0-rc.1", "one"} {
		w.server.Add("shop", version, template(version))
	}
	for wanted, want := range map[string]string{"1.2.0": "1.2.0", "1.x": "1.10.0", "": "v2.0.0", ">=3.0.0-0": "3.0.0-rc.1", "one": "one", "2.0.0": "v2.0.0"} {
		found := w.fetch(Want{Chart: "shop", Version: wanted})[0]
		if found.Err != nil || found.Ref != want {
			t.Errorf("%q is version %q, %v; want %s", wanted, found.Ref, found.Err, want)
			continue
		}
		if text, err := fs.ReadFile(found.Tree, "templates/a.yaml"); err != nil || string(text) != want {
			t.Errorf("%q holds %q, %v", wanted, text, err)
		}
	}
	w.refused(Want{Chart: "shop", Version: "4.x"}, yardarmv1.SourceRefNotFound, `"4.x"`)
	w.refused(Want{Chart: "shops"}, yardarmv1.SourceRefNotFound, `no chart "shops"`)
}

// What has not changed costs one question, and another bundle of the same version no second archive.
func TestPoll(t *testing.T) {
	w := newWorld(t)
	digest := w.server.Add("shop", "1.0.0", template("one"))
	if found := w.fetch(Want{Chart: "shop", Version: "1.x"}, Want{Chart: "shop", Version: "1.0.0"}); found[0].Digest != digest || found[1].Tree == nil || w.server.Archives.Load() != 1 {
		t.Errorf("found %v with %d archives", found, w.server.Archives.Load())
	}
	if found := w.fetch(Want{Chart: "shop", Version: "1.x", Known: digest})[0]; found.Tree != nil || found.Digest != digest {
		t.Errorf("what is known was fetched: %v", found)
	}
	if n := [3]int32{w.server.Indexes.Load(), w.server.Unchanged.Load(), w.server.Archives.Load()}; n != [3]int32{1, 1, 1} {
		t.Errorf("indexes, unchanged ones and archives: %v", n)
	}
	newer := w.server.Add("shop", "1.1.0", template("two"))
	if found := w.fetch(Want{Chart: "shop", Version: "1.x", Known: digest})[0]; found.Digest != newer || found.Tree == nil {
		t.Errorf("the newer version is not found: %v", found)
	}
	if _, ok := w.repo.Cache.Open(digest); ok {
		t.Error("the older version is still in the cache")
	}
}

// A chart that the index gives no digest of is known by that of its archive.
func TestNoDigest(t *testing.T) {
	w := newWorld(t)
	w.server.Replace("a.tgz", charttest.Pack("shop", template("one")))
	w.server.Entry("shop", "{version: 1.0.0, urls: [a.tgz]}")
	found := w.fetch(Want{Chart: "shop"})[0]
	if found.Err != nil || found.Tree == nil || !strings.HasPrefix(found.Digest, "sha256:") {
		t.Fatalf("found %v", found)
	}
	if again := w.fetch(Want{Chart: "shop", Known: found.Digest})[0]; again.Tree != nil || again.Digest != found.Digest {
		t.Errorf("found anew: %v", again)
	}
}

// TestRefusals has a repository in each way that is none.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.server.Add("shop", "1.0.0", template("one"))
	w.server.Replace("shop-1.0.0.tgz", charttest.Pack("shop", template("another")))
	w.refused(Want{Chart: "shop"}, yardarmv1.SourceNotTrusted, "is not what the repository's index says")
	w.server.Entry("gone", "{version: 1.0.0, urls: [gone.tgz]}")
	w.refused(Want{Chart: "gone"}, yardarmv1.SourceNotFound, "404")
	w.server.Entry("plain", "{version: 1.0.0, urls: ['http://charts.example.com/a.tgz']}")
	w.refused(Want{Chart: "plain"}, yardarmv1.SourceNotAllowed, "only https")
	w.server.Entry("nowhere", "{version: 1.0.0}")
	w.refused(Want{Chart: "nowhere"}, yardarmv1.SourceRefNotFound, "does not say where")
	w.server.Put("damaged", "1.0.0", []byte("no archive at all, but some bytes that pretend to be one"))
	w.refused(Want{Chart: "damaged"}, yardarmv1.SourceUnreachable, "cannot be unpacked")
	large := make([]byte, maxChart+1)
	_, _ = rand.Read(large)
	w.server.Put("large", "1.0.0", large)
	w.refused(Want{Chart: "large"}, yardarmv1.SourceTooLarge, "the chart's archive is larger")
	endless := charttest.Serve(t)
	endless.Entry("shop", "{version: 1.0.0, urls: [a], description: '"+strings.Repeat("x", maxIndex)+"'}")
	at, err := ParseURL(endless.URL)
	if err != nil {
		t.Fatal(err)
	}
	var failed *reach.Error
	if _, err := w.repo.Fetch(t.Context(), Server{URL: at, Login: reach.Login{CA: endless.CA}, Dialer: w.at.Dialer}, []Want{{Chart: "shop"}}); !errors.As(err, &failed) || failed.Reason != yardarmv1.SourceTooLarge {
		t.Errorf("an index that is too large: %v", err)
	}

	w.at.Dialer = &reach.Dialer{}
	w.refused(Want{Chart: "shop"}, yardarmv1.SourceNotAllowed, "hub's own machine")
	w.at.Dialer = &reach.Dialer{Local: true, Hosts: []string{"charts.example.com"}}
	w.refused(Want{Chart: "shop"}, yardarmv1.SourceNotAllowed, "--source-host")
	w.at.Dialer = &reach.Dialer{Local: true}
	w.at.Login.CA = nil
	w.refused(Want{Chart: "shop"}, yardarmv1.SourceNotTrusted, "not trusted")
}

// A login is for the repository's own host: neither another one that the index names sees it, nor one that is redirected to.
func TestLogin(t *testing.T) {
	w, elsewhere := newWorld(t), charttest.Serve(t)
	var shown []string
	elsewhere.Allow = func(r *http.Request) bool { shown = append(shown, r.Header.Get("Authorization")); return true }
	elsewhere.Replace("a.tgz", charttest.Pack("shop", template("one")))
	w.server.Allow = func(r *http.Request) bool {
		name, password, _ := r.BasicAuth()
		return name == "ada" && password == "secret"
	}
	w.server.Entry("shop", "{version: 1.0.0, urls: ['"+elsewhere.URL+"/a.tgz']}")
	w.refused(Want{Chart: "shop"}, yardarmv1.SourceDenied, "wants credentials")
	w.at.Login.Username, w.at.Login.Password = "ada", "wrong"
	w.refused(Want{Chart: "shop"}, yardarmv1.SourceDenied, "refuses the credentials")
	w.at.Login.Password = "secret"
	w.at.Login.CA = bytes.Join([][]byte{w.server.CA, elsewhere.CA}, nil)
	if found := w.fetch(Want{Chart: "shop"})[0]; found.Err != nil || len(shown) != 1 || shown[0] != "" {
		t.Errorf("found %v; elsewhere the login was %q", found, shown)
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://charts.example.com":                   "https://charts.example.com/",
		"https://charts.example.com/stable/index.yaml": "https://charts.example.com/stable/",
		"https://charts.example.com/stable/":           "https://charts.example.com/stable/",
		"http://charts.example.com":                    "must begin with https://",
		"oci://registry.example.com/charts":            "has the source oci",
		"https://ada:secret@charts.example.com":        "holds a name or a password",
		"https://charts.example.com?a=b":               "has a query",
		"":                                             "is missing",
		"https://":                                     "must begin with https://",
		"%zz":                                          "is no URL",
	} {
		u, err := ParseURL(text)
		if err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")) || err == nil && u.String() != want {
			t.Errorf("%q is %v, %v; want %q", text, u, err, want)
		}
	}
}

// FuzzIndex reads what a server gives: it may be anything, and nothing of it may be taken for an entry that is none.
func FuzzIndex(f *testing.F) {
	for _, seed := range []string{"entries: {a: [{version: 1.0.0, urls: [a]}]}", "entries: {a: [null]}", "a: &a [*a]", "entries: []", "{", "entries: {a: [{version: 1, urls: [1]}]}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := parseIndex(data)
		if err != nil {
			return
		}
		for name := range i.Entries {
			if e, err := i.pick(name, ""); err == nil && (len(e.URLs) == 0 || e.Digest != "" && !hexDigest.MatchString(strings.TrimPrefix(e.Digest, "sha256:"))) {
				t.Errorf("picked %v", e)
			}
		}
	})
}
