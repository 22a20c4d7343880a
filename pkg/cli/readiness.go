package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// parts is as in "5: 3 ready, 2 failed"; without the sum where there is one part.
func parts(total int, list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return fmt.Sprintf("%d: %s", total, strings.Join(list, ", "))
}

// presenceCounts counts clusters by presence, and those that are banned or being deleted besides.
func presenceCounts(clusters []*yardarmv1.Cluster) map[string]int {
	count := make(map[string]int)
	for _, c := range clusters {
		count[c.GetStatus().GetPresence()]++
		switch c.GetStatus().GetPhase() {
		case yardarmv1.ClusterBanned, yardarmv1.ClusterDeleting:
			count[c.GetStatus().GetPhase()]++
		}
	}
	return count
}

// presenceWords are what presenceCounts counts, in the order in which it is told.
var presenceWords = []struct{ presence, words, key string }{
	{yardarmv1.PresenceConnected, "connected", "connected"}, {yardarmv1.PresenceStale, "stale", "stale"},
	{yardarmv1.PresenceUnknown, "unknown", "unknown"}, {yardarmv1.PresenceNeverConnected, "never connected", "neverConnected"},
	{yardarmv1.ClusterBanned, "banned", "banned"}, {yardarmv1.ClusterDeleting, "being deleted", "deleting"},
}

// presences is as in "3: 2 connected, 1 stale", or "3 connected".
func (a *app) presences(clusters []*yardarmv1.Cluster) string {
	if len(clusters) == 0 {
		return "none; 'yardarm enroll NAME' adds one"
	}
	count := presenceCounts(clusters)
	var list []string
	for _, p := range presenceWords {
		if count[p.presence] > 0 {
			list = append(list, table.Paint(fmt.Sprintf("%d %s", count[p.presence], p.words), phaseColor(p.presence), a.colors()))
		}
	}
	return parts(len(clusters), list)
}

// readiness is as in "3: 1 ready everywhere, 1 failed somewhere, 1 not everywhere yet". Each bundle is told once, by the worst there is of it.
func (a *app) readiness(s *fleetState) string {
	if len(s.bundles) == 0 && len(s.waiting) == 0 {
		return "none; 'yardarm publish DIR --bundle NAME --to GROUP' makes one"
	}
	worst := make(map[string]*yardarmv1.Assignment)
	for _, x := range s.waiting {
		if name := x.GetSpec().GetBundle(); worst[name] == nil || severity(x) < severity(worst[name]) {
			worst[name] = x
		}
	}
	const ready, idle, underway, unknown, leaving = "ready everywhere", "in no cluster", "not everywhere yet", "unknown to the hub", "deleted and still in clusters"
	words := map[string]string{yardarmv1.PhaseFailed: "failed somewhere", yardarmv1.PhaseHeld: "held somewhere", yardarmv1.PhaseDegraded: "degraded somewhere"}
	count := make(map[string]int)
	for _, b := range s.bundles {
		name := b.GetMetadata().GetName()
		x := worst[name]
		delete(worst, name)
		switch {
		case x != nil:
			count[cmp.Or(words[x.GetStatus().GetPhase()], underway)]++
		case b.GetStatus().GetLatestRevision() == 0 || b.GetStatus().GetClusters().GetTotal() == 0:
			count[idle]++
		case rollsOut(b):
			count[underway]++
		default:
			count[ready]++
		}
	}
	total := len(s.bundles) + len(worst)
	for _, x := range worst { // of bundles that the hub does not list
		if x.GetStatus().GetReason() == yardarmv1.ReasonUnknownToHub {
			count[unknown]++
		} else {
			count[leaving]++
		}
	}
	var list []string
	for _, p := range []struct{ words, phase string }{
		{ready, yardarmv1.PhaseReady}, {words[yardarmv1.PhaseFailed], yardarmv1.PhaseFailed}, {words[yardarmv1.PhaseHeld], yardarmv1.PhaseHeld},
		{words[yardarmv1.PhaseDegraded], yardarmv1.PhaseDegraded}, {underway, yardarmv1.PhaseProgressing}, {idle, ""},
		{unknown, yardarmv1.PhaseHeld}, {leaving, yardarmv1.PhaseRemoving},
	} {
		if count[p.words] > 0 {
			list = append(list, table.Paint(fmt.Sprintf("%d %s", count[p.words], p.words), phaseColor(p.phase), a.colors()))
		}
	}
	return parts(total, list)
}
