package git

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// world is a repository, its server, and a cache of it.
type world struct {
	*gittest.Repository
	server *gittest.Server
	cache  *Cache
	remote Remote
}

func newWorld(t *testing.T) *world {
	r := gittest.New(t)
	w := &world{Repository: r, server: gittest.Serve(r, nil), cache: &Cache{Dir: filepath.Join(t.TempDir(), "cache")}}
	u, err := ParseURL(w.server.Repo)
	if err != nil {
		t.Fatal(err)
	}
	w.remote = Remote{URL: u, Credentials: Credentials{CA: w.server.CA}, Dialer: &reach.Dialer{Local: true}}
	return w
}

func (w *world) fetch(ref *yardarmv1.GitRef) *Commit {
	w.Helper()
	return w.fetchWant(Want{Ref: ref})
}

func (w *world) fetchWant(want Want) *Commit {
	w.Helper()
	found, err := w.cache.Fetch(w.Context(), w.remote, []Want{want})
	if err != nil {
		w.Fatal(err)
	}
	if found[0].Err != nil {
		w.Fatal(found[0].Err)
	}
	return found[0].Commit
}

// refused fetches what cannot be had, and answers why.
func (w *world) refused(ref *yardarmv1.GitRef) *reach.Error {
	w.Helper()
	return w.refusedWant(Want{Ref: ref})
}

func (w *world) refusedWant(want Want) *reach.Error {
	w.Helper()
	found, err := w.cache.Fetch(w.Context(), w.remote, []Want{want})
	if err == nil {
		err = found[0].Err
	}
	var refused *reach.Error
	if !errors.As(err, &refused) {
		w.Fatalf("the answer is %v", err)
	}
	return refused
}

func (w *world) holds(c *Commit, name, want string) {
	w.Helper()
	if got, err := fs.ReadFile(c.Tree, name); err != nil || string(got) != want {
		w.Errorf("%s holds %q, %v; want %q", name, got, err, want)
	}
}

// TestFetch follows a branch, over a force-push and a restart of the hub.
func TestFetch(t *testing.T) {
	w := newWorld(t)
	noise := rand.NewChaCha8([32]byte{})
	for i := range 50 {
		text := make([]byte, 1000)
		_, _ = noise.Read(text)
		w.Write(fmt.Sprintf("apps/%d.yaml", i), string(text))
	}
	seventh, err := os.ReadFile(filepath.Join(w.Dir, "apps/7.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	first := w.Commit("first: a line\n\nand more", "apps/a.yaml", "one")
	c := w.fetch(nil)
	if c.Hash != first || c.Author != "Ada <ada@example.com>" || c.Subject != "first: a line" || c.Ref != "main" {
		t.Errorf("the commit is %+v", c)
	}
	w.holds(c, "apps/a.yaml", "one")
	if packs := w.server.Packs.Load(); packs != 1 {
		t.Errorf("it took %d packs", packs)
	}

	w.fetch(nil)
	if packs := w.server.Packs.Load(); packs != 1 {
		t.Errorf("what the cache holds was fetched again")
	}
	before := w.cacheSize()
	second := w.Commit("second", "apps/a.yaml", "two")
	c = w.fetch(&yardarmv1.GitRef{Branch: "main"})
	if c.Hash != second {
		t.Errorf("the commit is %s", c.Hash)
	}
	w.holds(c, "apps/a.yaml", "two")
	w.holds(c, "apps/7.yaml", string(seventh))
	if grown := w.cacheSize() - before; grown > 8000 {
		t.Errorf("one changed line of a repository of %d bytes has cost %d", before, grown)
	}

	w.Git("reset", "-q", "--hard", first)
	third := w.Commit("instead", "apps/a.yaml", "three")
	w.Git("reflog", "expire", "--expire=now", "--all")
	w.Git("gc", "-q", "--prune=now")
	if c = w.fetch(nil); c.Hash != third {
		t.Errorf("after a force-push, the commit is %s", c.Hash)
	}
	w.holds(c, "apps/a.yaml", "three")
}

func (w *world) cacheSize() (size int64) {
	w.Helper()
	if err := filepath.WalkDir(w.cache.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	}); err != nil {
		w.Fatal(err)
	}
	return size
}

// A repository of which nothing has changed costs one request, and nothing on the disk.
func TestUnchangedCostsOneRequest(t *testing.T) {
	w := newWorld(t)
	hash := w.Commit("first", "a.yaml", "one")
	found, err := w.cache.Fetch(t.Context(), w.remote, []Want{{Known: hash}, {Ref: &yardarmv1.GitRef{Branch: "main"}, Known: hash}})
	if err != nil || found[0].Commit.Hash != hash || found[1].Commit.Hash != hash {
		t.Fatalf("%+v, %v", found, err)
	}
	if refs, packs := w.server.Refs.Load(), w.server.Packs.Load(); refs != 1 || packs != 0 {
		t.Errorf("it took %d lists of refs and %d packs", refs, packs)
	}
	if _, err := os.Stat(w.cache.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a cache: %v", err)
	}
}

func TestRefs(t *testing.T) {
	w := newWorld(t)
	first := w.Commit("first", "a.yaml", "one")
	w.Git("tag", "v1.2.0")
	second := w.Commit("second", "a.yaml", "two")
	w.Git("tag", "-a", "-m", "signed off", "v1.10.0")
	w.Git("tag", "v2.0.0-rc.1")
	w.Git("branch", "side", first)
	for name, test := range map[string]struct {
		ref        *yardarmv1.GitRef
		hash, name string
	}{
		"a branch":                 {&yardarmv1.GitRef{Branch: "side"}, first, "side"},
		"a tag":                    {&yardarmv1.GitRef{Tag: "v1.2.0"}, first, "v1.2.0"},
		"an annotated tag":         {&yardarmv1.GitRef{Tag: "v1.10.0"}, second, "v1.10.0"},
		"the highest of a range":   {&yardarmv1.GitRef{Semver: "1.x"}, second, "v1.10.0"},
		"a narrow range":           {&yardarmv1.GitRef{Semver: "~1.2"}, first, "v1.2.0"},
		"a commit at a tip":        {&yardarmv1.GitRef{Commit: first}, first, ""},
		"a commit of a tag object": {&yardarmv1.GitRef{Commit: second}, second, ""},
	} {
		if c := w.fetch(test.ref); c.Hash != test.hash || c.Ref != test.name {
			t.Errorf("%s: %s by %q, want %s by %q", name, c.Hash, c.Ref, test.hash, test.name)
		}
	}
	w.Commit("third", "a.yaml", "three")
	w.Git("tag", "-d", "v1.10.0")
	w.Git("tag", "-d", "v2.0.0-rc.1")
	for name, test := range map[string]struct {
		ref  *yardarmv1.GitRef
		says string
	}{
		"a vanished branch":       {&yardarmv1.GitRef{Branch: "gone"}, `no branch "gone"`},
		"a vanished tag":          {&yardarmv1.GitRef{Tag: "v1.10.0"}, `no tag "v1.10.0"`},
		"a range without a tag":   {&yardarmv1.GitRef{Semver: ">=3"}, `no tag that is a version in ">=3"`},
		"a commit that is no tip": {&yardarmv1.GitRef{Commit: second}, "allowReachableSHA1InWant"},
	} {
		if err := w.refused(test.ref); err.Reason != yardarmv1.SourceRefNotFound || !strings.Contains(err.Message, test.says) {
			t.Errorf("%s: %s: %s", name, err.Reason, err.Message)
		}
	}
	w.Git("config", "uploadpack.allowReachableSHA1InWant", "true")
	if c := w.fetch(&yardarmv1.GitRef{Commit: second}); c.Hash != second {
		t.Errorf("the commit is %s", c.Hash)
	}
}

// TestRefusals meets servers that give nothing, each for another reason.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.Commit("first", "a.yaml", "one")
	expect := func(name, reason, says string) {
		t.Helper()
		if err := w.refused(nil); err.Reason != reason || !strings.Contains(err.Message, says) {
			t.Errorf("%s: %s: %s; want %s: …%s…", name, err.Reason, err.Message, reason, says)
		}
	}
	right := w.remote

	w.remote.Dialer = &reach.Dialer{}
	expect("an address of the hub's own machine", yardarmv1.SourceNotAllowed, "127.0.0.1")
	w.remote.Dialer = &reach.Dialer{Local: true, Hosts: []string{"git.example.com", "*.example.org"}}
	expect("a host that is not allowed", yardarmv1.SourceNotAllowed, "--source-host does not allow 127.0.0.1")
	w.remote = right

	w.remote.Credentials.CA = nil
	expect("a CA that nobody knows", yardarmv1.SourceNotTrusted, "is not trusted")
	w.remote = right

	u := *right.URL
	u.Path = "/other"
	w.remote.URL = &u
	expect("no such repository", yardarmv1.SourceNotFound, "has no such repository")
	w.remote = right

	w.server.Allow = func(r *http.Request) bool {
		name, password, _ := r.BasicAuth()
		return name == "ada" && password == "right" || r.Header.Get("Authorization") == "Bearer token"
	}
	expect("no credentials", yardarmv1.SourceDenied, "wants credentials")
	w.remote.Credentials.Username, w.remote.Credentials.Password = "ada", "hunter2"
	expect("wrong credentials", yardarmv1.SourceDenied, "refuses the credentials")
	if err := w.refused(nil); strings.Contains(err.Message, "hunter2") || strings.Contains(fmt.Sprint(errors.Unwrap(err)), "hunter2") {
		t.Errorf("the password is told: %s", err.Message)
	}
	w.remote.Credentials.Password = "right"
	w.fetch(nil)
	w.remote.Credentials = Credentials{Token: "token", CA: right.Credentials.CA}
	w.fetch(nil)
	w.server.Allow = nil
	w.remote = right

	w.cache = &Cache{Dir: w.cache.Dir + "-small", MaxSize: 100}
	expect("a repository that is too large", yardarmv1.SourceTooLarge, "larger than 100 bytes")
	if _, err := os.Stat(w.cache.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was too large is kept: %v", err)
	}
}

// A server is followed on itself, and to nobody else: credentials are meant for it.
func TestRedirects(t *testing.T) {
	w := newWorld(t)
	hash := w.Commit("first", "a.yaml", "one")
	to := ""
	front := gittest.Serve(w.Repository, w.server.TLS.Clone())
	front.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, to+"/info/refs?service=git-upload-pack", http.StatusMovedPermanently)
	})
	inner := w.server.Config.Handler
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/old/") {
			http.Redirect(rw, r, w.server.Repo+"/info/refs?service=git-upload-pack", http.StatusMovedPermanently)
			return
		}
		inner.ServeHTTP(rw, r)
	})
	u := *w.remote.URL
	u.Path = "/old"
	w.remote.URL = &u
	if c := w.fetch(nil); c.Hash != hash {
		t.Errorf("the commit is %s", c.Hash)
	}
	to = w.server.Repo
	w.remote.URL, _ = ParseURL(front.Repo)
	if err := w.refused(nil); err.Reason != yardarmv1.SourceNotAllowed || !strings.Contains(err.Message, "is not followed") {
		t.Errorf("%s: %s", err.Reason, err.Message)
	}
}

// A cache that a crash has left half written, or a disk has damaged, is made anew.
func TestDamagedCache(t *testing.T) {
	w := newWorld(t)
	w.Commit("first", "a.yaml", "one")
	w.fetch(nil)
	packs, err := filepath.Glob(filepath.Join(w.cache.Dir, "objects/pack/*"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	for _, name := range packs {
		if err := os.Chmod(name, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 20); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.cache.Fetch(t.Context(), w.remote, []Want{{}}); err == nil {
		t.Error("nobody says that the cache cannot be read")
	}
	w.holds(w.fetch(nil), "a.yaml", "one")
}

// A cache is begun anew when it has grown beyond what a repository may have.
func TestCacheIsBounded(t *testing.T) {
	w := newWorld(t)
	noise := rand.NewChaCha8([32]byte{})
	w.cache.MaxSize = 20_000
	for i := range 6 {
		text := make([]byte, 8000)
		_, _ = noise.Read(text)
		w.Commit("next", "a.yaml", string(text))
		w.holds(w.fetch(nil), "a.yaml", string(text))
		if size := w.cacheSize(); size > 2*w.cache.MaxSize {
			t.Errorf("after %d commits it has %d bytes", i+1, size)
		}
	}
}

func TestTree(t *testing.T) {
	w := newWorld(t)
	w.Write("base/a.yaml", "a")
	w.Write("base/deep/b.yaml", "b")
	w.Write("overlay/c.yaml", "c")
	for name, to := range map[string]string{
		"overlay/base": "../base", "overlay/a.yaml": "base/a.yaml", "overlay/b.yaml": "../base/deep/../deep/b.yaml", "out": "../..", "abs": "/etc/passwd", "loop": "loop", "gone": "nowhere",
		"base/out.yaml": "../../../etc/passwd",
	} {
		if err := os.Symlink(to, filepath.Join(w.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.Commit("first", "x/y/z.yaml", "z")
	c := w.fetch(nil)
	for name, want := range map[string]string{"overlay/base/a.yaml": "a", "overlay/a.yaml": "a", "overlay/b.yaml": "b", "overlay/base/deep/b.yaml": "b", "x/y/z.yaml": "z"} {
		w.holds(c, name, want)
	}
	for name, says := range map[string]string{
		"out": "out of the repository", "abs": "out of the repository", "base/out.yaml": "out of the repository", "loop": "symbolic links", "gone": "not exist", "none": "not exist",
		"x/y/z.yaml/w": "not exist",
	} {
		if _, err := fs.ReadFile(c.Tree, name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	sub, err := fs.Sub(c.Tree, "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(sub, "y/z.yaml"); err != nil {
		t.Error(err)
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://git.example.com/team/app.git":  "https://git.example.com/team/app.git",
		"git@git.example.com:team/app.git":      "ssh://git@git.example.com/team/app.git",
		"ssh://git.example.com:2222/team/app":   "ssh://git@git.example.com:2222/team/app",
		"ssh://ada@git.example.com/~/app":       "ssh://ada@git.example.com/~/app",
		"":                                      "is missing",
		"http://git.example.com/team/app":       "must begin with https:// or ssh://",
		"file:///etc":                           "must begin with https:// or ssh://",
		"/etc":                                  "must begin with https:// or ssh://",
		"https://git.example.com/":              "names no repository",
		"https:///app":                          "names no host",
		"https://ada:hunter2@git.example.com/a": "make source credentials",
		"https://token@git.example.com/a":       "make source credentials",
		"git@h:-x":                              "begins with -",
		"ssh://git@h/it's":                      "characters in its path",
		"https://h/a?b":                         "a query",
		"https://h/%zz":                         "is no URL",
	} {
		u, err := ParseURL(text)
		switch {
		case err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v", text, err)
		case err == nil && u.String() != want:
			t.Errorf("%s is %s", text, u)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("git@h:p")
	f.Add("https://h/p")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err == nil && (u.Scheme != "https" && u.Scheme != "ssh" || u.Hostname() == "" || strings.ContainsAny(u.Path, "'\n")) {
			t.Errorf("%q is %v", text, u)
		}
	})
}
