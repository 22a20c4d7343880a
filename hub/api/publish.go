package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxChunk is the size of one piece of a file, in bytes, as the proto says.
	maxChunk = 1 << 20
	// maxPath is the longest path of a file, in bytes: Linux' own limit.
	maxPath = 4096
)

// PublishRevision implements FleetService.
func (s *Server) PublishRevision(stream grpc.ClientStreamingServer[hubv1.PublishRevisionRequest, hubv1.PublishRevisionResponse]) error {
	select {
	case s.publications <- struct{}{}:
		defer func() { <-s.publications }()
	default:
		return busy("publications")
	}
	publication, files, err := s.receive(stream)
	if err != nil {
		return err
	}
	a, err := s.parse(stream.Context(), files)
	if err != nil {
		return err
	}
	resp, err := s.publish(stream.Context(), publication, a)
	if err != nil {
		return err
	}
	return stream.SendAndClose(resp)
}

// receive reads a publication and puts its files together.
func (s *Server) receive(stream grpc.ClientStreamingServer[hubv1.PublishRevisionRequest, hubv1.PublishRevisionResponse]) (*hubv1.Publication, []manifest.File, error) {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, nil, invalid("publication", "is missing: the first message must be the publication")
	}
	if err != nil {
		return nil, nil, err
	}
	publication := first.GetPublication()
	if publication == nil {
		return nil, nil, invalid("publication", "is missing: the first message must be the publication")
	}
	if err := checkPublication(publication); err != nil {
		return nil, nil, err
	}
	var files []manifest.File
	seen := make(map[string]bool)
	size := 0
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return publication, files, nil
		}
		if err != nil {
			return nil, nil, err
		}
		chunk := message.GetFile()
		if chunk == nil {
			return nil, nil, invalid("file", "is missing: every message after the first must be a piece of a file")
		}
		field := fmt.Sprintf("files[%s]", clip(chunk.GetPath()))
		if problem := checkPath(chunk.GetPath()); problem != "" {
			return nil, nil, invalid("file.path", problem)
		}
		if len(chunk.GetData()) > maxChunk {
			return nil, nil, invalid(field, fmt.Sprintf("has a piece of %d bytes; send pieces of at most %d", len(chunk.GetData()), maxChunk))
		}
		if size += len(chunk.GetData()); size > s.cfg.Limits.MaxArtifactSize {
			return nil, nil, refuse(codes.InvalidArgument, reasonTooLarge, nil,
				fmt.Sprintf("the manifests are larger than %d bytes; split the bundle, or raise the hub's limit", s.cfg.Limits.MaxArtifactSize),
				&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: "exceeds the limit"}}})
		}
		if n := len(files); n > 0 && files[n-1].Path == chunk.GetPath() {
			files[n-1].Data = append(files[n-1].Data, chunk.GetData()...)
			continue
		}
		if seen[chunk.GetPath()] {
			return nil, nil, invalid(field, "was sent in pieces that do not follow each other; send each file as a whole")
		}
		if len(files) >= s.cfg.Limits.MaxFiles {
			return nil, nil, refuse(codes.InvalidArgument, reasonTooLarge, nil, fmt.Sprintf("there are more than %d files; split the bundle", s.cfg.Limits.MaxFiles))
		}
		seen[chunk.GetPath()] = true
		files = append(files, manifest.File{Path: chunk.GetPath(), Data: bytes.Clone(chunk.GetData())})
	}
}

func checkPublication(p *hubv1.Publication) error {
	var v violations
	check := checker{v: &v, path: "publication."}
	check.name("bundle", p.GetBundle())
	if len(p.GetGroups()) > maxTargets {
		check.add("groups", fmt.Sprintf("has %d entries; at most %d are kept", len(p.GetGroups()), maxTargets))
	} else {
		for i, group := range p.GetGroups() {
			check.name(fmt.Sprintf("groups[%d]", i), group)
			if slices.Contains(p.Groups[:i], group) {
				check.add(fmt.Sprintf("groups[%d]", i), fmt.Sprintf("names %q a second time", clip(group)))
			}
		}
	}
	check.rollout(p.GetRollout(), p.GetGroups())
	check.at("trial.").trial(p.GetTrial())
	check.text("provenance.message", p.GetProvenance().GetMessage())
	check.text("provenance.source", p.GetProvenance().GetSource())
	check.text("provenance.commit", p.GetProvenance().GetCommit())
	return v.err()
}

func checkPath(path string) string {
	switch {
	case path == "":
		return "is missing"
	case len(path) > maxPath:
		return fmt.Sprintf("is longer than %d bytes", maxPath)
	case !utf8.ValidString(path), strings.ContainsFunc(path, unicode.IsControl):
		return "holds characters that are not for names"
	}
	return ""
}

// artifact is what was parsed of a publication.
type artifact struct {
	row     *storev1.Artifact
	content *yardarmv1.RevisionSpec
	// encoded is compressed content, nil if the store had it already when it was parsed.
	encoded   []byte
	canonical []byte
}

// parse makes files an artifact. Only some at a time are parsed, since that takes a core and much memory.
func (s *Server) parse(ctx context.Context, files []manifest.File) (*artifact, error) {
	ctx, span := s.cfg.Tracer.Start(ctx, "parse")
	defer span.End()
	select {
	case s.parses <- struct{}{}:
		defer func() { <-s.parses }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	set, err := manifest.Parse(files, s.cfg.Limits.manifests())
	if err != nil {
		return nil, err
	}
	if set.Len() == 0 {
		return nil, invalid("files", "hold no object; to take a bundle off its clusters, delete it")
	}
	objects := make([]string, 0, set.Len())
	fileOf := make(map[string]string, set.Len())
	var definitions []*storev1.Definition
	for ref, object := range set.All() {
		if d := definitionOf(object); d != nil {
			definitions = append(definitions, d)
		}
		key := ref.Key()
		objects = append(objects, key)
		fileOf[key] = set.File(ref)
	}
	slices.Sort(objects)
	digest := set.Digest().String()
	a := &artifact{
		row: &storev1.Artifact{Digest: digest, Size: uint64(len(set.Canonical())), Objects: objects,
			Labels: customize.LabelsIn(set.Canonical()), LabelsKnown: true, Definitions: definitions},
		content:   &yardarmv1.RevisionSpec{Digest: digest, Size: uint64(len(set.Canonical())), Objects: uint32(set.Len())},
		canonical: set.Canonical(),
	}
	keepFiles(a.row, fileOf)
	if s.store.Read().Artifact(digest) == nil {
		a.encode()
	}
	return a, nil
}

func (a *artifact) encode() {
	a.encoded = manifest.Compress(a.canonical)
	a.row.EncodedSize = uint64(len(a.encoded))
}

// put keeps the artifact if the store has not got it. If it has, the files that the objects come from are those of now: they are for whoever looks for an
// object among the sources, and an artifact that another bundle shares, from files of its own, is rarer than files that were moved.
func (a *artifact) put(c *change) error {
	if row := c.Artifact(a.row.Digest); row != nil {
		if row = moved(row, a.row); row != nil {
			return c.PutArtifact(row, nil)
		}
		return nil
	}
	if a.encoded == nil {
		a.encode() // it went away since it was looked for
	}
	read := c.content
	c.content = func(digest string) ([]byte, error) {
		if digest == a.row.Digest {
			return a.encoded, nil // which is on no disk before the commit
		}
		return read(digest)
	}
	return c.PutArtifact(a.row, a.encoded)
}

// publish makes a revision of an artifact in one transaction.
func (s *Server) publish(ctx context.Context, p *hubv1.Publication, a *artifact) (*hubv1.PublishRevisionResponse, error) {
	uid, err := s.newUID()
	if err != nil {
		return nil, err
	}
	revisionUID, err := s.newUID()
	if err != nil {
		return nil, err
	}
	var changes *differ
	switch {
	case p.GetDiff() && !p.GetDryRun():
		return nil, invalid("publication.diff", "goes with dry_run alone")
	case p.GetTrial() != nil && !p.GetDryRun():
		return nil, invalid("publication.trial", "goes with dry_run alone")
	case p.GetDiff() || p.GetTrial() != nil:
		changes = &differ{Server: s, view: s.view(ctx), groups: map[string]string{}}
		if err := changes.mayDiff(callOf(ctx), p.GetBundle(), p.GetGroups()); err != nil {
			return nil, err
		}
	}
	resp, err := transact(ctx, s, p, func(c *change) (func(view) *hubv1.PublishRevisionResponse, error) {
		outcome := outcomeUnchanged
		next, targeted, err := c.publicationTarget(p, uid)
		if err != nil {
			return nil, err
		}
		if changes != nil {
			changes.was = c.Snapshot()
		}
		current := c.Revision(next.Metadata.Uid, next.GetStatus().GetLatestRevision())
		published := current == nil || !sameContent(current.Spec, snapshot(next.Spec, a.content))
		if err := a.put(c); err != nil {
			return nil, err
		}
		rev := current
		if published {
			outcome = outcomePublished
			rev, err = c.addRevision(next, revisionUID, a.content, &yardarmv1.Provenance{
				Message: p.GetProvenance().GetMessage(), Source: p.GetProvenance().GetSource(), Commit: p.GetProvenance().GetCommit(),
			})
			if err != nil {
				return nil, err
			}
		}
		if targeted && !published {
			if err := c.event(&yardarmv1.Event{Reason: "BundleConfigured", Bundle: p.GetBundle(), Message: "the bundle targets other cluster groups, or is rolled out in another way"}); err != nil {
				return nil, err
			}
		}
		if published || targeted {
			if err := c.PutBundle(next); err != nil {
				return nil, err
			}
			if err := checkClaims(&c.ReadTx, next); err != nil {
				return nil, err
			}
		}
		if changes != nil {
			changes.would = c.Snapshot()
		}
		return publishedAs(rev, outcome, p), nil
	}, a.row.Digest)
	if err != nil || changes == nil {
		return resp, err
	}
	changes.derive(p.GetBundle())
	if p.GetDiff() {
		if resp.Diff, err = changes.diff(ctx, a); err != nil {
			return nil, err
		}
	}
	if p.GetTrial() != nil {
		resp.Trial, err = changes.try(ctx, p, a)
	}
	return resp, err
}

// publicationTarget is the bundle that is published to, cloned or new, with the targets and the strategy that the publication gives it; changed tells whether
// it differs from the row.
func (c *change) publicationTarget(p *hubv1.Publication, uid string) (next *yardarmv1.Bundle, changed bool, err error) {
	var v violations
	for i, group := range p.GetGroups() {
		if c.Group(group) == nil {
			v.add("", fmt.Sprintf("publication.groups[%d]", i), unknownGroup(group))
		}
	}
	check := checker{v: &v, path: "publication."}
	unknownStages(c, check.at("rollout."), p.GetRollout())
	if err := v.err(); err != nil {
		return nil, false, err
	}
	b := c.BundleByName(p.GetBundle())
	if b == nil {
		if len(p.GetGroups()) == 0 || p.GetResourceVersion() != "" {
			return nil, false, notFound(yardarmv1.KindBundle, p.GetBundle(), "name the groups it is for, and it is made (`--to GROUP`), or apply it first")
		}
		next = &yardarmv1.Bundle{Metadata: c.newMeta(p.GetBundle(), uid), Spec: &yardarmv1.BundleSpec{Targets: retarget(nil, p.Groups), Rollout: p.Rollout}, Status: &yardarmv1.BundleStatus{}}
		c.checkNamed(check, next.Spec)
		return next, true, v.err()
	}
	if b.GetSpec().GetSource() != nil {
		return nil, false, fromSource(b)
	}
	if err := checkVersion(yardarmv1.KindBundle, b.Metadata, p.GetResourceVersion()); err != nil {
		return nil, false, err
	}
	next = proto.CloneOf(b)
	if next.Spec == nil {
		next.Spec = &yardarmv1.BundleSpec{}
	}
	before := next.Spec
	next.Spec = proto.CloneOf(before)
	if len(p.GetGroups()) > 0 && !sameStrings(groupsOf(before.Targets), p.Groups) {
		next.Spec.Targets = retarget(before.Targets, p.Groups)
	}
	if p.Rollout != nil {
		next.Spec.Rollout = p.Rollout
	}
	if proto.Equal(before, next.Spec) {
		return next, false, nil
	}
	next.Metadata.Generation++
	check.rollout(next.Spec.Rollout, groupsOf(next.Spec.Targets))
	c.checkNamed(check, next.Spec)
	return next, true, v.err()
}

// sameStrings compares without regard to order.
func sameStrings(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// publishedAs answers with a revision, which has neither a uid nor a version after a dry run that would have made it.
func publishedAs(rev *yardarmv1.Revision, outcome string, req mutation) func(view) *hubv1.PublishRevisionResponse {
	return func(v view) *hubv1.PublishRevisionResponse {
		resp := v.published(rev, outcome)
		if req.GetDryRun() && outcome == outcomePublished {
			resp.Revision.Metadata.Uid, resp.Revision.Metadata.ResourceVersion = "", ""
			resp.Plan = v.plan(v.Bundle(rev.GetSpec().GetBundleUid()))
		}
		return resp
	}
}

// published is the answer to whoever made, or asked for, a revision.
func (v view) published(rev *yardarmv1.Revision, outcome string) *hubv1.PublishRevisionResponse {
	resp := &hubv1.PublishRevisionResponse{Revision: revisionView(rev), Outcome: outcome}
	for range v.ClustersOf(rev.GetSpec().GetBundleUid()) {
		resp.Clusters++
	}
	b := v.Bundle(rev.GetSpec().GetBundleUid())
	if b != nil && len(b.GetSpec().GetTargets()) == 0 {
		resp.Warnings = append(resp.Warnings, "the bundle targets no cluster group, so no cluster gets it")
	}
	for _, t := range b.GetSpec().GetTargets() {
		if isEmpty(v.Members(t.GetGroup())) {
			resp.Warnings = append(resp.Warnings, fmt.Sprintf("cluster group %q matches no cluster", t.GetGroup()))
		}
	}
	if outcome == outcomePublished {
		resp.Warnings = append(resp.Warnings, takeoverWarnings(v.ReadTx, b)...)
	}
	resp.Warnings = append(resp.Warnings, dependencyWarnings(v.ReadTx, b)...)
	resp.Warnings = append(resp.Warnings, gateWarnings(v.ReadTx, b, v.now)...)
	resp.Warnings = append(resp.Warnings, storageWarnings(v.ReadTx, b)...)
	resp.Warnings = append(resp.Warnings, stageWarnings(v.ReadTx, b)...)
	return resp
}
