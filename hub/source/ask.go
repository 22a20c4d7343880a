package source

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/source/archive"
	"github.com/yardarm-dev/yardarm/hub/source/chart"
	"github.com/yardarm-dev/yardarm/hub/source/git"
	"github.com/yardarm-dev/yardarm/hub/source/oci"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// finding is what a source has come to, of whatever kind it is.
type finding struct {
	// commit is that of a repository, digest that of a chart or an artifact: one of them is set where anything was found.
	commit, digest               string
	ref, author, subject, signer string
	// tree is what is to be rendered; nil where that was known, or err is not nil.
	tree fs.FS
	err  error
}

// mark is what the same finding is known by the next time.
func (f finding) mark() string { return cmp.Or(f.commit, f.digest) }

// ask asks a job's server what there is now for each follower. An error is about all of them.
func (c *Controller) ask(ctx context.Context, j job) ([]finding, error) {
	ctx, span := c.Tracer.Start(ctx, "fetch")
	defer span.End()
	switch j.place.kind {
	case kindHelm:
		return c.askCharts(ctx, j)
	case kindOCI:
		return c.askRegistry(ctx, j)
	}
	return c.askGit(ctx, j)
}

func (c *Controller) askGit(ctx context.Context, j job) ([]finding, error) {
	remote, login, err := c.remote(j.place)
	if err != nil {
		return nil, err
	}
	wants := make([]git.Want, len(j.followers))
	for i, f := range j.followers {
		wants[i] = git.Want{Ref: f.source.GetGit().GetRef(), Known: j.marks[i], Verify: f.source.GetGit().GetVerify()}
		if f.source.GetGit().GetSubmodules() {
			wants[i].Submodules = &git.Submodules{Credentials: login}
		}
	}
	cache := &git.Cache{Dir: c.cacheOf(j.place), MaxSize: c.MaxSize}
	found, err := cache.Fetch(ctx, remote, wants)
	out := make([]finding, len(found))
	for i, f := range found {
		if at := f.Commit; at != nil {
			out[i] = finding{commit: at.Hash, ref: at.Ref, author: at.Author, subject: at.Subject, signer: at.Signer, tree: at.Tree}
		}
		out[i].err = f.Err
	}
	return out, err
}

func (c *Controller) askCharts(ctx context.Context, j job) ([]finding, error) {
	login, err := c.login(j.place)
	if err != nil {
		return nil, err
	}
	u, err := chart.ParseURL(j.place.url)
	if err != nil {
		return nil, reach.Failed(yardarmv1.SourceNotFound, "the URL %w", err)
	}
	wants := make([]chart.Want, len(j.followers))
	for i, f := range j.followers {
		wants[i] = chart.Want{Chart: f.source.GetHelm().GetChart(), Version: f.source.GetHelm().GetVersion(), Known: j.marks[i]}
	}
	return archived(j.repository.charts.Fetch(ctx, chart.Server{URL: u, Login: login, Dialer: &c.Dialer}, wants))
}

func (c *Controller) askRegistry(ctx context.Context, j job) ([]finding, error) {
	login, err := c.login(j.place)
	if err != nil {
		return nil, err
	}
	wants := make([]oci.Want, len(j.followers))
	for i, f := range j.followers {
		wants[i] = oci.Want{Ref: f.source.GetOci().GetRef(), Known: j.marks[i]}
	}
	return archived(oci.Fetch(ctx, oci.Server{URL: j.place.url, Login: login, Dialer: &c.Dialer}, c.archives(j.place), wants))
}

func archived(found []archive.Found, err error) ([]finding, error) {
	out := make([]finding, len(found))
	for i, f := range found {
		out[i] = finding{digest: f.Digest, ref: f.Ref, tree: f.Tree, err: f.Err}
	}
	return out, err
}

func (c *Controller) cacheOf(p place) string { return filepath.Join(c.Dir, p.dir()) }

func (c *Controller) archives(p place) *archive.Cache {
	return &archive.Cache{Dir: c.cacheOf(p), MaxSize: c.MaxSize}
}

// clear removes what was fetched of a place, which cannot be read.
func (c *Controller) clear(p place) error {
	if err := os.RemoveAll(c.cacheOf(p)); err != nil {
		return fmt.Errorf("clear what was fetched of a source: %w", err)
	}
	return nil
}

// pathOf is the directory of what was found that is rendered.
func pathOf(s *yardarmv1.Source) string { return cmp.Or(s.GetGit().GetPath(), s.GetOci().GetPath()) }

// nameOf is what a revision's provenance says of its source: the URL, and what there it is.
func nameOf(s *yardarmv1.Source) string {
	return strings.TrimSuffix(s.Origin().GetUrl()+"//"+cmp.Or(pathOf(s), s.GetHelm().GetChart()), "//")
}
