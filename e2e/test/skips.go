package main

import "path"

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

// allowedSkips are all tests that may skip themselves. What cannot run on a machine without something is not to be found here:
// the machine gets it, or the test is not one.
var allowedSkips = []allowedSkip{
	{"pkg/manifest", "FuzzScalar/*", "seeds that are not scalars"},
}
