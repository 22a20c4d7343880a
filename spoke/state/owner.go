package state

import (
	"context"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Own ties the state to an identity. What was assigned to another one, in a life before this enrolment, is let go: its
// objects stay, unmanaged, and the new cluster inherits nothing. The old cursor says nothing about the new hub.
func (s *State) Own(ctx context.Context, clusterUID string) error {
	s.mu.RLock()
	owner := s.owner
	s.mu.RUnlock()
	if owner == clusterUID {
		return nil
	}
	if owner != "" {
		if err := s.Release(ctx, "EnrolledAnew"); err != nil {
			return err
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.backend.Write(ctx, []Write{{Key: cursorKey}, {Key: ownerKey, Value: []byte(clusterUID)}}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner, s.cursor = clusterUID, nil
	return nil
}

// Release asks for all objects to be let go, unmanaged: what remains to do when a hub has deleted the cluster. Removals
// that are under way become releases, too.
func (s *State) Release(ctx context.Context, reason string) error {
	return s.change(ctx, func(next map[string]*Entry) {
		for uid, e := range next {
			if e.Removal.GetWorkloads() == yardarmv1.Workloads_WORKLOADS_KEEP {
				continue
			}
			e = clone(e)
			e.Hold = nil
			e.Removal = &spokev1.Tombstone{
				Bundle: e.Assignment.Bundle, BundleUid: uid,
				Workloads: yardarmv1.Workloads_WORKLOADS_KEEP, Reason: reason, Accepted: true,
			}
			next[uid] = e
		}
	})
}
