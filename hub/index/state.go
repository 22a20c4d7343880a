package index

import (
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// stateOf sums a cluster up. What is not known to be so now never counts as ready: a cluster that has not come back since the hub's start is stale,
// whatever it said before.
func stateOf(p *store.Presence, bundles *yardarmv1.PhaseCounts) string {
	switch {
	case p == nil || p.State == yardarmv1.PresenceNeverConnected:
		return yardarmv1.StateNeverConnected
	case p.State != yardarmv1.PresenceConnected || bundles.GetStale() > 0:
		return yardarmv1.StateStale
	case bundles.GetFailed()+bundles.GetHeld() > 0:
		return yardarmv1.StateDegraded
	case bundles.GetProgressing()+bundles.GetPending() > 0:
		return yardarmv1.StateProgressing
	case bundles.GetDrifted() > 0:
		return yardarmv1.StateDrifted
	}
	return yardarmv1.StateReady
}
