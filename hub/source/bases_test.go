package source

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
	"github.com/yardarm-dev/yardarm/pkg/render"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// basesWorld is a world whose bundle is an overlay, and the repository that has its base.
type basesWorld struct {
	*world
	base   *gittest.Repository
	server *gittest.Server
}

func newBasesWorld(t *testing.T, allowed ...string) *basesWorld {
	w := &basesWorld{world: newWorld(t), base: gittest.New(t)}
	w.server = gittest.Serve(w.base, nil)
	w.base.Write("shop/kustomization.yaml", "resources: [a.yaml]\n")
	w.base.Commit("base", "shop/a.yaml", configMap("a", "one"))
	w.base.Git("tag", "v1")
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{w.world.server.URL, w.server.URL}, Ca: string(w.world.server.CA) + string(w.server.CA)})
	for i := range allowed {
		allowed[i] = strings.ReplaceAll(allowed[i], "BASE", w.server.Repo)
	}
	w.configure = func(c *Config) { c.Bases = allowed }
	w.run()
	return w
}

// overlay commits one, of which BASE is the repository of the base.
func (w *basesWorld) overlay(text string) string {
	w.Helper()
	text = strings.ReplaceAll(text, "BASE", w.server.Repo)
	return w.Commit("overlay", "apps/web/kustomization.yaml", text)
}

// TestBases builds an overlay of a base that is in another repository: of a tag, and of a commit, which the revision says.
func TestBases(t *testing.T) {
	w := newBasesWorld(t, "BASE")
	tagged := w.base.Git("rev-parse", "HEAD")
	w.overlay("namePrefix: x-\nresources:\n- BASE//shop?ref=v1\n")
	w.apply(nil)
	w.until("revision", func(b *yardarmv1.Bundle) bool { return b.Status.LatestRevision == 1 })
	if p := w.revision(1).Provenance; len(p.Bases) != 1 || p.Bases[0] != w.server.Repo+"@"+tagged {
		t.Errorf("the provenance is %v", p)
	}
	// What the base has since is another commit, and counts once somebody names it.
	next := w.base.Commit("next", "shop/a.yaml", configMap("a", "two"))
	commit := w.overlay("namePrefix: x-\nresources:\n- git::BASE//shop?ref=" + next + "\ncomponents:\n- BASE//extra?ref=" + next + "\n")
	w.look()
	if p := w.untilProblem(yardarmv1.SourceNotRendered); p.Commit != commit || !strings.Contains(p.Message, "extra") {
		t.Errorf("the problem is %v", p)
	}
	last := w.overlay("namePrefix: x-\nresources:\n- BASE//shop?ref=" + next + "\n")
	w.look()
	w.untilCommit(last) // the look is over
	if p := w.revision(2).Provenance; len(p.Bases) != 1 || p.Bases[0] != w.server.Repo+"@"+next {
		t.Errorf("the provenance is %v", p)
	}
	left, err := os.ReadDir(w.controller.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if strings.HasPrefix(entry.Name(), basesDir) {
			t.Errorf("%s is left", entry.Name())
		}
	}
}

// TestRefusedBases: what the hub's settings do not name is not asked for anything, and the file and the line are told.
func TestRefusedBases(t *testing.T) {
	for name, test := range map[string]struct {
		allowed   []string
		reference string
		reason    string
		words     string
	}{
		"nothing is allowed":   {nil, "BASE//shop?ref=v1", yardarmv1.SourceNotRendered, "its --source-base says from where it may"},
		"elsewhere is":         {[]string{"https://git.example.com/"}, "BASE//shop?ref=v1", yardarmv1.SourceNotAllowed, "the hub's --source-base does not allow it"},
		"beside it":            {[]string{"BASE"}, "BASE2//shop?ref=v1", yardarmv1.SourceNotAllowed, "the hub's --source-base does not allow it"},
		"out of it":            {[]string{"BASE/"}, "BASE/../other//shop?ref=v1", yardarmv1.SourceNotAllowed, "the hub's --source-base does not allow it"},
		"a branch":             {[]string{"BASE"}, "BASE//shop?ref=main", yardarmv1.SourceRefNotFound, `no tag "main"`},
		"no ref":               {[]string{"BASE"}, "BASE//shop", yardarmv1.SourceNotAllowed, "names no tag and no commit"},
		"no such repository":   {[]string{"BASE"}, "BASE/none//shop?ref=v1", yardarmv1.SourceNotFound, ""},
		"out of its directory": {[]string{"BASE"}, "BASE//shop/../../x?ref=v1", yardarmv1.SourceNotAllowed, "leads out of its repository"},
		"another query":        {[]string{"BASE"}, "BASE//shop?ref=v1&submodules=1", yardarmv1.SourceNotAllowed, "?ref= and nothing else"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBasesWorld(t, test.allowed...)
			asked := w.server.Refs.Load()
			hash := w.overlay("resources:\n- " + test.reference + "\n")
			w.apply(nil)
			p := w.untilProblem(test.reason)
			if p.Commit != hash || p.File != "apps/web/kustomization.yaml" || p.Line != 2 || !strings.Contains(p.Message, test.words) {
				t.Errorf("the problem is %v", p)
			}
			if asks := w.server.Refs.Load() > asked; asks && (test.reason == yardarmv1.SourceNotAllowed || test.reason == yardarmv1.SourceNotRendered) {
				t.Error("the server was asked")
			}
		})
	}
}

// Where commits have to be signed, a base is named by one: a tag could be moved by whoever may push to the base.
func TestBasesOfVerifiedSources(t *testing.T) {
	w := newBasesWorld(t, "BASE")
	source := &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{Url: w.world.server.Repo, Credentials: "git", Verify: &yardarmv1.GitVerification{}}}}
	b := &bases{controller: w.controller, source: source}
	defer b.clean()
	if err := b.fetch(t.Context(), w.server.Repo+"//shop?ref=v1"); err == nil || !strings.Contains(err.Error(), "name the commit") {
		t.Errorf("a tag: %v", err)
	}
	if err := b.fetch(t.Context(), w.server.Repo+"//shop?ref="+w.base.Git("rev-parse", "HEAD")); err != nil {
		t.Errorf("a commit: %v", err)
	}
}

// A base that refers to another one gets it by the same rules, and not without end.
func TestBasesOfBases(t *testing.T) {
	w := newBasesWorld(t, "BASE")
	w.base.Commit("nested", "nested/kustomization.yaml", "resources:\n- "+w.server.Repo+"//shop?ref=v1\n")
	w.base.Git("tag", "v2")
	w.overlay("resources:\n- BASE//nested?ref=v2\n")
	w.apply(nil)
	w.until("revision", func(b *yardarmv1.Bundle) bool { return b.Status.LatestRevision == 1 })
	if p := w.revision(1).Provenance; len(p.Bases) != 2 {
		t.Errorf("the provenance is %v", p)
	}
	b := &bases{controller: w.controller, source: &yardarmv1.Source{}, fetched: map[string]render.Base{}}
	defer b.clean()
	for i := range maxBases {
		b.fetched[fmt.Sprint(i)] = render.Base{}
	}
	if err := b.fetch(t.Context(), w.server.Repo+"//shop?ref=v1"); err == nil || !strings.Contains(err.Error(), "more than 16 bases") {
		t.Errorf("one too many: %v", err)
	}
}
