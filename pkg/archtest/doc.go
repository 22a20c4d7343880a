// Package archtest keeps the shape of the repository: who may import whom, what lies at the top level, how long a file may
// get. It has no code of its own, only tests, and nobody imports it; `make test` runs it with all others.
//
// rules_test.go is the place to read, and to change when the shape is to change. A rule speaks of what ends up in a program,
// so it looks at imports of imports, and not at what tests import. It fails with the chain of imports that breaks it:
//
//	hub/store → hub/x → k8s.io/client-go/rest
package archtest
