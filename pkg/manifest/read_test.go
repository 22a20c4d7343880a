package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes files under a new directory, with their paths as content.
func tree(t *testing.T, paths ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, path := range paths {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(root, path)
		if err := os.WriteFile(path, []byte(rel), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func link(t *testing.T, target string, path ...string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(path...)); err != nil {
		t.Fatal(err)
	}
}

func TestReadDir(t *testing.T) {
	root := tree(t, "b.yaml", "a/z.yml", "a/b/c.json", "a.YAML", "README.md", ".hidden.yaml", ".git/x.yaml", "a/..data/x.yaml", "a/none", "z/z/z/z.yaml")
	link(t, "../b.yaml", root, "a", "inside.yaml")
	link(t, "none", root, "a", "link-to-other")
	files, err := ReadDir(root, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range files {
		got = append(got, file.Path+"="+string(file.Data))
	}
	const want = "a.YAML=a.YAML a/b/c.json=a/b/c.json a/inside.yaml=b.yaml a/z.yml=a/z.yml b.yaml=b.yaml z/z/z/z.yaml=z/z/z/z.yaml"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

// A mounted ConfigMap is links to files in a hidden directory that is a link itself.
func TestReadDirOfMountedConfigMap(t *testing.T) {
	root := tree(t, "..2026_01_01/app.yaml")
	link(t, "..2026_01_01", root, "..data")
	link(t, "..data/app.yaml", root, "app.yaml")
	files, err := ReadDir(root, Limits{})
	if err != nil || len(files) != 1 || files[0].Path != "app.yaml" || string(files[0].Data) != "..2026_01_01/app.yaml" {
		t.Errorf("got %v, %v", files, err)
	}
}

func TestReadDirRefuses(t *testing.T) {
	outside := tree(t, "secret.yaml", "dir/x.yaml")
	tests := []struct {
		name   string
		make   func(root string)
		limits Limits
		want   error
	}{
		{"link out by an absolute path", func(root string) { link(t, filepath.Join(outside, "secret.yaml"), root, "x.yaml") }, Limits{}, ErrSymlink},
		{"link out by a relative path", func(root string) {
			rel, _ := filepath.Rel(root, filepath.Join(outside, "secret.yaml"))
			link(t, rel, root, "x.yaml")
		}, Limits{}, ErrSymlink},
		{"link to a directory outside", func(root string) { link(t, filepath.Join(outside, "dir"), root, "x") }, Limits{}, ErrSymlink},
		{"link to a directory inside", func(root string) { link(t, "a", root, "x") }, Limits{}, ErrSymlink},
		{"link to itself", func(root string) { link(t, "x.yaml", root, "x.yaml") }, Limits{}, ErrSymlink},
		{"link to nothing", func(root string) { link(t, "none.yaml", root, "x.yaml") }, Limits{}, ErrSymlink},
		{"files", func(string) {}, Limits{Files: 1}, ErrTooManyFiles},
		{"bytes", func(string) {}, Limits{Bytes: 14}, ErrArtifactTooLarge},
		{"depth", func(string) {}, Limits{DirDepth: 1}, ErrTooDeep},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := tree(t, "a.yaml", "a/b/c.yaml")
			test.make(root)
			files, err := ReadDir(root, test.limits)
			if files != nil || !errors.Is(err, test.want) {
				t.Errorf("got %v, %v, want %v", files, err, test.want)
			}
		})
	}
	root := tree(t, "a.yaml", "a/b/c.yaml")
	if files, err := ReadDir(root, Limits{Files: 2, DirDepth: 2, Bytes: 16}); err != nil || len(files) != 2 {
		t.Errorf("just within the limits: %v, %v", files, err)
	}
	if _, err := ReadDir(filepath.Join(root, "none"), Limits{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	if _, err := ReadDir(filepath.Join(root, "a.yaml"), Limits{}); err == nil {
		t.Error("a file is taken for a directory")
	}
}
