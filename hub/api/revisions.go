package api

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	outcomePublished = "published"
	// maxNamed is how many revisions an error names.
	maxNamed = 10
	// newestFirst is the order of revisions where none is asked for.
	newestFirst = "number desc"
)

// ListRevisions implements FleetService.
func (s *Server) ListRevisions(ctx context.Context, req *hubv1.ListRevisionsRequest) (*hubv1.ListRevisionsResponse, error) {
	v := s.view(ctx)
	b := v.BundleByName(req.GetBundle())
	if b == nil {
		return nil, bundleNotFound(req.GetBundle())
	}
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "revisions " + b.Metadata.Uid}
	if list.orderBy == "" {
		list.orderBy = newestFirst
	}
	p, err := paginate(list, revisionFields, func(add func(*yardarmv1.Revision)) {
		for r := range v.Revisions(b.Metadata.Uid) {
			add(r)
		}
	}, revisionView)
	if err != nil {
		return nil, err
	}
	return &hubv1.ListRevisionsResponse{Revisions: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetRevision implements FleetService.
func (s *Server) GetRevision(ctx context.Context, req *hubv1.GetRevisionRequest) (*yardarmv1.Revision, error) {
	v := s.view(ctx)
	b := v.BundleByName(req.GetBundle())
	if b == nil {
		return nil, bundleNotFound(req.GetBundle())
	}
	rev := v.Revision(b.Metadata.Uid, req.GetNumber())
	if rev == nil {
		return nil, revisionNotFound(b, req.GetNumber(), v.Revisions(b.Metadata.Uid))
	}
	return revisionView(rev), nil
}

// UndoRollout implements FleetService. The bundle's delivery policy and its customizations return with the content, so that they stay what its clusters
// run under.
func (s *Server) UndoRollout(ctx context.Context, req *hubv1.UndoRolloutRequest) (*hubv1.PublishRevisionResponse, error) {
	uid, err := s.newUID()
	if err != nil {
		return nil, err
	}
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.PublishRevisionResponse, error) {
		b := c.BundleByName(req.GetBundle())
		if b == nil {
			return nil, bundleNotFound(req.GetBundle())
		}
		if err := checkVersion(yardarmv1.KindBundle, b.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		current := c.Revision(b.Metadata.Uid, b.GetStatus().GetLatestRevision())
		target, err := c.undoTarget(b, current, req.GetToRevision())
		if err != nil {
			return nil, err
		}
		next := proto.CloneOf(b)
		if next.Spec == nil {
			next.Spec = &yardarmv1.BundleSpec{}
		}
		if restore(next.Spec, target.Spec) {
			next.Metadata.Generation++
		}
		if current != nil && sameContent(current.Spec, snapshot(next.Spec, target.Spec)) {
			return publishedAs(current, outcomeUnchanged, req), nil
		}
		rev, err := c.addRevision(next, uid, target.Spec, &yardarmv1.Provenance{
			Message: fmt.Sprintf("return to revision %d", target.Spec.Number), Source: target.Spec.GetProvenance().GetSource(),
			Commit: target.Spec.GetProvenance().GetCommit(), Digest: target.Spec.GetProvenance().GetDigest(), UndoOf: target.Spec.Number,
		})
		if err != nil {
			return nil, err
		}
		if err := c.PutBundle(next); err != nil {
			return nil, err
		}
		if err := checkDependencies(&c.ReadTx, next); err != nil {
			return nil, err
		}
		return publishedAs(rev, outcomePublished, req), checkClaims(&c.ReadTx, next)
	})
}

// undoTarget is the revision to return to: the one named, or the newest before the current whose content differs from it.
func (c *change) undoTarget(b *yardarmv1.Bundle, current *yardarmv1.Revision, number uint32) (*yardarmv1.Revision, error) {
	uid := b.Metadata.Uid
	if number != 0 {
		if target := c.Revision(uid, number); target != nil {
			return target, nil
		}
		return nil, revisionNotFound(b, number, c.Revisions(uid))
	}
	for r := range c.Revisions(uid) {
		if current != nil && r.Spec.Number < current.Spec.Number && !sameContent(r.Spec, current.Spec) {
			return r, nil
		}
	}
	return nil, precondition(reasonState, yardarmv1.KindBundle, b.Metadata.Name,
		fmt.Sprintf("bundle %q has no earlier revision with other content; there is nothing to return to", b.Metadata.Name))
}

// addRevision makes the bundle's next revision, of its spec as it is now, and the latest one of the bundle, which the caller has cloned and is to put. Its
// rollout begins with that (hub/rollout). Content names the artifact.
func (c *change) addRevision(b *yardarmv1.Bundle, uid string, content *yardarmv1.RevisionSpec, provenance *yardarmv1.Provenance) (*yardarmv1.Revision, error) {
	if b.Status == nil {
		b.Status = &yardarmv1.BundleStatus{}
	}
	number := b.Status.LatestRevision + 1
	provenance.Actor, provenance.Time = c.actor, c.time()
	rev := &yardarmv1.Revision{Metadata: c.newMeta(fmt.Sprintf("%s-%d", b.Metadata.Name, number), uid), Spec: snapshot(b.Spec, content)}
	rev.Spec.Bundle, rev.Spec.BundleUid, rev.Spec.Number, rev.Spec.Provenance = b.Metadata.Name, b.Metadata.Uid, number, provenance
	if t := lacks(rev.Spec); t != nil {
		return nil, precondition(reasonState, yardarmv1.KindBundle, b.Metadata.Name, fmt.Sprintf(
			"the target %q names the variant %q, of which there is nothing for revision %d; apply the bundle with another variant for that target, or without it", t.Group, t.Variant, number))
	}
	var err error
	if rev.Spec.Labels, err = c.labelsUsed(rev.Spec); err != nil {
		return nil, err
	}
	if rev.Spec.StorageChanges, err = c.storageChanges(b, rev.Spec); err != nil {
		return nil, err
	}
	if err := c.PutRevision(rev); err != nil {
		return nil, err
	}
	b.Status.LatestRevision = number
	message := fmt.Sprintf("revision %d published", number)
	if line, _, _ := strings.Cut(provenance.Message, "\n"); line != "" {
		message += ": " + clip(line)
	}
	return rev, c.event(&yardarmv1.Event{Reason: "RevisionPublished", Bundle: b.Metadata.Name, Revision: number, Message: message})
}

func revisionNotFound(b *yardarmv1.Bundle, number uint32, all iter.Seq[*yardarmv1.Revision]) error {
	var there []string
	for r := range all {
		if len(there) == maxNamed {
			there = append(there, "…")
			break
		}
		there = append(there, fmt.Sprint(r.GetSpec().GetNumber()))
	}
	hint := "it has none yet; publish one"
	if len(there) > 0 {
		hint = "there are: " + strings.Join(there, ", ")
	}
	if number > 0 && number < b.GetStatus().GetLatestRevision() {
		hint = "it was collected, as old ones are that no cluster runs (the hub's --keep-revisions says how many stay); " + hint
	}
	return missing(yardarmv1.KindRevision, fmt.Sprintf("%s-%d", b.Metadata.Name, number), fmt.Sprintf("bundle %q has no revision %d; %s", b.Metadata.Name, number, hint))
}
