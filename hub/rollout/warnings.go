package rollout

import (
	"fmt"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Warnings are what a strategy that Check found nothing wrong with says in vain of the clusters that there are: a stage that gets none of those that it is for,
// and a failure budget that is more than the stage. There are none where there is no cluster.
func Warnings(bundleUID string, strategy *yardarmv1.RolloutStrategy, candidates []Candidate) (warnings []string) {
	if len(candidates) == 0 {
		return nil
	}
	for i, members := range divide(bundleUID, strategy.GetStages(), candidates) {
		s := strategy.Stages[i]
		if len(members) == 0 && (s.GetGroup() != "" || s.GetSelector() != nil) {
			why := "no cluster of the bundle is one of those that it is for"
			if takes := pick(s, nil, 0, 0); i > 0 && anyOf(candidates, takes) {
				why = "those that it is for go with stages before it"
			}
			warnings = append(warnings, fmt.Sprintf("stage %s gets no cluster: %s", nameOf(s, i), why))
		}
		if budget := mustShare(s.GetFailureBudget(), "0", len(members), false); len(members) > 0 && budget > len(members) {
			warnings = append(warnings, fmt.Sprintf("stage %s never fails: %s of its clusters may, and it has %d", nameOf(s, i), strings.TrimSpace(s.GetFailureBudget()), len(members)))
		}
	}
	return warnings
}

func anyOf(candidates []Candidate, takes func(Candidate) bool) bool {
	for _, c := range candidates {
		if takes(c) {
			return true
		}
	}
	return false
}
