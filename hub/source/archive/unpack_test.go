package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const digest = "sha256:0000"

// pack makes an archive of entries, as a stranger may.
func pack(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		text := []byte("text of " + e.Name)
		if e.Typeflag == 0 {
			e.Typeflag, e.Size = tar.TypeReg, max(e.Size, int64(len(text)))
		}
		if e.Typeflag != tar.TypeXGlobalHeader {
			e.Mode = 0o777
		}
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		if e.Typeflag == tar.TypeReg {
			if _, err := w.Write(append(text, make([]byte, e.Size-int64(len(text)))...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(data)
	_ = w.Close()
	return out.Bytes()
}

func unpack(c *Cache, data []byte, strip int) (fs.FS, error) {
	return c.Add(digest, func(u *Unpacker) error { return u.Tar(bytes.NewReader(data), strip) })
}

// TestUnpack reads what an archive holds, packed or not, with the links in it that stay in it.
func TestUnpack(t *testing.T) {
	data := pack(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "a commit"}},
		tar.Header{Name: "app/", Typeflag: tar.TypeDir}, tar.Header{Name: "app/a.yaml"}, tar.Header{Name: "./app/b/c.yaml"},
		tar.Header{Name: "app/link.yaml", Typeflag: tar.TypeSymlink, Linkname: "b/c.yaml"}, tar.Header{Name: "app/out", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})
	for name, packed := range map[string][]byte{"plain": data, "by gzip": zipped(data)} {
		t.Run(name, func(t *testing.T) {
			c := &Cache{Dir: filepath.Join(t.TempDir(), "cache")}
			if _, ok := c.Open(digest); ok {
				t.Fatal("there is a tree before there is one")
			}
			if _, err := unpack(c, packed, 1); err != nil {
				t.Fatal(err)
			}
			tree, ok := c.Open(digest)
			if !ok {
				t.Fatal("there is no tree")
			}
			for file, want := range map[string]string{"a.yaml": "text of app/a.yaml", "b/c.yaml": "text of ./app/b/c.yaml", "link.yaml": "text of ./app/b/c.yaml"} {
				if text, err := fs.ReadFile(tree, file); err != nil || string(text) != want {
					t.Errorf("%s holds %q, %v", file, text, err)
				}
			}
			if text, err := fs.ReadFile(tree, "out"); err == nil || !strings.Contains(err.Error(), "path escapes") {
				t.Errorf("a link that leads out was followed to %q, %v", text, err)
			}
			if err := c.Keep(nil); err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// TestHostile unpacks archives that are not well meant. Nothing of them stays, and nothing is written elsewhere.
func TestHostile(t *testing.T) {
	many := make([]tar.Header, maxEntries+1)
	for i := range many {
		many[i] = tar.Header{Name: "d", Typeflag: tar.TypeDir}
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"absolute":      {pack(t, tar.Header{Name: "/a.yaml"}), "absolute"},
		"out":           {pack(t, tar.Header{Name: "a/../../a.yaml"}), "leads out"},
		"by a link":     {pack(t, tar.Header{Name: "d", Typeflag: tar.TypeSymlink, Linkname: "../.."}, tar.Header{Name: "d/a.yaml"}), "leads out of the archive by a symbolic link"},
		"over a link":   {pack(t, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "../../a"}, tar.Header{Name: "a"}), "leads out of the archive by a symbolic link"},
		"hard link":     {pack(t, tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}), "nothing else"},
		"device":        {pack(t, tar.Header{Name: "a", Typeflag: tar.TypeChar}), "nothing else"},
		"link twice":    {pack(t, tar.Header{Name: "a"}, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}), "twice"},
		"deep":          {pack(t, tar.Header{Name: strings.Repeat("d/", maxDepth) + "a"}), "in each other"},
		"long":          {pack(t, tar.Header{Name: strings.Repeat("d", maxName+1)}), "more than 1024 bytes"},
		"many":          {pack(t, many...), "more than 20000 files"},
		"large":         {pack(t, tar.Header{Name: "a", Size: 2 << 20}), "more than 1048576 bytes"},
		"large at last": {pack(t, tar.Header{Name: "a", Size: 1 << 19}, tar.Header{Name: "b", Size: 1<<19 + 1}), "more than 1048576 bytes"},
		"a bomb":        {zipped(pack(t, tar.Header{Name: "a", Size: 64 << 20})), "more than 1048576 bytes"},
		"cut off":       {pack(t, tar.Header{Name: "a", Size: 5000})[:2000], "cannot be unpacked"},
		"no archive":    {[]byte("no archive at all, but some bytes that pretend to be one"), "cannot be unpacked"},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			cache := &Cache{Dir: filepath.Join(top, "cache"), MaxSize: 1 << 20}
			_, err := unpack(cache, c.data, 0)
			var problem manifest.Problem
			var failed *reach.Error
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &problem) && !errors.As(err, &failed) {
				t.Errorf("%v, and %q is wanted, as the source's problem", err, c.want)
			}
			if failed != nil && strings.Contains(c.want, "more than") && failed.Reason != yardarmv1.SourceTooLarge {
				t.Errorf("the reason is %s", failed.Reason)
			}
			if left, err := filepath.Glob(top + "/*/*"); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
			if left, err := filepath.Glob(top + "/*"); err != nil || len(left) != 1 {
				t.Errorf("written elsewhere: %v, %v", left, err)
			}
		})
	}
}

// FuzzTar unpacks anything: nothing is written out of the cache, and nothing is read from elsewhere.
func FuzzTar(f *testing.F) {
	f.Add(pack(f, tar.Header{Name: "a/b.yaml"}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "a"}, tar.Header{Name: "l/c"}))
	f.Add(zipped(pack(f, tar.Header{Name: "../a"})))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		tree, err := unpack(&Cache{Dir: filepath.Join(top, "cache"), MaxSize: 1 << 20}, data, 0)
		if left, err := filepath.Glob(top + "/*"); err != nil || len(left) != 1 {
			t.Fatalf("written elsewhere: %v, %v", left, err)
		}
		if err != nil {
			return
		}
		_ = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if _, err := fs.ReadFile(tree, name); err != nil {
					t.Errorf("read %s: %v", name, err)
				}
			}
			return nil
		})
	})
}
