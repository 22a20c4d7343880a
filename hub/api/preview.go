package api

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// PreviewAssignment implements FleetService. It does what the spoke does, by the same package and from the same assignment; of the
// cluster's facts it has what was reported last. Nothing is kept: what clusters get is made in them.
func (s *Server) PreviewAssignment(req *hubv1.PreviewAssignmentRequest, stream grpc.ServerStreamingServer[hubv1.PreviewAssignmentResponse]) error {
	v := s.view(stream.Context())
	c, it, err := v.item(req.GetCluster(), req.GetBundle())
	if err != nil {
		return err
	}
	a := index.Spec(v.ReadTx, c, it)
	if a == nil {
		return notFound(yardarmv1.KindAssignment, assignmentName(req.GetCluster(), req.GetBundle()),
			"the cluster is not to run the bundle any more, and only still holds some of it; `yardarm describe assignment` says why")
	}
	row := v.Artifact(a.GetDigest())
	if row == nil {
		return artifactNotFound(manifest.Digest(a.GetDigest()))
	}
	turn, cancel := s.turn(stream.Context(), "previews")
	defer cancel()
	leave, err := s.enterPreview(turn)
	if err != nil {
		return err
	}
	defer leave()
	share, err := s.downloads.take(turn, previewSize(row))
	if err != nil {
		return err
	}
	defer share.keep(0)
	set, err := s.render(row, a, v.Observed(c.GetMetadata().GetUid()).GetFacts(), v.files(it.BundleUID, a.GetRevision(), a.GetDigest()))
	if err != nil {
		return err
	}
	preview, canonical := comparison(a, set, index.Judge(v.ReadTx, c, it, a, v.now)), set.Canonical()
	share.keep(int64(len(canonical))) // the objects themselves are not needed any more
	if err := stream.Send(&hubv1.PreviewAssignmentResponse{Message: &hubv1.PreviewAssignmentResponse_Preview{Preview: preview}}); err != nil {
		return err
	}
	_, err = writerFunc(func(p []byte) error {
		if err := stream.Context().Err(); err != nil {
			return err // of a caller that takes little at a time, and so keeps the place of another
		}
		return stream.Send(&hubv1.PreviewAssignmentResponse{Message: &hubv1.PreviewAssignmentResponse_Data{Data: p}})
	}).Write(canonical)
	return err
}

// enterPreview waits for a place, since a preview takes a core for a moment; whoever gets one has to leave it.
func (s *Server) enterPreview(ctx context.Context) (leave func(), err error) {
	select {
	case s.previews <- struct{}{}:
		return func() { <-s.previews }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// render makes what a cluster with these facts, nil where none are known, gets by an assignment. The files are for what is wrong.
func (s *Server) render(row *storev1.Artifact, a *yardarmv1.AssignmentSpec, facts *yardarmv1.Facts, from files) (*manifest.Set, error) {
	canonical, err := s.canonical(row)
	if err != nil {
		return nil, err
	}
	// It was published within the limits of its time.
	set, err := manifest.Decode(canonical, manifest.Limits{Bytes: max(len(canonical), 1)})
	if err != nil {
		return nil, fmt.Errorf("artifact %s: %w", manifest.Digest(row.GetDigest()).Short(), err)
	}
	set, err = customize.Apply(set, a.GetCustomization(), customize.Values{Name: a.GetCluster(), Labels: a.GetLabels(), Facts: facts})
	if err != nil {
		return nil, uncustomizable(a, err, from)
	}
	return set, nil
}

// comparison is what a preview says before the objects.
func comparison(a *yardarmv1.AssignmentSpec, set *manifest.Set, st *yardarmv1.AssignmentStatus) *hubv1.Preview {
	report := st.GetReport()
	rendered := set.Digest().String()
	return &hubv1.Preview{
		Cluster: a.GetCluster(), Bundle: a.GetBundle(), Revision: a.GetRevision(),
		Digest: a.GetDigest(), RenderedDigest: rendered, Size: uint64(len(set.Canonical())),
		ReportedDigest: report.GetRenderedDigest(),
		Current:        report != nil && bytes.Equal(report.GetAssignmentHash(), a.GetHash()),
		Same:           report.GetRenderedDigest() == rendered,
		AsOf:           st.GetAsOf(),
	}
}
