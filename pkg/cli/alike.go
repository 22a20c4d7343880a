package cli

import (
	"fmt"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// namedAlike is how many clusters are named that are alike; the others are counted.
const namedAlike = 3

// alike puts assignments together that are not ready for the same cause: of one bundle and revision, in one phase, for one reason and because of one object.
// Their messages may differ, for they name pods and times. The order is that of the first of each.
func alike(list []*yardarmv1.Assignment) [][]*yardarmv1.Assignment {
	var rows [][]*yardarmv1.Assignment
	place := make(map[string]int)
	for _, x := range list {
		c := causeOf(x)
		key := strings.Join([]string{x.GetSpec().GetBundle(), number(x.GetSpec().GetRevision()), x.GetStatus().GetPhase(), c.reason, c.object}, "\x00")
		i, ok := place[key]
		if !ok {
			i = len(rows)
			place[key] = i
			rows = append(rows, nil)
		}
		rows[i] = append(rows[i], x)
	}
	return rows
}

// clustersOf is as in "eu-1", or "5 clusters: eu-1, eu-2, eu-3…".
func clustersOf(same []*yardarmv1.Assignment) string {
	if len(same) == 1 {
		return same[0].GetSpec().GetCluster()
	}
	var names []string
	for _, x := range first(same, namedAlike) {
		names = append(names, x.GetSpec().GetCluster())
	}
	text := fmt.Sprintf("%d clusters: %s", len(same), strings.Join(names, ", "))
	if len(same) > len(names) {
		text += "…"
	}
	return text
}

// phaseOf is the phase that they share.
func (a *app) phaseOf(same []*yardarmv1.Assignment) string {
	if len(same) == 1 {
		return a.phase(same[0])
	}
	return same[0].GetStatus().GetPhase()
}

// whyOf is the cause that they share. Where it is about the whole and words differ, as with the time when each was last heard, it says whose words these are.
func (a *app) whyOf(same []*yardarmv1.Assignment) string {
	shared := causeOf(same[0])
	if len(same) == 1 || shared.object != "" {
		return a.shortWhy(same[0])
	}
	for _, x := range same[1:] {
		if causeOf(x).message != shared.message {
			suffix := " (" + same[0].GetSpec().GetCluster() + "; the others likewise)"
			return table.Clean(shared.short(suffix) + suffix)
		}
	}
	return a.shortWhy(same[0])
}
