// Package policy is what those who run a cluster let its spoke do there, whatever a hub says: which namespaces and kinds it may
// write, whether it may write at all now, and as whom. The hub neither knows nor changes it.
//
//	Parse     a file, strictly: what is misspelt is an error with its line, since a rule that is not in force is worse than none
//	Evaluate  may bundles write this object? With the rule that says so, by its place in the file
//	Account   as which service account is a bundle written?
//	Source    the policy that is in force, read again when its file changes
//
// It judges and does nothing; package reconcile asks it before everything that it writes. What each field means is in README.md.
package policy
