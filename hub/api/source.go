package api

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/Masterminds/semver/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/source/chart"
	"github.com/yardarm-dev/yardarm/hub/source/git"
	"github.com/yardarm-dev/yardarm/hub/source/oci"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/render"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// minInterval and maxInterval bound how often a source is asked, as the proto says.
	minInterval = 10 * time.Second
	maxInterval = 24 * time.Hour
	// maxSigners is how many may have signed a repository, and maxSignerKeys how many keys each may have, as the proto says.
	maxSigners    = 64
	maxSignerKeys = 16
	// maxRef is the longest name of a branch or tag, in bytes: what servers take.
	maxRef = 255
)

var (
	commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)
	ociTag     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	ociDigest  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// source checks where a bundle's revisions come from.
func (c checker) source(s *yardarmv1.Source) {
	if s == nil {
		return
	}
	if s.Origin() == nil {
		c.add("git", "is missing: a source is a Git repository, or else helm or oci")
		return
	}
	if err := render.Check(s.GetRendering()); err != nil {
		field, message, _ := strings.Cut(err.Error(), ": ")
		c.add("rendering."+field, message)
	}
	at := c.at(originField(s) + ".")
	switch {
	case s.GetHelm() != nil:
		at.helmSource(s.GetHelm(), s.GetRendering())
	case s.GetOci() != nil:
		at.ociSource(s.GetOci())
	default:
		at.gitSource(s.GetGit())
	}
}

// originField is the field of a source that says where it is.
func originField(s *yardarmv1.Source) string {
	switch {
	case s.GetHelm() != nil:
		return "helm"
	case s.GetOci() != nil:
		return "oci"
	}
	return "git"
}

func (c checker) gitSource(g *yardarmv1.GitSource) {
	if _, err := git.ParseURL(g.GetUrl()); err != nil {
		c.add("url", err.Error())
	}
	c.at("ref.").gitRef(g.GetRef())
	if g.GetVerify() != nil {
		c.at("verify.").gitVerification(g.GetVerify(), g.GetRef())
	}
	c.origin(g, g.GetPath())
}

// gitVerification checks who has to have signed what.
func (c checker) gitVerification(v *yardarmv1.GitVerification, ref *yardarmv1.GitRef) {
	switch v.GetMode() {
	case "", yardarmv1.VerifyCommit:
	case yardarmv1.VerifyTag:
		if ref.GetTag() == "" && ref.GetSemver() == "" {
			c.add("mode", "is that tags are signed, and the ref is none: name a tag or a semver")
		}
	default:
		c.add("mode", fmt.Sprintf("is %q; it is %s or %s", clip(v.GetMode()), yardarmv1.VerifyCommit, yardarmv1.VerifyTag))
	}
	if n := len(v.GetSigners()); n == 0 || n > maxSigners {
		c.add("signers", fmt.Sprintf("has %d entries; between 1 and %d are needed", n, maxSigners))
		return
	}
	for i, s := range v.GetSigners() {
		c.at(fmt.Sprintf("signers[%d].", i)).gitSigner(s)
	}
}

func (c checker) gitSigner(s *yardarmv1.GitSigner) {
	if n := s.GetName(); n == "" || len(n) > maxSubject || strings.ContainsFunc(n, unicode.IsControl) {
		c.add("name", fmt.Sprintf("is missing, has more than %d bytes, or characters that are not for people", maxSubject))
	}
	if n := len(s.GetKeys()); n == 0 || n > maxSignerKeys {
		c.add("keys", fmt.Sprintf("has %d entries; between 1 and %d are needed", n, maxSignerKeys))
		return
	}
	for i, key := range s.GetKeys() {
		if len(key) > maxKey {
			c.add(fmt.Sprintf("keys[%d]", i), fmt.Sprintf("has %d bytes; at most %d are kept", len(key), maxKey))
			continue
		}
		_, err := git.ParseKey(key)
		c.usable(fmt.Sprintf("keys[%d]", i), err)
	}
	after, before := s.GetValidAfter(), s.GetValidBefore()
	for field, at := range map[string]*timestamppb.Timestamp{"validAfter": after, "validBefore": before} {
		if at != nil && at.CheckValid() != nil {
			c.add(field, "is no time")
		}
	}
	if after != nil && before != nil && !after.AsTime().Before(before.AsTime()) {
		c.add("validBefore", "is not after validAfter")
	}
}

func (c checker) helmSource(h *yardarmv1.HelmSource, r *yardarmv1.Rendering) {
	if _, err := chart.ParseURL(h.GetUrl()); err != nil {
		c.add("url", err.Error())
	}
	if n := h.GetChart(); n == "" || len(n) > maxRef || strings.ContainsAny(n, "/\\\x00\n ") {
		c.add("chart", "must be the name of a chart in the repository, such as nginx")
	}
	if _, err := chart.Versions(h.GetVersion()); err != nil {
		c.add("version", fmt.Sprintf("%q is no version, and no range of versions such as 1.x", clip(h.GetVersion())))
	}
	if t := r.GetType(); t != "" && t != yardarmv1.RenderHelm {
		c.add("chart", fmt.Sprintf("is a chart, and the rendering's type is %q", t))
	}
	c.origin(h, "")
}

func (c checker) ociSource(o *yardarmv1.OciSource) {
	if _, err := oci.ParseURL(o.GetUrl()); err != nil {
		c.add("url", err.Error())
	}
	r := o.GetRef()
	named := slices.DeleteFunc([]string{r.GetTag(), r.GetSemver(), r.GetDigest()}, func(s string) bool { return s == "" })
	at := c.at("ref.")
	if len(named) > 1 {
		at.add("tag", "is one of several that are given; a ref is one of tag, semver and digest")
	}
	if r.GetTag() != "" && !ociTag.MatchString(r.GetTag()) {
		at.add("tag", fmt.Sprintf("%q is no name of a tag", clip(r.GetTag())))
	}
	at.versions("semver", r.GetSemver())
	if r.GetDigest() != "" && !ociDigest.MatchString(r.GetDigest()) {
		at.add("digest", "must be sha256: and all 64 hexadecimal digits of one")
	}
	c.origin(o, o.GetPath())
}

// origin checks what sources of all kinds have.
func (c checker) origin(from yardarmv1.Origin, p string) {
	if len(p) > maxPath || path.IsAbs(p) || strings.HasPrefix(path.Clean(p), "..") || strings.ContainsAny(p, "\\\x00") {
		c.add("path", "is no path within the source, such as apps/web")
	}
	if i := from.GetInterval(); i != nil && (i.CheckValid() != nil || i.AsDuration() < minInterval || i.AsDuration() > maxInterval) {
		c.add("interval", fmt.Sprintf("must be %s to %s; webhooks are quicker than any", minInterval, maxInterval))
	}
	if from.GetCredentials() != "" {
		c.name("credentials", from.GetCredentials())
	}
}

func (c checker) versions(field, text string) {
	if text == "" {
		return
	}
	if _, err := semver.NewConstraint(text); err != nil {
		c.add(field, fmt.Sprintf("%q is no range of versions, such as 1.x", clip(text)))
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
	c.versions("semver", r.GetSemver())
	if r.GetCommit() != "" && !commitHash.MatchString(r.GetCommit()) {
		c.add("commit", "must be all 40 hexadecimal digits of one")
	}
}

// fromSource refuses a publication by hand: the next commit would undo it, and nobody would know why.
func fromSource(b *yardarmv1.Bundle) error {
	return precondition(reasonFromSource, yardarmv1.KindBundle, b.Metadata.Name, fmt.Sprintf(
		"bundle %q gets its revisions from %s; change it there, or apply the bundle without spec.source to publish by hand (`yardarm undo` returns to an earlier revision either way)",
		b.Metadata.Name, sourceURL(b)))
}

// sourceURL is where a bundle's revisions come from; empty where they are published by hand.
func sourceURL(b *yardarmv1.Bundle) string {
	if from := b.GetSpec().GetSource().Origin(); from != nil {
		return from.GetUrl()
	}
	return ""
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
	Source *yardarmv1.Source
	// Renderings are what BundleSpec.Renderings asks for, in that order.
	Renderings []SourceRendering
	Provenance *yardarmv1.Provenance
}

// PublishSource publishes a revision from a bundle's source, by the rules of PublishRevision, unless the bundle has the same objects already. held says why the bundle does
// not run them though nothing is wrong: somebody has returned to an earlier revision, which stays until the source has something new. An error that [Refused] knows is for
// whoever looks after the source.
func (s *Server) PublishSource(ctx context.Context, p SourcePublication) (held string, err error) {
	who := authz.OfSource(p.Bundle)
	ctx = context.WithValue(ctx, callKey{}, call{who: who, need: needs[hubv1.FleetService_PublishRevision_FullMethodName]})
	ctx = store.WithAuthor(ctx, store.Author{Who: who.Actor()})
	a, err := s.parseAll(ctx, p.Renderings)
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
func (s *Server) sourced(tx *store.ReadTx, actor string, p SourcePublication, a artifacts) (held string, done bool) {
	b := tx.Bundle(p.BundleUID)
	if b == nil || !proto.Equal(b.GetSpec().GetSource(), p.Source) || !sameNames(b.GetSpec(), p.Renderings) {
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
		if !sameArtifacts(r.Spec, a.content) || r == current {
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
