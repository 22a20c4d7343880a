package git

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// withModules wants submodules, whose servers are shown the credentials if they are the repository's own.
func (w *world) withModules() Want {
	return Want{Submodules: &Submodules{Credentials: func(u *url.URL) Credentials {
		if u.Host == w.remote.URL.Host {
			return w.remote.Credentials
		}
		return Credentials{CA: w.remote.Credentials.CA}
	}}}
}

// TestSubmodules reads a repository with submodules in it and in each other, over links between them, as if it were one.
func TestSubmodules(t *testing.T) {
	w := newWorld(t)
	lib, deep := w.Beside("lib"), w.Beside("deep")
	inner := deep.Commit("deep", "d/e.yaml", "deep")
	lib.Commit("lib", "base/a.yaml", "one")
	if err := os.Symlink("../deep/d", filepath.Join(lib.Dir, "base/d")); err != nil {
		t.Fatal(err)
	}
	lib.Commit("link", "b.yaml", "two")
	at := lib.Submodule("deep", "../deep", inner)
	w.Commit("first", "apps/c.yaml", "three")
	if err := os.Symlink("../vendor/lib/base", filepath.Join(w.Dir, "apps/base")); err != nil {
		t.Fatal(err)
	}
	w.Git("add", "-A")
	w.Submodule("vendor/lib", w.server.URL+"/lib", at)
	w.Git("config", "-f", ".gitmodules", "submodule.out.path", "../../lib") // of no entry, as is the next
	w.Git("config", "-f", ".gitmodules", "submodule.none.path", "apps")
	w.Git("commit", "-q", "-a", "-m", "more")

	c := w.fetchWant(w.withModules())
	for name, want := range map[string]string{"vendor/lib/base/a.yaml": "one", "vendor/lib/b.yaml": "two", "vendor/lib/deep/d/e.yaml": "deep", "apps/base/a.yaml": "one",
		"apps/base/d/e.yaml": "deep", "apps/c.yaml": "three"} {
		w.holds(c, name, want)
	}
	entries, err := fs.ReadDir(c.Tree, "vendor")
	if err != nil || len(entries) != 1 || !entries[0].IsDir() {
		t.Errorf("in vendor are %v, %v", entries, err)
	}
	sub, err := fs.Sub(c.Tree, "vendor/lib/deep")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(sub, "d/e.yaml"); err != nil {
		t.Error(err)
	}

	// What is new in a submodule is fetched, and what is not wanted is not there.
	next := lib.Commit("next", "b.yaml", "four")
	w.Submodule("vendor/lib", "../lib", next)
	w.holds(w.fetchWant(w.withModules()), "vendor/lib/b.yaml", "four")
	packs := w.server.Packs.Load()
	w.Commit("no submodule is new", "apps/c.yaml", "five")
	w.holds(w.fetchWant(w.withModules()), "vendor/lib/deep/d/e.yaml", "deep")
	if n := w.server.Packs.Load() - packs; n != 1 {
		t.Errorf("it took %d packs", n)
	}
	w.cache = &Cache{Dir: w.cache.Dir + "-without"}
	c = w.fetch(nil)
	if _, err := fs.ReadFile(c.Tree, "vendor/lib/b.yaml"); err == nil || !strings.Contains(err.Error(), "spec.source.git.submodules") {
		t.Errorf("without submodules: %v", err)
	}
	if entries, err := fs.ReadDir(c.Tree, "vendor"); err != nil || len(entries) != 0 {
		t.Errorf("without submodules, in vendor are %v, %v", entries, err)
	}
}

// TestSubmoduleRefusals meets commits that name what may not be asked, or too much. Each is a problem of that commit, and says of which submodule.
func TestSubmoduleRefusals(t *testing.T) {
	w := newWorld(t)
	lib := w.Beside("lib")
	lib.Git("config", "uploadpack.allowReachableSHA1InWant", "true")
	old := lib.Commit("old", "a.yaml", "one")
	tip := lib.Commit("tip", "a.yaml", "two")
	first := w.Commit("first", "a.yaml", "one")
	elsewhere := gittest.New(t)
	hidden := elsewhere.Commit("hidden", "a.yaml", "one")
	other := gittest.Serve(elsewhere, nil)
	shown := false
	other.Allow = func(r *http.Request) bool {
		_, _, basic := r.BasicAuth()
		shown = shown || basic || r.Header.Get("Authorization") != ""
		return false
	}
	w.remote.Credentials.Username, w.remote.Credentials.Password = "ada", "hunter2"
	for _, test := range []struct {
		name, reason, says string
		make               func()
	}{
		{"an old one, of a server that gives it", "", "", func() { w.Submodule("lib", "../lib", old) }},
		{"one that is not there", yardarmv1.SourceNotFound, `submodule "lib", from 127.0.0.1`, func() { w.Submodule("lib", "../none", tip) }},
		{"a commit that is not there", yardarmv1.SourceUnreachable, `submodule "lib"`, func() { w.Submodule("lib", "../lib", strings.Repeat("1", 40)) }},
		{"a file", yardarmv1.SourceNotAllowed, `the URL of submodule "lib" must begin with https://`, func() { w.Submodule("lib", "file:///etc", tip) }},
		{"not encrypted", yardarmv1.SourceNotAllowed, "must begin with https://", func() { w.Submodule("lib", "http://127.0.0.1/lib", tip) }},
		{"with a password", yardarmv1.SourceNotAllowed, "holds a name or a password", func() { w.Submodule("lib", "https://ada:secret@git.example.com/lib", tip) }},
		{"out of its host", yardarmv1.SourceNotAllowed, "leads out of its host", func() { w.Submodule("lib", "../../../etc", tip) }},
		{"a host that is not allowed", yardarmv1.SourceNotAllowed, "--source-host does not allow localhost", func() { w.Submodule("lib", strings.Replace(w.server.URL, "127.0.0.1", "localhost", 1)+"/lib", tip) }},
		{"by SSH, without a key for it", yardarmv1.SourceNoCredentials, "SSH wants a private key", func() { w.Submodule("lib", "git@git.example.com:lib", tip) }},
		{"of another server", yardarmv1.SourceDenied, "wants credentials", func() { w.Submodule("lib", other.Repo, hidden) }},
		{"too many", yardarmv1.SourceTooLarge, "more than 32 submodules", func() {
			for i := range maxSubmodules + 1 {
				w.Submodule(fmt.Sprintf("lib-%d", i), "../lib", tip)
			}
		}},
		{"too deep", yardarmv1.SourceTooLarge, `more than 4 in each other, with "lib/lib/lib/lib/lib"`, func() {
			at := tip
			for range maxSubmoduleDepth {
				at = lib.Submodule("lib", "../lib", at)
			}
			w.Submodule("lib", "../lib", at)
		}},
		{"a list that is too long", yardarmv1.SourceTooLarge, ".gitmodules is no file of at most", func() { w.Commit("long", ".gitmodules", strings.Repeat("#", maxModulesFile+1)) }},
		{"a list that is none", yardarmv1.SourceNotRendered, ".gitmodules cannot be read", func() { w.Commit("none", ".gitmodules", "[submodule \"a") }},
	} {
		w.Git("reset", "-q", "--hard", first)
		test.make()
		w.remote.Dialer = &reach.Dialer{Local: true, Hosts: []string{"127.0.0.1", "git.example.com"}}
		if test.reason == "" {
			w.holds(w.fetchWant(w.withModules()), "lib/a.yaml", "one")
			continue
		}
		err := w.refusedWant(w.withModules())
		if err.Reason != test.reason || !strings.Contains(err.Message, test.says) || strings.Contains(err.Message, "secret") {
			t.Errorf("%s: %s: %s", test.name, err.Reason, err.Message)
		}
	}
	if shown {
		t.Error("another server was shown the credentials")
	}
}

// Caches of submodules are those of the newest commit, and bounded together.
func TestSubmodulesAreBounded(t *testing.T) {
	w := newWorld(t)
	noise := rand.NewChaCha8([32]byte{})
	lib := w.Beside("lib")
	text := make([]byte, 8000)
	_, _ = noise.Read(text)
	tip := lib.Commit("large", "a", string(text))
	first := w.Commit("first", "a.yaml", "one")
	w.cache.MaxSize = 20_000
	for _, name := range []string{"one", "two"} {
		w.Git("reset", "-q", "--hard", first)
		w.Submodule(name, "../lib", tip)
		w.fetchWant(w.withModules())
		if entries, err := os.ReadDir(w.cache.modules()); err != nil || len(entries) != 1 {
			t.Errorf("with submodule %s, there are caches %v, %v", name, entries, err)
		}
	}
	for i := range 10 {
		w.Submodule(fmt.Sprint("lib-", i), "../lib", tip)
	}
	if err := w.refusedWant(w.withModules()); err.Reason != yardarmv1.SourceTooLarge || !strings.Contains(err.Message, "larger than 80000 bytes together") {
		t.Errorf("%s: %s", err.Reason, err.Message)
	}
	if size := w.cacheSize(); size > 80_000 {
		t.Errorf("%d bytes are kept", size)
	}
}

func TestSubmoduleURL(t *testing.T) {
	for _, test := range []struct{ from, text, want string }{
		{"https://git.example.com/team/app.git", "../lib.git", "https://git.example.com/team/lib.git"},
		{"https://git.example.com/team/app/", "../../other/lib", "https://git.example.com/other/lib"},
		{"https://git.example.com/team/app", "./lib", "https://git.example.com/team/app/lib"},
		{"https://git.example.com/app", "../lib", "https://git.example.com/lib"},
		{"https://git.example.com/app", "../../lib", "leads out"},
		{"https://git.example.com/team/app", "../lib/../../../x", "goes up"},
		{"https://git.example.com/team/app", "../", "names no repository"},
		{"https://git.example.com/team/app", "../it's", "not for names"},
		{"git@git.example.com:team/app", "../lib", "ssh://git@git.example.com/team/lib"},
		{"git@git.example.com:team/app", "../../lib", "ssh://git@git.example.com/lib"},
		{"ssh://ada@git.example.com:2222/srv/app", "../lib", "ssh://ada@git.example.com:2222/srv/lib"},
		{"https://git.example.com/app", "git@other.example.com:lib", "ssh://git@other.example.com/lib"},
		{"https://git.example.com/app", "/etc", "must begin with"},
		{"https://git.example.com/app", "ext::sh -c id", "must begin with"},
		{"https://git.example.com/app", "--upload-pack=id", "must begin with"},
	} {
		from, err := ParseURL(test.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := submoduleURL(from, test.text)
		if err != nil && !strings.Contains(err.Error(), test.want) || err == nil && to.String() != test.want {
			t.Errorf("%s beside %s is %v, %v; want %s", test.text, test.from, to, err, test.want)
		}
	}
}

func FuzzSubmoduleURL(f *testing.F) {
	f.Add("../lib")
	f.Add("./a/../../b")
	f.Add("..//..")
	f.Fuzz(func(t *testing.T, text string) {
		from := &url.URL{Scheme: "https", Host: "git.example.com", Path: "/team/app"}
		to, err := submoduleURL(from, text)
		if err != nil {
			return
		}
		if relative := strings.HasPrefix(text, "."); relative && to.Host != from.Host || strings.Contains(to.Path+"/", "/../") && relative {
			t.Errorf("%q leads to %s", text, to)
		}
	})
}
