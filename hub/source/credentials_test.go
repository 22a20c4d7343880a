package source

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// hides tells whether secrets are in anything that people read: the bundle, events, credentials, the log of changes, and that of the hub.
func (w *world) hides(secrets ...string) {
	w.Helper()
	bundle, err := w.hub.GetBundle(w.Context(), &hubv1.GetBundleRequest{Name: "web"})
	if err != nil {
		w.Fatal(err)
	}
	var events strings.Builder
	for e := range w.hub.Store.Read().Events(0) {
		events.WriteString(e.String())
	}
	kept, err := w.hub.GetSourceCredentials(w.Context(), &hubv1.GetSourceCredentialsRequest{Name: "git"})
	if err != nil {
		w.Fatal(err)
	}
	audit, err := w.hub.ListAudit(w.Context(), &hubv1.ListAuditRequest{})
	if err != nil {
		w.Fatal(err)
	}
	shown := map[string]string{"the bundle": bundle.String(), "an event": events.String(), "the credentials": kept.String(), "the audit log": audit.String()}
	for where, text := range shown {
		if text == "" {
			w.Errorf("%s is empty, and shows nothing either way", where)
		}
	}
	shown["the hub's log"] = w.logged.String() // empty where all went as it should
	for where, text := range shown {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				w.Errorf("%s shows %q", where, secret)
			}
		}
	}
}

// TestLogins follows a repository that is shown to those alone who have a password, or a token. Without the right one, the last good revision stays.
func TestLogins(t *testing.T) {
	w := newWorld(t)
	const password, token, wrong = "the-password-of-ada", "the-token-of-ada", "the-wrong-one"
	w.server.Allow = func(r *http.Request) bool {
		name, given, _ := r.BasicAuth()
		return name == "ada" && given == password || r.Header.Get("Authorization") == "Bearer "+token
	}
	login := func(s *yardarmv1.SourceCredentialsSpec) *yardarmv1.SourceCredentialsSpec {
		s.Urls, s.Ca = []string{w.server.URL}, string(w.server.CA)
		return s
	}
	last := w.Commit("first", "apps/web/a.yaml", configMap("a", "first"))
	w.apply(nil)
	if p := w.untilProblem(yardarmv1.SourceDenied); !strings.Contains(p.Message, "wants credentials (401") {
		t.Errorf("the problem is %v", p)
	}
	w.keep(login(&yardarmv1.SourceCredentialsSpec{Username: "ada", Password: password}))
	w.untilCommit(last)
	for i, test := range []struct {
		wrong, right *yardarmv1.SourceCredentialsSpec
	}{
		{&yardarmv1.SourceCredentialsSpec{Username: "ada", Password: wrong}, &yardarmv1.SourceCredentialsSpec{Username: "ada", Password: password}},
		{&yardarmv1.SourceCredentialsSpec{BearerToken: wrong}, &yardarmv1.SourceCredentialsSpec{BearerToken: token}},
	} {
		next := w.Commit("next", "apps/web/a.yaml", configMap("a", test.right.String()))
		w.keep(login(test.wrong))
		if p := w.untilProblem(yardarmv1.SourceDenied); !strings.Contains(p.Message, "refuses the credentials (401") {
			t.Errorf("the problem is %v", p)
		}
		w.stays(last, uint32(i+1))
		w.keep(login(test.right))
		if b := w.untilCommit(next); b.Status.LatestRevision != uint32(i+2) || b.Status.Source.Problem != nil {
			t.Errorf("the status is %v", b.Status)
		}
		last = next
	}
	w.hides(password, token, wrong, base64.StdEncoding.EncodeToString([]byte("ada:"+password)), base64.StdEncoding.EncodeToString([]byte("ada:"+wrong)))
}

// TestSSH follows a repository by SSH, past another server in its place and a key that is not let in.
func TestSSH(t *testing.T) {
	w := newWorld(t)
	s := gittest.ServeSSH(w.Repository)
	spec := func() *yardarmv1.SourceCredentialsSpec {
		return &yardarmv1.SourceCredentialsSpec{Urls: []string{s.Host + "/"}, PrivateKey: s.Key, KnownHosts: s.KnownHosts}
	}
	w.keep(spec())
	first := w.Commit("first", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(func(from *yardarmv1.Source) { from.GetGit().Url = s.Repo })
	w.untilCommit(first)
	if p := w.revision(1).GetProvenance(); p.Commit != first || p.Source != s.Repo+"//apps/web" {
		t.Errorf("the provenance is %v", p)
	}
	second := w.Commit("second", "apps/web/a.yaml", configMap("a", "two"))
	w.look()
	w.untilCommit(second)
	if !strings.Contains(s.Said(), "Accepted publickey") {
		t.Error("the server has let nobody in")
	}

	s.Rekey()
	third := w.Commit("third", "apps/web/a.yaml", configMap("a", "three"))
	w.look()
	if p := w.untilProblem(yardarmv1.SourceNotTrusted); !strings.Contains(p.Message, "shows another key than the credentials' known hosts hold") {
		t.Errorf("the problem is %v", p)
	}
	w.stays(second, 2)
	if said := s.Said(); strings.Contains(said, "publickey") {
		t.Errorf("a server that is not the right one was shown a key; it says:\n%s", said)
	}
	w.keep(spec())
	w.untilCommit(third)

	fourth := w.Commit("fourth", "apps/web/a.yaml", configMap("a", "four"))
	stranger := spec()
	stranger.PrivateKey, _ = gittest.NewKey(t)
	w.keep(stranger)
	if p := w.untilProblem(yardarmv1.SourceDenied); !strings.Contains(p.Message, "refuses the credentials' key") {
		t.Errorf("the problem is %v", p)
	}
	w.stays(third, 3)
	w.keep(spec())
	if b := w.untilCommit(fourth); b.Status.LatestRevision != 4 || b.Status.Source.Problem != nil {
		t.Errorf("the status is %v", b.Status)
	}
	w.hides(strings.Split(s.Key, "\n")[1], strings.Split(stranger.PrivateKey, "\n")[1])
	for _, known := range []string{"", "git.example.com" + strings.TrimPrefix(s.KnownHosts, strings.Fields(s.KnownHosts)[0])} {
		without := spec()
		without.KnownHosts = known
		if err := w.tryKeep("git", without); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "ssh-keyscan") {
			t.Errorf("known hosts %q: %v", known, err)
		}
	}
}

// TestScope takes credentials from a bundle, and gives them back: by its name, and by its labels. Meanwhile its source is told what is wrong, the last good revision stays,
// and the server is neither asked nor shown anything.
func TestScope(t *testing.T) {
	w := newWorld(t)
	first := w.Commit("first", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	w.untilCommit(first)
	second := w.Commit("second", "apps/web/a.yaml", configMap("a", "two"))
	are := func(scope *yardarmv1.Scope) {
		t.Helper()
		if err := w.tryKeep("git", &yardarmv1.SourceCredentialsSpec{Urls: []string{w.server.URL}, Ca: string(w.server.CA), Bundles: scope}); err != nil {
			t.Fatal(err)
		}
	}
	last, revision := first, uint32(1)
	for _, scope := range []*yardarmv1.Scope{nil, {Names: []string{"other"}}, {Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"team": "web"}}}} {
		refs := w.server.Refs.Load()
		are(scope)
		if p := w.untilProblem(yardarmv1.SourceNotAllowed); !strings.Contains(p.Message, `"git" are not for bundle "web"`) {
			t.Errorf("the problem is %v", p)
		}
		if err := w.tryApply(nil, nil); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "not for bundle") {
			t.Errorf("the bundle was applied: %v", err)
		}
		w.stays(last, revision)
		if scope.GetSelector() == nil {
			are(&yardarmv1.Scope{Names: []string{"web"}})
		} else if err := w.tryApply(map[string]string{"team": "web"}, nil); err != nil {
			t.Fatal(err)
		}
		w.until("recovery", func(b *yardarmv1.Bundle) bool { return b.Status.Source.Problem == nil })
		w.stays(second, 2)
		if n := w.server.Refs.Load() - refs; n != 1 {
			t.Errorf("the server was asked %d times", n)
		}
		last, revision = second, 2
	}
	// Without the label, it is another bundle's again.
	if err := w.tryApply(nil, nil); status.Code(err) != codes.InvalidArgument {
		t.Errorf("the bundle was applied: %v", err)
	}
}

// TestSubmodules follows a repository with a submodule: its server, too, is shown credentials only where they are for its URL.
func TestSubmodules(t *testing.T) {
	w := newWorld(t)
	lib := w.Beside("lib")
	lib.Commit("lib", "a.yaml", configMap("lib", "one"))
	w.Commit("first", "apps/web/kustomization.yaml", "resources: [a.yaml, lib/a.yaml]\n")
	w.Commit("second", "apps/web/a.yaml", configMap("a", "one"))
	commit := w.Submodule("apps/web/lib", "../lib", lib.Git("rev-parse", "HEAD"))
	w.server.Allow = func(r *http.Request) bool {
		name, given, _ := r.BasicAuth()
		return name == "ada" && given == "the-password"
	}
	login := func(url string) *yardarmv1.SourceCredentialsSpec {
		return &yardarmv1.SourceCredentialsSpec{Urls: []string{url}, Username: "ada", Password: "the-password", Ca: string(w.server.CA)}
	}
	w.keep(login(w.server.URL))
	w.apply(nil)
	if p := w.untilProblem(yardarmv1.SourceNotRendered); p.Commit != commit {
		t.Errorf("without submodules, the problem is %v", p)
	}
	w.keep(login(w.server.Repo))
	w.apply(func(s *yardarmv1.Source) { s.GetGit().Submodules = true })
	// Those of another path are not known to the submodule's, and neither is the server's CA.
	if p := w.untilProblem(yardarmv1.SourceNotTrusted); p.Commit != commit || !strings.Contains(p.Message, `submodule "apps/web/lib"`) {
		t.Errorf("the problem is %v", p)
	}
	w.keep(login(w.server.URL))
	if b := w.untilCommit(commit); b.Status.LatestRevision != 1 || w.revision(1).Objects != 2 {
		t.Errorf("the status is %v", b.Status)
	}
}
