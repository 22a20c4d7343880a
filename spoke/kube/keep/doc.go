// Package keep keeps in Secrets what a spoke in a cluster needs to come back as the same one, so that its pod can come up on
// any node without a volume: its state ([State], for package state) and its identity ([Identity], for package enroll).
//
// It stands apart from package kube because those packages know the hub's protocol, and what applies objects must not.
package keep
