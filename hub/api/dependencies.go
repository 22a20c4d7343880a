package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// checkDependencies refuses a bundle that would, through others, wait for itself: none of them would ever begin. Bundles that are not there are
// no reason to refuse, so that the order in which bundles are made does not matter: see dependencyWarnings.
func checkDependencies(tx *store.ReadTx, b *yardarmv1.Bundle) error {
	name := b.GetMetadata().GetName()
	path := dependencyPath(tx, b, name, map[string]bool{})
	if path == nil {
		return nil
	}
	return precondition(reasonCycle, yardarmv1.KindBundle, name, fmt.Sprintf(
		"bundle %q would wait for itself: %s; take one of them out of spec.delivery.dependsOn", name, strings.Join(append([]string{name}, path...), " waits for ")))
}

// dependencyPath is a way from a bundle to the one with the name, along what each waits for; nil if there is none. seen are the bundles from
// which none leads there.
func dependencyPath(tx *store.ReadTx, from *yardarmv1.Bundle, to string, seen map[string]bool) []string {
	for _, d := range from.GetSpec().GetDelivery().GetDependsOn() {
		next := d.GetBundle()
		if next == to {
			return []string{next}
		}
		if seen[next] {
			continue
		}
		seen[next] = true
		if path := dependencyPath(tx, tx.BundleByName(next), to, seen); path != nil {
			return append([]string{next}, path...)
		}
	}
	return nil
}

// dependencyWarnings tells of bundles that one waits for in vain: those that are not there, and those that are not for all of its clusters. Neither is
// refused, since what is missing may come next.
func dependencyWarnings(tx *store.ReadTx, b *yardarmv1.Bundle) []string {
	name := b.GetMetadata().GetName()
	var missing, warnings []string
	for _, d := range b.GetSpec().GetDelivery().GetDependsOn() {
		other := tx.BundleByName(d.GetBundle())
		if other == nil {
			missing = append(missing, fmt.Sprintf("%q", d.GetBundle()))
			continue
		}
		all, without, example := clustersWithout(tx, b, other)
		if without > 0 {
			warnings = append(warnings, fmt.Sprintf("bundle %q waits for %q, which does not go to %d of its %d clusters, such as %q; there it waits until %q targets them, too",
				name, d.GetBundle(), without, all, example, d.GetBundle()))
		}
	}
	slices.Sort(warnings)
	if len(missing) > 0 {
		slices.Sort(missing)
		warnings = append([]string{fmt.Sprintf("bundle %q waits for %s, of which there is none yet", name, strings.Join(missing, ", "))}, warnings...)
	}
	return warnings
}

// clustersWithout counts the clusters of a bundle, and those of them that another one does not go to, of which the first by name is the example. Those that
// are being deleted get neither.
func clustersWithout(tx *store.ReadTx, b, other *yardarmv1.Bundle) (all, without int, example string) {
	groups := groupsOf(other.GetSpec().GetTargets())
	if !slices.ContainsFunc(groupsOf(b.GetSpec().GetTargets()), func(group string) bool { return !slices.Contains(groups, group) }) {
		return 0, 0, "" // most bundles go where what they need goes, and that is known without looking at clusters
	}
	there := make(map[string]bool)
	for c := range tx.ClustersOf(other.GetMetadata().GetUid()) {
		there[c.GetMetadata().GetUid()] = true
	}
	for c := range tx.ClustersOf(b.GetMetadata().GetUid()) {
		if c.GetSpec().GetRemoval() != nil {
			continue
		}
		all++
		if there[c.GetMetadata().GetUid()] {
			continue
		}
		if without++; without == 1 {
			example = c.GetMetadata().GetName()
		}
	}
	return all, without, example
}
