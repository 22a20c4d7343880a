package hub

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/run"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

const (
	// leastDisk is how many bytes the data directory's disk has to have left: one of the largest artifacts, and what the database writes
	// beside it.
	leastDisk = 128 << 20
	// leastLife is how long the CA has to be good for: time for each cluster to learn of the next one, those that are away included.
	leastLife = 7 * 24 * time.Hour
)

// checks tell whether the hub does all that it should. One that fails any of them is best still reached: who is to put it right has to.
func (h *Hub) checks(db *store.Store, authority *ca.CA) run.Checks {
	return run.Checks{
		{Name: "store", Ready: func() error {
			if reason := db.ReadOnly(); reason != "" {
				return fmt.Errorf("read-only: %s", reason)
			}
			return nil
		}},
		{Name: "disk", Ready: func() error { return diskLeft(h.config.DataDir, leastDisk) }},
		{Name: "ca", Ready: func() error {
			return lives("the hub's CA", authority.Expires(), leastLife, "replace it with 'yardarm-hub ca rotate'")
		}},
	}
}

// aliveness answers gRPC's own question for health: whether a service is served. That of a read-only hub is.
func aliveness() *health.Server {
	s := health.NewServer()
	for _, name := range []string{hubv1.FleetService_ServiceDesc.ServiceName, spokev1.SpokeService_ServiceDesc.ServiceName} {
		s.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
	return s
}

// diskLeft tells whether as many bytes may be written to the disk of a directory.
func diskLeft(dir string, least uint64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("ask for the disk of the data directory: %w", err)
	}
	if left := disk.Bavail * uint64(disk.Bsize); left < least {
		return fmt.Errorf("%d MiB are left on the disk of the data directory, and %d are needed; make room", left>>20, least>>20)
	}
	return nil
}

// lives tells whether a certificate is good for at least so long.
func lives(what string, expires time.Time, least time.Duration, advice string) error {
	left := time.Until(expires)
	switch {
	case left <= 0:
		return errors.New(what + " has expired; " + advice)
	case left < least:
		return fmt.Errorf("%s expires in %s; %s", what, left.Round(time.Minute), advice)
	}
	return nil
}
