package main

import "slices"

// long are the packages whose tests take longest, the longest first. The go command begins them in the order in which they are named, so that none is left at the
// end with nothing beside it.
var long = []string{"e2e/outbound", "spoke/reconcile", "hub/api", "deploy/image", "hub/store", "pkg/manifest", "pkg/cli", "pkg/render"}

// turn is where among others a package's tests begin.
func turn(pkg string) int {
	if i := slices.Index(long, local(pkg)); i >= 0 {
		return i
	}
	return len(long)
}

// alone are the packages that promise times, or start so much that others would wait for it.
var alone = []string{"e2e/browser", "e2e/fleetsim", "e2e/hostile", "e2e/scenarios", "e2e/signin", "e2e/stream"}

// runsAlone says whether a package's tests run with no other's beside them.
func runsAlone(pkg string) bool { return slices.Contains(alone, local(pkg)) }
