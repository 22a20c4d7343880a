package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lint is the part of all that is checked without running it.
func lint(root, against string) part {
	repo := commands{dir: root}
	p := protos{commands: repo, against: against}
	return part{name: "lint", about: "what can be seen without running it", steps: []step{
		{name: "build tools", run: repo.buildTools},
		{name: "gofmt", run: repo.gofmt},
		{name: "go vet", run: repo.step("go", "vet", "./...")},
		{name: "staticcheck", run: repo.step("go", tool("staticcheck", "./...")...)},
		{name: "buf lint", run: repo.step("go", tool("buf", "lint")...)},
		{name: "buf breaking", run: p.breaking},
		{name: "generated code", run: p.current},
	}}
}

// buildTools has the tools built before they are used, so that the time it takes is not taken for theirs.
func (c commands) buildTools(ctx context.Context, out io.Writer) (tally, error) {
	fmt.Fprintln(out, "buf and staticcheck are built from source; the first time this takes some minutes")
	return tally{}, errors.Join(
		c.run(ctx, out, "go", tool("buf", "--version")...),
		c.run(ctx, out, "go", tool("staticcheck", "-version")...),
	)
}

// gofmt fails if a file is not formatted. It is the one beside the go command, whatever is in PATH.
func (c commands) gofmt(ctx context.Context, out io.Writer) (tally, error) {
	goroot, err := c.output(ctx, "go", "env", "GOROOT")
	if err != nil {
		return tally{}, err
	}
	folders, err := sourceFolders(c.dir)
	if err != nil {
		return tally{}, err
	}
	var listed strings.Builder
	err = c.run(ctx, io.MultiWriter(out, &listed), filepath.Join(goroot, "bin", "gofmt"), append([]string{"-l"}, folders...)...)
	// The first line is the command.
	if _, files, _ := strings.Cut(listed.String(), "\n"); err == nil && files != "" {
		err = errors.New("these files are not formatted: run gofmt -w on them")
	}
	return tally{}, err
}

// sourceFolders are those of the top folders that hold sources.
func sourceFolders(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, failure("list folders", err)
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" {
			folders = append(folders, e.Name())
		}
	}
	return folders, nil
}
