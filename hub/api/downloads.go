package api

import (
	"context"

	"golang.org/x/sync/semaphore"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// downloads bounds what artifacts and previews that are on their way to callers hold in memory together: a caller that takes little at a time keeps a whole
// one for minutes. It is first come, first served, so that many small ones do not keep a large one waiting for ever.
type downloads struct {
	room *semaphore.Weighted
	size int64 // bytes
}

func newDownloads(size int) *downloads {
	return &downloads{room: semaphore.NewWeighted(int64(size)), size: int64(size)}
}

// share is what one download has of the room. It belongs to its call's goroutine.
type share struct {
	of   *downloads
	held int64
}

// take waits for so many bytes; one that is larger than all of the room gets all of it. Whoever gets a share has to return it by keep(0). The error is the
// context's cause.
func (d *downloads) take(ctx context.Context, bytes int64) (*share, error) {
	bytes = min(bytes, d.size)
	if d.room.Acquire(ctx, bytes) != nil {
		return nil, context.Cause(ctx)
	}
	return &share{of: d, held: bytes}, nil
}

// keep returns all but so many bytes.
func (s *share) keep(bytes int64) {
	if more := s.held - bytes; more > 0 {
		s.of.room.Release(more)
		s.held = bytes
	}
}

// previewWeight is how much memory a preview takes while it is made, in sizes of its artifact: the artifact, its objects, and those that are changed, with
// their canonical form. Decoded objects take six times the size of their text.
const previewWeight = 14

func downloadSize(a *storev1.Artifact) int64 { return int64(a.GetSize() + a.GetEncodedSize()) }

func previewSize(a *storev1.Artifact) int64 { return previewWeight * int64(a.GetSize()) }

// turn is a context for waiting until a call may begin: half of what callers wait by default, so that they are told. If that is not enough, its cause is the
// refusal.
func (s *Server) turn(ctx context.Context, calls string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.cfg.Limits.CallTimeout/2, busy(calls))
}
