package source

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/hub/source/credentials"
	"github.com/yardarm-dev/yardarm/hub/source/git"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/pkg/render"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxBases is how many bases elsewhere one bundle may refer to: each is fetched for each of its revisions.
	maxBases = 16
	// baseTime is how long one may take to be fetched: other bundles wait meanwhile for their turn to be rendered.
	baseTime = time.Minute
	// basesDir begins the names of directories that bases are fetched into while they are rendered. What a crash has left of them is removed when the hub starts.
	basesDir = ".bases-"
)

// bases are what the kustomizations of one commit refer to elsewhere. They are fetched when it turns out that they are needed, by the hub and never by Kustomize, and only from
// where the hub's settings allow it.
type bases struct {
	controller *Controller
	// source is the bundle's. Its credentials are shown to those servers that they are for.
	source  *yardarmv1.Source
	dir     string // empty before the first
	fetched map[string]render.Base
	// commits are what was fetched, as URL@COMMIT.
	commits []string
}

// render renders, and fetches what that takes.
func (b *bases) render(ctx context.Context, in render.Input) (render.Output, error) {
	for {
		in.Bases = b.fetched
		out, err := render.Render(ctx, in)
		var away *render.Elsewhere
		if !errors.As(err, &away) {
			return out, err
		}
		problem := away.Problem
		if len(b.controller.Bases) == 0 {
			problem.Message += ", or have the hub fetch it: its --source-base says from where it may"
			return render.Output{}, problem
		}
		if err := b.fetch(ctx, away.Ref); err != nil {
			problem.Message, problem.Err = fmt.Sprintf("%s is elsewhere: %s", away.Address, err), err
			return render.Output{}, problem
		}
	}
}

// clean removes what was fetched.
func (b *bases) clean() {
	if b.dir == "" {
		return
	}
	if err := os.RemoveAll(b.dir); err != nil {
		b.controller.Logger.Warn("the bases of a source were not removed", "error", err)
	}
}

// fetch gets what a reference leads to.
func (b *bases) fetch(ctx context.Context, ref string) (err error) {
	if _, again := b.fetched[ref]; again {
		return errors.New("a base that was fetched is asked for again")
	}
	repository, dir, at, err := parseBase(ref)
	if err != nil {
		return reach.Failed(yardarmv1.SourceNotAllowed, "the reference %w", err)
	}
	if !credentials.Allow(b.controller.Bases, repository) {
		return reach.Failed(yardarmv1.SourceNotAllowed, "the hub's --source-base does not allow it")
	}
	if b.source.GetGit().GetVerify() != nil && at.GetCommit() == "" {
		return reach.Failed(yardarmv1.SourceNotAllowed, "a tag is no commit that anybody has signed for; the source's commits are verified, so name the commit in ?ref=")
	}
	if len(b.fetched) == maxBases {
		return reach.Failed(yardarmv1.SourceTooLarge, "there are more than %d bases elsewhere", maxBases)
	}
	remote, err := b.remote(repository)
	if err != nil {
		return err
	}
	if b.dir == "" {
		if err := os.MkdirAll(b.controller.Dir, 0o700); err != nil {
			return err
		}
		if b.dir, err = os.MkdirTemp(b.controller.Dir, basesDir); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, baseTime)
	defer cancel()
	cache := &git.Cache{Dir: filepath.Join(b.dir, fmt.Sprint(len(b.fetched))), MaxSize: b.controller.MaxSize}
	found, err := cache.Fetch(ctx, remote, []git.Want{{Ref: at}})
	if err == nil {
		err = found[0].Err
	}
	if err != nil {
		return err
	}
	if b.fetched == nil {
		b.fetched = make(map[string]render.Base)
	}
	hash := found[0].Commit.Hash
	b.fetched[ref] = render.Base{Name: strings.TrimPrefix(repository, "https://") + "@" + hash[:min(len(hash), 8)], FS: found[0].Commit.Tree, Dir: dir}
	if commit := repository + "@" + hash; !slices.Contains(b.commits, commit) {
		b.commits = append(b.commits, commit)
	}
	return nil
}

// remote is where a base is, with the source's credentials if they are for it.
func (b *bases) remote(repository string) (git.Remote, error) {
	remote, _, err := b.controller.remote(place{kind: kindGit, url: repository, credentials: b.source.Origin().GetCredentials()})
	var refused *reach.Error
	if errors.As(err, &refused) && refused.Reason == yardarmv1.SourceNotAllowed {
		remote, _, err = b.controller.remote(place{kind: kindGit, url: repository})
	}
	return remote, err
}

// parseBase takes a reference of a kustomization apart, as in "https://git.example.com/team/base.git//overlays/prod?ref=v1.2.0". It has to name a tag or a commit: nobody here would
// notice that a branch has moved.
func parseBase(ref string) (repository, dir string, at *yardarmv1.GitRef, err error) {
	text := strings.TrimPrefix(ref, "git::")
	text, query, _ := strings.Cut(text, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "", nil, errors.New("has a query that is none")
	}
	named := values.Get("ref")
	delete(values, "ref")
	switch {
	case len(values) > 0:
		return "", "", nil, errors.New("may have ?ref= and nothing else in its query")
	case named == "":
		return "", "", nil, errors.New("names no tag and no commit, as in ?ref=v1.2.0: a branch would move without anybody noticing")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "https" && scheme != "ssh" {
		return "", "", nil, errors.New("has to be https://HOST/REPOSITORY//DIRECTORY?ref=TAG, or ssh://")
	}
	rest, dir, _ = strings.Cut(rest, "//")
	if before, after, cut := strings.Cut(rest, ".git/"); cut && dir == "" {
		rest, dir = before+".git", after
	}
	repository = scheme + "://" + rest
	if _, err := git.ParseURL(repository); err != nil {
		return "", "", nil, err
	}
	if strings.HasPrefix(dir, "/") || slices.Contains(strings.Split(dir, "/"), "..") {
		return "", "", nil, errors.New("leads out of its repository")
	}
	if _, err := hex.DecodeString(named); err == nil && len(named) == 40 {
		return repository, dir, &yardarmv1.GitRef{Commit: named}, nil
	}
	return repository, dir, &yardarmv1.GitRef{Tag: named}, nil
}
