package index

import (
	"testing"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestStateOf(t *testing.T) {
	ready := &yardarmv1.PhaseCounts{Total: 2, Ready: 2}
	for _, tc := range []struct {
		presence string
		bundles  *yardarmv1.PhaseCounts
		want     string
	}{
		{"", ready, yardarmv1.StateNeverConnected},
		{yardarmv1.PresenceNeverConnected, ready, yardarmv1.StateNeverConnected},
		{yardarmv1.PresenceStale, ready, yardarmv1.StateStale},
		{yardarmv1.PresenceUnknown, ready, yardarmv1.StateStale},
		{yardarmv1.PresenceConnected, nil, yardarmv1.StateReady},
		{yardarmv1.PresenceConnected, ready, yardarmv1.StateReady},
		{yardarmv1.PresenceConnected, &yardarmv1.PhaseCounts{Ready: 2, Drifted: 1}, yardarmv1.StateDrifted},
		{yardarmv1.PresenceConnected, &yardarmv1.PhaseCounts{Pending: 1, Drifted: 1}, yardarmv1.StateProgressing},
		{yardarmv1.PresenceConnected, &yardarmv1.PhaseCounts{Progressing: 1, Failed: 1}, yardarmv1.StateDegraded},
		{yardarmv1.PresenceConnected, &yardarmv1.PhaseCounts{Ready: 1, Held: 1}, yardarmv1.StateDegraded},
	} {
		var p *store.Presence
		if tc.presence != "" {
			p = &store.Presence{State: tc.presence}
		}
		if got := stateOf(p, tc.bundles); got != tc.want {
			t.Errorf("%s with %v: %s, want %s", tc.presence, tc.bundles, got, tc.want)
		}
	}
}
