// Package health judges live objects: are they what their manifests ask for, on the way there, or failing, and why. The rules
// are kstatus's; while a workload is not ready, its pods are looked at, because a Deployment does not say that an image cannot
// be pulled until its deadline is over, ten minutes later.
//
// It reads and judges one object at a time and remembers nothing. reconcile says when.
package health
