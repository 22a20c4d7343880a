package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// checkDependencies refuses a bundle that would, through others, wait for itself: none of them would ever begin. Bundles that are not there are
// no reason to refuse, so that the order in which bundles are made does not matter: see missingDependencies.
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

// missingDependencies warns of bundles that one waits for and that are not there.
func missingDependencies(tx *store.ReadTx, b *yardarmv1.Bundle) []string {
	var missing []string
	for _, d := range b.GetSpec().GetDelivery().GetDependsOn() {
		if tx.BundleByName(d.GetBundle()) == nil {
			missing = append(missing, fmt.Sprintf("%q", d.GetBundle()))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return []string{fmt.Sprintf("bundle %q waits for %s, of which there is none yet", b.GetMetadata().GetName(), strings.Join(missing, ", "))}
}
