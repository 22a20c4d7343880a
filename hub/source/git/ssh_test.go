package git

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// newSSHWorld is a repository behind OpenSSH's server, and a cache of it.
func newSSHWorld(t *testing.T) (*world, *gittest.SSHServer) {
	r := gittest.New(t)
	s := gittest.ServeSSH(r)
	w := &world{Repository: r, cache: &Cache{Dir: filepath.Join(t.TempDir(), "cache")}}
	w.remote = Remote{URL: w.parse(s.Repo), Credentials: Credentials{Key: []byte(s.Key), KnownHosts: []byte(s.KnownHosts)}, Dialer: &reach.Dialer{Local: true}}
	return w, s
}

func (w *world) parse(text string) *url.URL {
	w.Helper()
	u, err := ParseURL(text)
	if err != nil {
		w.Fatal(err)
	}
	return u
}

// TestSSH follows a branch by SSH: over a force-push, with no more than what is new each time, and one connection where nothing is.
func TestSSH(t *testing.T) {
	w, s := newSSHWorld(t)
	large := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large)
	w.Write("apps/large.yaml", string(large))
	first := w.Commit("first", "apps/a.yaml", "one")
	w.holds(w.fetch(nil), "apps/a.yaml", "one")
	before := w.cacheSize()
	w.Commit("second", "apps/a.yaml", "two")
	c := w.fetch(&yardarmv1.GitRef{Branch: "main"})
	w.holds(c, "apps/a.yaml", "two")
	w.holds(c, "apps/large.yaml", string(large))
	if grown := w.cacheSize() - before; grown > 8000 {
		t.Errorf("one changed line of a repository of %d bytes has cost %d", before, grown)
	}
	w.Git("reset", "-q", "--hard", first)
	third := w.Commit("instead", "apps/a.yaml", "three")
	w.holds(w.fetch(nil), "apps/a.yaml", "three")

	connections := s.Connections.Load()
	found, err := w.cache.Fetch(t.Context(), w.remote, []Want{{Known: third}})
	if err != nil || found[0].Commit.Hash != third {
		t.Fatalf("%+v, %v", found, err)
	}
	if n := s.Connections.Load() - connections; n != 1 {
		t.Errorf("a poll took %d connections", n)
	}
}

// Paths may begin at home: those that say so, and those of Git's own form.
func TestSSHHome(t *testing.T) {
	w, s := newSSHWorld(t)
	hash := w.Commit("first", "a.yaml", "one")
	w.remote.URL = w.parse(s.Host + "/~/repo")
	if c := w.fetch(nil); c.Hash != hash {
		t.Errorf("the commit is %s", c.Hash)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Rel(me.HomeDir, w.Dir)
	if err != nil {
		t.Fatal(err)
	}
	short := w.parse(me.Username + "@127.0.0.1:" + below)
	short.Host = w.remote.URL.Host // that form has no place for a port
	w.remote.URL = short
	if c := w.fetch(nil); c.Hash != hash {
		t.Errorf("the commit is %s", c.Hash)
	}
}

// TestSSHRefusals meets servers that are not the right one, or do not take the hub for the right one. What a server is not known for, it learns nothing.
func TestSSHRefusals(t *testing.T) {
	w, s := newSSHWorld(t)
	w.Commit("first", "a.yaml", "one")
	right := w.remote
	const asked = "userauth-request for user"
	_, old := gittest.NewOldKey(t)
	here := strings.Fields(s.KnownHosts)[0]
	for _, test := range []struct {
		name, reason, says string
		change             func()
		connects, asks     bool
	}{
		{"the right server", "", "", func() {}, true, true},
		{"another key of its own", yardarmv1.SourceNotTrusted, "shows another key", func() { s.Rekey() }, true, false},
		{"another key, of the older kind", yardarmv1.SourceNotTrusted, "shows another key", func() { w.remote.Credentials.KnownHosts = []byte(here + " " + old) }, true, false},
		{"no key of the known kind", yardarmv1.SourceNotTrusted, "shows another key", func() { w.remote.Credentials.KnownHosts = []byte("@cert-authority " + s.KnownHosts) }, true, false},
		{"a revoked key", yardarmv1.SourceNotTrusted, "shows another key", func() {
			w.remote.Credentials.KnownHosts = []byte(s.KnownHosts + "@revoked * " + strings.TrimPrefix(s.KnownHosts, here))
		}, true, false},
		{"a key of another server", yardarmv1.SourceNotTrusted, "hold no key of 127.0.0.1", func() {
			w.remote.Credentials.KnownHosts = []byte("git.example.com " + old)
		}, false, false},
		{"no known hosts", yardarmv1.SourceNotTrusted, "`ssh-keyscan -p ", func() { w.remote.Credentials.KnownHosts = nil }, false, false},
		{"no key", yardarmv1.SourceNoCredentials, "wants a private key", func() { w.remote.Credentials.Key = nil }, false, false},
		{"another key", yardarmv1.SourceDenied, "refuses the credentials' key", func() {
			key, _ := gittest.NewKey(t)
			w.remote.Credentials.Key = []byte(key)
		}, true, true},
		{"no such repository", yardarmv1.SourceNotFound, "has no such repository", func() { w.remote.URL = w.parse(s.Host + "/none") }, true, true},
		{"an address of the hub's own machine", yardarmv1.SourceNotAllowed, "127.0.0.1", func() { w.remote.Dialer = &reach.Dialer{} }, false, false},
		{"a key among those of other servers", "", "", func() {
			w.remote.Credentials.KnownHosts = []byte("# ours\ngit.example.com " + old + s.KnownHosts)
		}, true, true},
	} {
		w.remote = right
		w.remote.Credentials.KnownHosts = []byte(s.KnownHosts)
		connections := s.Connections.Load()
		if test.change(); test.reason == "" {
			w.fetch(nil)
		} else if err := w.refused(nil); err.Reason != test.reason || !strings.Contains(err.Message, test.says) {
			t.Errorf("%s: %s: %s; want %s: …%s…", test.name, err.Reason, err.Message, test.reason, test.says)
		}
		if got := s.Connections.Load() != connections; got != test.connects {
			t.Errorf("%s: was it called: %v", test.name, got)
		}
		if test.connects {
			if log := s.Said(); strings.Contains(log, asked) != test.asks {
				t.Errorf("%s: did the server see who calls: %v; it says:\n%s", test.name, !test.asks, log)
			}
		}
	}
}

// A server that takes calls and says nothing holds up nobody for longer than was meant.
func TestSilentServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	key, public := gittest.NewKey(t)
	u, err := ParseURL("ssh://" + listener.Addr().String() + "/repo")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	remote := Remote{URL: u, Credentials: Credentials{Key: []byte(key), KnownHosts: []byte("[127.0.0.1]:" + u.Port() + " " + public)}, Dialer: &reach.Dialer{Local: true}}
	_, err = (&Cache{Dir: t.TempDir()}).Fetch(ctx, remote, []Want{{}})
	var refused *reach.Error
	if !errors.As(err, &refused) || refused.Reason != yardarmv1.SourceUnreachable || !strings.Contains(refused.Message, "did not answer in time") {
		t.Errorf("the answer is %v", err)
	}
}

func TestCheckKnownHosts(t *testing.T) {
	_, key := gittest.NewKey(t)
	for _, test := range []struct{ known, url, says string }{
		{"git.example.com " + key, "git@git.example.com:team/", ""},
		{"git.example.com " + key, "https://other.example.com/", ""},
		{"*.example.com " + key, "ssh://git.example.com:2222/team", ""},
		{"[git.example.com]:2222 " + key, "ssh://git.example.com:2222/team", ""},
		{"@cert-authority *.example.com " + key, "git@git.example.com:team/", ""},
		{"git.example.com " + key, "ssh://git.example.com:2222/team", "hold no key of git.example.com:2222 (`ssh-keyscan -p 2222 git.example.com` prints them"},
		{"other.example.com " + key, "git@git.example.com:team/", "`ssh-keyscan git.example.com` prints them"},
		{"# none", "git@git.example.com:team/", "hold no key of git.example.com"},
		{"git.example.com", "git@git.example.com:team/", "as ssh-keyscan prints them"},
		{"git.example.com ssh-rsa " + strings.Fields(key)[1], "git@git.example.com:team/", "as ssh-keyscan prints them"},
	} {
		err := CheckKnownHosts([]byte(test.known), []string{test.url})
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s for %s: %v, want %q", test.known, test.url, err, test.says)
		}
	}
}
