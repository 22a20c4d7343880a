package main

import (
	"path"
	"strings"
)

// allowedSkip is a test that may skip itself.
type allowedSkip struct {
	pkg  string // folder in the repository
	test string // pattern of path.Match
	why  string
}

func (a allowedSkip) matches(pkg, test string) bool {
	ok, err := path.Match(a.test, test)
	return a.pkg == pkg && ok && err == nil
}

// allowedSkips are all tests that may skip themselves. What a machine lacks is no reason: it gets it, or the test is not one.
//
// Inputs of fuzz tests are another matter. A fuzz test skips those that its property says nothing about, and so it counts only
// if it skips all of them.
var allowedSkips = []allowedSkip{
	{pkg: "e2e/scenarios", test: "TestFullDisk", why: "only root may mount a small file system; CI is root"},
	{pkg: "e2e/stream", test: "TestDoomedHub", why: "it is the process that TestSpokesNeverSeeWhatIsLost starts, and no test by itself"},
	{pkg: "e2e/scenarios", test: "TestMonitoring", why: "Prometheus is installed only for CI, as root on a Debian"},
	{pkg: "e2e/outbound", test: "TestOutbound", why: "only root may make network namespaces; CI is root"},
	{pkg: "hub/source/oci", test: "Test*", why: "an OCI registry is installed only for CI, as root on a Debian"},
	{pkg: "hub/source", test: "TestArtifact*", why: "an OCI registry is installed only for CI, as root on a Debian"},
	{pkg: "hub/source/git", test: "TestSSH*", why: "an SSH server is installed only for CI, as root on a Debian"},
	{pkg: "hub/source", test: "TestSSH*", why: "an SSH server is installed only for CI, as root on a Debian"},
	{pkg: "e2e/node", test: "TestInstall", why: "only root on a Debian may start a node; CI is both"},
}

// fuzzInput says whether a test is one input of a fuzz test, a seed or one that was found earlier, and of which.
func fuzzInput(test string) (of string, ok bool) {
	top, _, below := strings.Cut(test, "/")
	return top, below && strings.HasPrefix(top, "Fuzz")
}
