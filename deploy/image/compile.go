package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// versionVariable is what the linker sets to the version, as `make build` does.
const versionVariable = "github.com/yardarm-dev/yardarm/pkg/version.version"

// build is one program, from one state of the sources.
type build struct {
	source, program, pkg, version string
}

// platform is what Go calls GOOS and GOARCH.
type platform struct{ os, arch string }

// binary is a built program: its content, and what Go wrote into it about its making.
type binary struct {
	content []byte
	info    *buildinfo.BuildInfo
}

// compile builds the program for a platform into a folder. Nothing of the machine is in it: no paths, no C library, no time.
func (b build) compile(ctx context.Context, p platform, dir string) (binary, error) {
	path := filepath.Join(dir, b.program)
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X "+versionVariable+"="+b.version, "-o", path, b.pkg)
	command.Dir = b.source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch,
		// What a user may have set, and what would then be in the program.
		"GOFLAGS=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=")
	if out, err := command.CombinedOutput(); err != nil {
		return binary{}, fmt.Errorf("build for %s/%s: %w\n%s", p.os, p.arch, err, out)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return binary{}, err
	}
	content, err := os.ReadFile(path)
	return binary{content, info}, err
}

// setting is what Go wrote about the build, as vcs.revision; empty where the sources are no repository.
func (b binary) setting(key string) string {
	for _, s := range b.info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// created is the time of the commit, since the build's own would be another at every build; without a commit it is the epoch.
func (b binary) created() time.Time {
	if t, err := time.Parse(time.RFC3339, b.setting("vcs.time")); err == nil {
		return t.UTC()
	}
	return time.Unix(0, 0).UTC()
}
