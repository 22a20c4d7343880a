// Package version tells which build this is.
package version

import (
	"runtime"
	"runtime/debug"
)

// version is set by the build, with -ldflags "-X …/pkg/version.version=v1.2.3".
var version string

// String is the version of this build: the one it was built as, or the commit it was built from, or "devel".
func String() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel-" + s.Value[:12]
			}
		}
	}
	return "devel"
}

// Long adds what a bug report needs.
func Long() string {
	return String() + " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}
