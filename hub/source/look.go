package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/render"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxMessage bounds what is told of a problem, in bytes.
const maxMessage = 4 << 10

// job is a look to be had: a copy of what it needs, since Run goes on meanwhile.
type job struct {
	repository *repository
	place      place
	followers  []*follower
	// seen and marks are of each follower, when the look began.
	seen  []*yardarmv1.SourceStatus
	marks []string
}

// result is what came of a job.
type result struct {
	repository *repository
	outcomes   []outcome
}

// outcome is what came of it for one bundle.
type outcome struct {
	follower *follower
	mark     string
	status   *yardarmv1.SourceStatus
}

func (c *Controller) job(r *repository) job {
	j := job{repository: r, place: r.place}
	for _, f := range r.followers {
		j.followers = append(j.followers, f)
	}
	slices.SortFunc(j.followers, func(a, b *follower) int { return strings.Compare(a.name, b.name) })
	for _, f := range j.followers {
		j.seen, j.marks = append(j.seen, f.status), append(j.marks, f.mark)
	}
	return j
}

// look asks the server, and publishes what is new. Both are had by turns.
func (c *Controller) look(ctx context.Context, j job) result {
	ctx, span := c.Tracer.Start(ctx, "look")
	defer span.End()
	j, refused := c.permitted(j)
	out := result{repository: j.repository, outcomes: refused}
	if len(j.followers) == 0 {
		return out
	}
	found, err := c.fetch(ctx, j)
	for i, f := range j.followers {
		seen := finding{err: err}
		if err == nil {
			seen = found[i]
		}
		o := outcome{follower: f, mark: j.marks[i]}
		held := j.seen[i].GetHeld()
		if seen.tree != nil {
			held, seen.err = c.publish(ctx, f, seen)
			if ctx.Err() != nil {
				return out // the hub stops
			}
			if unreadable(seen.err) {
				seen.err = errors.Join(seen.err, c.clear(j.place))
			}
		}
		if seen.mark() != "" {
			o.mark = seen.mark()
		}
		o.status = c.status(f, j.seen[i], seen, held)
		// What does not follow from what was found alone is tried again.
		if reason := o.status.GetProblem().GetReason(); reason != "" && reason != yardarmv1.SourceNotRendered {
			o.mark = ""
		}
		out.outcomes = append(out.outcomes, o)
	}
	return out
}

// fetch asks the server, when it is this repository's turn.
func (c *Controller) fetch(ctx context.Context, j job) ([]finding, error) {
	end, err := c.fetches.take(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	began := time.Now()
	found, err := c.ask(ctx, j)
	c.metrics.fetch(j.place.kind, err, began)
	return found, err
}

// publish renders what was found for a bundle, each of its variants once, and publishes what comes out, when it is this bundle's turn.
func (c *Controller) publish(ctx context.Context, f *follower, seen finding) (held string, err error) {
	end, err := c.renders.take(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	defer func(began time.Time) { c.metrics.rendered.Observe(time.Since(began).Seconds()) }(time.Now())
	var renderings []api.SourceRendering
	elsewhere := &bases{controller: c, source: f.source}
	defer elsewhere.clean()
	for _, variant := range f.variants {
		c.metrics.renders.Inc()
		_, span := c.Tracer.Start(ctx, "render")
		rendered, err := elsewhere.render(ctx, render.Input{FS: seen.tree, Path: pathOf(f.source), Rendering: f.source.GetRendering(), Variant: variant, Name: f.name, Namespace: f.namespace})
		span.End()
		if err != nil {
			return "", ofVariant(variant, err)
		}
		renderings = append(renderings, api.SourceRendering{Variant: variant.GetName(), Files: rendered.Files})
	}
	return c.Publisher.PublishSource(ctx, api.SourcePublication{BundleUID: f.uid, Bundle: f.name, Source: f.source, Renderings: renderings, Provenance: &yardarmv1.Provenance{
		Message: seen.subject, Source: nameOf(f.source), Commit: seen.commit, Digest: seen.digest, Author: seen.author, Ref: seen.ref, Signer: seen.signer, Bases: elsewhere.commits,
	}})
}

// ofVariant says which variant an error is about.
func ofVariant(variant *yardarmv1.Variant, err error) error {
	if variant.GetName() == "" {
		return err
	}
	return fmt.Errorf("variant %s: %w", variant.GetName(), err)
}

// unreadable tells whether an error may come of what the cache holds, rather than of what the repository does.
func unreadable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	_, theirs := api.Refused(err)
	return !theirs && !isManifest(err)
}

func isManifest(err error) bool {
	var one manifest.Problem
	var several *manifest.Problems
	return errors.As(err, &one) || errors.As(err, &several)
}

// status is what is shown of a source after a look.
func (c *Controller) status(f *follower, before *yardarmv1.SourceStatus, seen finding, held string) *yardarmv1.SourceStatus {
	now := timestamppb.New(c.Clock())
	s := &yardarmv1.SourceStatus{Commit: before.GetCommit(), Digest: before.GetDigest(), Author: before.GetAuthor(), Subject: before.GetSubject(), Ref: before.GetRef(),
		Signer: before.GetSigner(), AsOf: before.GetAsOf(), Held: held}
	if seen.mark() != "" {
		s.AsOf = now
	}
	switch {
	case seen.err != nil:
		s.Problem = c.problem(f, seen)
		if old := before.GetProblem(); old.GetReason() == s.Problem.Reason && old.GetMessage() == s.Problem.Message {
			s.Problem.Since = old.Since
		} else {
			s.Problem.Since = now
		}
	case seen.tree == nil:
		s.Problem = before.GetProblem() // what was wrong with it still is
	default:
		s.Commit, s.Digest, s.Author, s.Subject, s.Ref, s.Signer = seen.commit, seen.digest, seen.author, seen.subject, seen.ref, seen.signer
	}
	return s
}

// problem says what is wrong, to whoever looks after the source.
func (c *Controller) problem(f *follower, seen finding) *yardarmv1.SourceProblem {
	p := &yardarmv1.SourceProblem{Commit: seen.commit, Digest: seen.digest}
	err := seen.err
	var server *reach.Error
	var one manifest.Problem
	var several *manifest.Problems
	message, theirs := api.Refused(err)
	switch {
	case errors.As(err, &server):
		p.Reason, p.Message = server.Reason, server.Message
		if errors.As(err, &one) { // it is about what a file refers to
			p.Message, p.File, p.Line = err.Error(), one.File, uint32(one.Line)
		}
	case errors.As(err, &several) && len(several.Entries) > 0:
		p.Reason, p.Message, p.File, p.Line = yardarmv1.SourceNotRendered, err.Error(), several.Entries[0].File, uint32(several.Entries[0].Line)
	case errors.As(err, &one):
		p.Reason, p.Message, p.File, p.Line = yardarmv1.SourceNotRendered, err.Error(), one.File, uint32(one.Line)
	case errors.Is(err, context.DeadlineExceeded):
		p.Reason, p.Message = yardarmv1.SourceUnreachable, fmt.Sprintf("it took longer than %s", fetchTime)
	case theirs:
		p.Reason, p.Message = yardarmv1.SourceRefused, message
	default:
		c.Logger.Error("a source was not looked at", "bundle", f.name, "error", err)
		p.Reason, p.Message = yardarmv1.SourceHub, "the hub could not look at it, and tries again; its log says why"
	}
	if len(p.Message) > maxMessage {
		p.Message = strings.ToValidUTF8(p.Message[:maxMessage], "") + "…"
	}
	return p
}

// eventOf tells the story of a source: that it has begun to fail, fails otherwise, or is good again.
func eventOf(b *yardarmv1.Bundle, before, now *yardarmv1.SourceStatus, at time.Time) *yardarmv1.Event {
	old, p := before.GetProblem(), now.GetProblem()
	if b == nil || now == nil || old.GetReason() == p.GetReason() && old.GetMessage() == p.GetMessage() {
		return nil
	}
	e := &yardarmv1.Event{Time: timestamppb.New(at), Actor: "source:" + b.Metadata.Name, Bundle: b.Metadata.Name}
	if p == nil {
		e.Type, e.Reason, e.Message = yardarmv1.EventNormal, "SourceRecovered", "the source is good again"
		return e
	}
	e.Type, e.Reason, e.Message = yardarmv1.EventWarning, "SourceFailing", p.Reason+": "+p.Message
	return e
}
