package api

import (
	"bufio"
	"fmt"

	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// chunkSize is what one message of a download carries, in bytes: as on the spokes' stream.
const chunkSize = 256 << 10

// Backup implements FleetService. A stream that ends without an error holds the whole of it.
func (s *Server) Backup(_ *hubv1.BackupRequest, stream grpc.ServerStreamingServer[hubv1.BackupResponse]) error {
	w := bufio.NewWriterSize(writerFunc(func(p []byte) error { return stream.Send(&hubv1.BackupResponse{Data: p}) }), chunkSize)
	if err := s.store.Backup(stream.Context(), w); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return w.Flush()
}

// GetArtifact implements FleetService.
func (s *Server) GetArtifact(req *hubv1.GetArtifactRequest, stream grpc.ServerStreamingServer[hubv1.GetArtifactResponse]) error {
	digest, err := manifest.ParseDigest(req.GetDigest())
	if err != nil {
		return invalid("digest", err.Error())
	}
	v := s.view(stream.Context())
	row := v.Artifact(digest.String())
	if row == nil || !v.seesArtifact(digest.String()) {
		return artifactNotFound(digest)
	}
	turn, cancel := s.turn(stream.Context(), "downloads")
	defer cancel()
	share, err := s.downloads.take(turn, downloadSize(row))
	if err != nil {
		return err
	}
	defer share.keep(0)
	canonical, err := s.canonical(row)
	if err != nil {
		return err
	}
	share.keep(int64(len(canonical)))
	_, err = writerFunc(func(p []byte) error { return stream.Send(&hubv1.GetArtifactResponse{Data: p}) }).Write(canonical)
	return err
}

// canonical answers the content of an artifact.
func (s *Server) canonical(row *storev1.Artifact) ([]byte, error) {
	digest := manifest.Digest(row.GetDigest())
	encoded, err := s.store.Content(digest.String())
	if isGone(err) {
		return nil, artifactNotFound(digest) // since it was looked up
	}
	if err != nil {
		return nil, err
	}
	canonical, err := manifest.Decompress(encoded, int(row.GetSize()))
	if err != nil {
		return nil, fmt.Errorf("artifact %s: %w", digest.Short(), err)
	}
	return canonical, nil
}

func artifactNotFound(digest manifest.Digest) error {
	return notFound("Artifact", digest.Short(), "revisions name theirs: `yardarm get revisions`")
}

// writerFunc writes in pieces that one message carries. Each piece is sent before it returns, so its bytes may be used again.
type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		piece := p[n:min(len(p), n+chunkSize)]
		if err := f(piece); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}
