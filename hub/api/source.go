package api

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/source/git"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/render"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// minInterval and maxInterval bound how often a source is asked, as the proto says.
	minInterval = 10 * time.Second
	maxInterval = 24 * time.Hour
	// maxRef is the longest name of a branch or tag, in bytes: what servers take.
	maxRef = 255
)

var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// source checks where a bundle's revisions come from.
func (c checker) source(s *yardarmv1.Source) {
	if s == nil {
		return
	}
	g := s.GetGit()
	if g == nil {
		c.add("git", "is missing: a source is a Git repository")
		return
	}
	if err := render.Check(s.GetRendering()); err != nil {
		field, message, _ := strings.Cut(err.Error(), ": ")
		c.add("rendering."+field, message)
	}
	at := c.at("git.")
	if _, err := git.ParseURL(g.GetUrl()); err != nil {
		at.add("url", err.Error())
	}
	at.at("ref.").gitRef(g.GetRef())
	if p := g.GetPath(); len(p) > maxPath || path.IsAbs(p) || strings.HasPrefix(path.Clean(p), "..") || strings.ContainsAny(p, "\\\x00") {
		at.add("path", "is no path within the repository, such as apps/web")
	}
	if i := g.GetInterval(); i != nil && (i.CheckValid() != nil || i.AsDuration() < minInterval || i.AsDuration() > maxInterval) {
		at.add("interval", fmt.Sprintf("must be %s to %s; webhooks are quicker than any", minInterval, maxInterval))
	}
	if g.GetCredentials() != "" {
		at.name("credentials", g.GetCredentials())
	}
}

func (c checker) gitRef(r *yardarmv1.GitRef) {
	named := slices.DeleteFunc([]string{r.GetBranch(), r.GetTag(), r.GetSemver(), r.GetCommit()}, func(s string) bool { return s == "" })
	if len(named) > 1 {
		c.add("branch", "is one of several that are given; a ref is one of branch, tag, semver and commit")
	}
	for field, name := range map[string]string{"branch": r.GetBranch(), "tag": r.GetTag()} {
		if len(name) > maxRef || strings.ContainsAny(name, " ~^:?*[\\\x00\n") || strings.HasPrefix(name, "refs/") {
			c.add(field, fmt.Sprintf("%q is no name of a %s", clip(name), field))
		}
	}
	if r.GetSemver() != "" {
		if _, err := semver.NewConstraint(r.GetSemver()); err != nil {
			c.add("semver", fmt.Sprintf("%q is no range of versions, such as 1.x", clip(r.GetSemver())))
		}
	}
	if r.GetCommit() != "" && !commitHash.MatchString(r.GetCommit()) {
		c.add("commit", "must be all 40 hexadecimal digits of one")
	}
}

// fromSource refuses a publication by hand: the next commit would undo it, and nobody would know why.
func fromSource(b *yardarmv1.Bundle) error {
	return precondition(reasonFromSource, yardarmv1.KindBundle, b.Metadata.Name, fmt.Sprintf(
		"bundle %q gets its revisions from %s; change it there, or apply the bundle without spec.source to publish by hand (`yardarm undo` returns to an earlier revision either way)",
		b.Metadata.Name, b.GetSpec().GetSource().GetGit().GetUrl()))
}

// sourceConditions tell of a source that fails.
func sourceConditions(s *yardarmv1.SourceStatus) []*yardarmv1.Condition {
	p := s.GetProblem()
	if p == nil {
		return nil
	}
	return []*yardarmv1.Condition{{Type: "Sourced", Status: yardarmv1.ConditionFalse, Reason: p.Reason, Message: p.Message, LastTransitionTime: p.Since}}
}

// SourcePublication is what the source of a bundle has come to.
type SourcePublication struct {
	BundleUID, Bundle string
	// Source is what the bundle had when it was looked at; if it has another one by now, nothing is published.
	Source     *yardarmv1.Source
	Files      []manifest.File
	Provenance *yardarmv1.Provenance
}

// PublishSource publishes a revision from a bundle's source, by the rules of PublishRevision, unless the bundle has the same objects already. held says why the bundle does
// not run them though nothing is wrong: somebody has returned to an earlier revision, which stays until the source has something new. An error that [Refused] knows is for
// whoever looks after the source.
func (s *Server) PublishSource(ctx context.Context, p SourcePublication) (held string, err error) {
	who := authz.OfSource(p.Bundle)
	ctx = context.WithValue(ctx, callKey{}, call{who: who, need: needs[hubv1.FleetService_PublishRevision_FullMethodName]})
	ctx = store.WithAuthor(ctx, store.Author{Who: who.Actor()})
	a, err := s.parse(ctx, p.Files)
	if err != nil {
		return "", err
	}
	if held, done := s.sourced(s.store.Read(), who.Actor(), p, a); done {
		return held, nil // the usual case, for which nothing has to be written
	}
	uid, err := s.newUID()
	if err != nil {
		return "", err
	}
	publication := &hubv1.Publication{Bundle: p.Bundle}
	_, err = transact(ctx, s, publication, func(c *change) (func(view) *hubv1.PublishRevisionResponse, error) {
		show := as(&hubv1.PublishRevisionResponse{})
		var done bool
		if held, done = s.sourced(&c.ReadTx, c.actor, p, a); done {
			return show, nil
		}
		next := proto.CloneOf(c.Bundle(p.BundleUID))
		if err := a.put(c); err != nil {
			return nil, err
		}
		if _, err := c.addRevision(next, uid, a.content, proto.CloneOf(p.Provenance)); err != nil {
			return nil, err
		}
		if err := c.PutBundle(next); err != nil {
			return nil, err
		}
		return show, checkClaims(&c.ReadTx, next)
	})
	return held, err
}

// sourced tells whether there is nothing to publish.
func (s *Server) sourced(tx *store.ReadTx, actor string, p SourcePublication, a *artifact) (held string, done bool) {
	b := tx.Bundle(p.BundleUID)
	if b == nil || !proto.Equal(b.GetSpec().GetSource(), p.Source) {
		return "", true // it is looked at anew
	}
	current := tx.Revision(p.BundleUID, b.GetStatus().GetLatestRevision())
	if current == nil {
		return "", false
	}
	if sameContent(current.Spec, snapshot(b.Spec, a.content)) {
		return "", true
	}
	for r := range tx.Revisions(p.BundleUID) {
		if r.GetSpec().GetProvenance().GetActor() != actor {
			continue
		}
		if r.Spec.Digest != a.row.Digest || r == current {
			return "", false
		}
		return fmt.Sprintf("%s has returned from revision %d to an earlier one, which stays until the source has something else",
			current.GetSpec().GetProvenance().GetActor(), r.Spec.Number), true
	}
	return "", false
}

// Refused tells whether an error is for the caller rather than the hub's fault, and what to tell them.
func Refused(err error) (message string, ok bool) {
	st, ok := toStatus(err, "")
	return st.Message(), ok
}
