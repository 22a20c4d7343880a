// Package health judges live objects: are they what their manifests ask for, on the way there, or failing, and why. A bundle's own rule for
// a kind comes first; then come the kinds that need more than kstatus knows (kinds.go), and then kstatus. While a workload is not ready, its pods
// are looked at, because a Deployment does not say that an image cannot be pulled until its deadline is over, ten minutes later.
//
// It reads and judges one object at a time and remembers nothing. reconcile says when.
package health
