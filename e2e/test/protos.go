package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// protos checks the messages against what they were, and the generated code against what it should be.
type protos struct {
	commands
	// against is the commit to be compatible with; "" finds one.
	against string
}

// breaking fails if the working tree's messages are not compatible with those of an earlier commit.
//
// buf could read the commit from .git itself, but that fails in a worktree and in some shallow clones; an archive always works.
func (p protos) breaking(ctx context.Context, out io.Writer) (tally, error) {
	commit, why, err := p.base(ctx)
	if err != nil {
		return tally{}, err
	}
	fmt.Fprintf(out, "comparing with %.12s, %s\n", commit, why)
	before, err := os.MkdirTemp("", "yardarm-protos-")
	if err != nil {
		return tally{}, failure("make a folder for the earlier messages", err)
	}
	defer os.RemoveAll(before)
	archive, err := p.command(ctx, "git", "archive", "--format=tar", commit, "proto").Output()
	if err != nil {
		return tally{}, failure("git archive "+commit, err)
	}
	if err := unpack(archive, before); err != nil {
		return tally{}, failure("unpack the earlier messages", err)
	}
	// Today's rules judge; an earlier commit may have had none.
	config, err := os.ReadFile(filepath.Join(p.dir, "buf.yaml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(before, "buf.yaml"), config, 0o600)
	}
	if err != nil {
		return tally{}, failure("copy buf.yaml", err)
	}
	return tally{}, p.run(ctx, out, "go", tool("buf", "breaking", "--against", before)...)
}

// base is the commit to compare with, and why it is that one. On a branch it is where the branch left main. On main itself it
// is the last commit with other messages than today's, so that a break is found by whoever runs this next, not only in the
// run of the very commit. Where history ends before that (a shallow clone), it is the current commit, which says little; a
// full clone says more.
func (p protos) base(ctx context.Context) (commit, why string, err error) {
	rev := func(name string) string {
		id, err := p.output(ctx, "git", "rev-parse", "--verify", "--quiet", name+"^{commit}")
		if err != nil {
			return ""
		}
		return id
	}
	hasProtos := func(commit string) bool {
		files, err := p.output(ctx, "git", "ls-tree", "-r", "--name-only", commit, "proto")
		return err == nil && strings.Contains(files, ".proto")
	}
	if p.against != "" {
		if commit := rev(p.against); commit != "" && hasProtos(commit) {
			return commit, "as asked", nil
		}
		return "", "", fmt.Errorf("there is no commit %q with messages", p.against)
	}
	head := rev("HEAD")
	if head == "" {
		_, err := p.output(ctx, "git", "rev-parse", "HEAD")
		return "", "", errors.Join(errors.New("there is no commit to compare with"), err)
	}
	for _, main := range []string{"origin/main", "main"} {
		if rev(main) == "" {
			continue
		}
		left, err := p.output(ctx, "git", "merge-base", "HEAD", main)
		if err == nil && left != head && hasProtos(left) {
			return left, "where this branch left " + main, nil
		}
	}
	changed, err := p.output(ctx, "git", "status", "--porcelain", "--", ":(glob)proto/**/*.proto")
	if err != nil {
		return "", "", err
	}
	if changed != "" {
		return head, "the last commit: messages have changed since", nil
	}
	last, err := p.output(ctx, "git", "log", "-1", "--format=%H", "--", ":(glob)proto/**/*.proto")
	if err != nil {
		return "", "", err
	}
	if before := rev(last + "^"); last != "" && before != "" && hasProtos(before) {
		return before, "before the last change of messages", nil
	}
	return head, "the current commit: there is no earlier one with messages here", nil
}

// current fails if the committed code is not what its sources generate. It generates into a folder of its own: a check
// changes nothing.
func (p protos) current(ctx context.Context, out io.Writer) (tally, error) {
	fresh, err := os.MkdirTemp("", "yardarm-generated-")
	if err != nil {
		return tally{}, failure("make a folder to generate into", err)
	}
	defer os.RemoveAll(fresh)
	if err := p.run(ctx, out, "go", tool("buf", "generate", "--template", "proto/buf.gen.yaml", "-o", fresh)...); err != nil {
		return tally{}, err
	}
	differences, err := differ(filepath.Join(fresh, "proto"), filepath.Join(p.dir, "proto"))
	if err != nil {
		return tally{}, failure("compare generated code", err)
	}
	if len(differences) > 0 {
		return tally{}, fmt.Errorf("%s: run make generate and commit the result", strings.Join(differences, "; "))
	}
	return tally{}, nil
}

// differ compares generated files with those in the tree, and answers what differs.
func differ(fresh, tree string) ([]string, error) {
	want, err := generatedFiles(fresh)
	if err != nil {
		return nil, err
	}
	if len(want) == 0 {
		return nil, errors.New("nothing was generated")
	}
	have, err := generatedFiles(tree)
	if err != nil {
		return nil, err
	}
	var differences []string
	for name, content := range want {
		switch old, ok := have[name]; {
		case !ok:
			differences = append(differences, "proto/"+name+" is missing")
		case !bytes.Equal(old, content):
			differences = append(differences, "proto/"+name+" is not current")
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			differences = append(differences, "proto/"+name+" has no source")
		}
	}
	slices.Sort(differences)
	return differences, nil
}

// generatedFiles reads a folder's generated files, by their path in it.
func generatedFiles(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		for _, ending := range []string{".pb.go", ".pb.gw.go", ".swagger.json"} {
			if strings.HasSuffix(name, ending) {
				files[name], err = fs.ReadFile(tree, name)
			}
		}
		return err
	})
	return files, err
}

// unpack writes an archive's files into a folder.
func unpack(archive []byte, dir string) error {
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			continue
		}
		name := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return err
		}
	}
}
