package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestSameDigest builds the sources twice, in folders of other names and with other times.
func TestSameDigest(t *testing.T) {
	if testing.Short() {
		t.Skip("links programs")
	}
	digest := func(name string, at time.Time) string {
		out := filepath.Join(t.TempDir(), "out")
		var said bytes.Buffer
		err := run(t.Context(), []string{
			"-source", sources(t, name, at), "-out", out, "-programs", "yardarm-spoke", "-version", "v1.2.3", "-platforms", "linux/" + runtime.GOARCH,
		}, &said)
		if err != nil {
			t.Fatal(err)
		}
		digest, _, ok := strings.Cut(strings.TrimPrefix(said.String(), "yardarm-dev/yardarm-spoke:v1.2.3@"), " ")
		if !ok || !strings.HasPrefix(digest, "sha256:") {
			t.Fatalf("says %q", said.String())
		}
		checkLayout(t, filepath.Join(out, "yardarm-spoke"), digest)
		checkArchive(t, filepath.Join(out, "yardarm-spoke-linux-"+runtime.GOARCH+".tar"))
		return digest
	}
	first := digest("one", time.Now())
	if second := digest("another", time.Now().AddDate(-1, 0, 0)); second != first {
		t.Errorf("two builds of the same sources: %s and %s", first, second)
	}
}

// sources copies what git knows of the repository into a folder, without git's own.
func sources(t *testing.T, name string, at time.Time) string {
	t.Helper()
	root := filepath.Join("..", "..")
	list, err := exec.Command("git", "-C", root, "ls-files", "-co", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), name)
	for path := range strings.Lines(string(list)) {
		path = strings.TrimSpace(path)
		content, err := os.ReadFile(filepath.Join(root, path))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		to := filepath.Join(dir, path)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, content, 0o644), os.Chtimes(to, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// checkLayout reads a layout as tools do.
func checkLayout(t *testing.T, dir, digest string) {
	t.Helper()
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	list, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Manifests) != 2 || list.Manifests[0].Digest.String() != digest || list.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "v1.2.3" {
		t.Fatalf("index.json: %+v", list.Manifests)
	}
	index, err := root.ImageIndex(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	platforms, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if p := platforms.Manifests[0].Platform; len(platforms.Manifests) != 1 || p.String() != "linux/"+runtime.GOARCH {
		t.Errorf("platforms: %+v", platforms.Manifests)
	}
	checkSBOM(t, layout.Path(dir), list.Manifests[1], platforms.Manifests[0].Digest)
}

// checkSBOM follows an artifact to the image that it is about, and to its list.
func checkSBOM(t *testing.T, from layout.Path, artifact v1.Descriptor, subject v1.Hash) {
	t.Helper()
	content, err := from.Bytes(artifact.Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if artifact.ArtifactType != sbomType || manifest.ArtifactType != sbomType || manifest.Subject == nil || manifest.Subject.Digest != subject {
		t.Errorf("the SBOM's manifest: %s", content)
	}
	for _, d := range []v1.Descriptor{manifest.Config, manifest.Layers[0]} {
		if content, err = from.Bytes(d.Digest); err != nil || int64(len(content)) != d.Size {
			t.Errorf("%s: %d bytes, %v", d.MediaType, len(content), err)
		}
	}
	var list sbom
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range list.Components {
		found[c.Name] = c.PURL
		if c.Version == "" || strings.Contains(c.Version, "go") || c.Name != "stdlib" && len(c.Hashes) == 0 {
			t.Errorf("component %+v", c)
		}
	}
	for _, want := range []string{"stdlib", "google.golang.org/grpc", "k8s.io/client-go"} {
		if !strings.HasPrefix(found[want], "pkg:golang/"+want+"@") {
			t.Errorf("%s is not in the list", want)
		}
	}
	if list.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("metadata: %+v", list.Metadata)
	}
}

// checkArchive looks at what is in the image, and as whom it runs.
func checkArchive(t *testing.T, path string) {
	t.Helper()
	image, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != user || len(config.Config.Entrypoint) != 1 || config.Config.Entrypoint[0] != "/yardarm-spoke" || config.Created.Unix() != 0 ||
		config.Config.Labels["org.opencontainers.image.version"] != "v1.2.3" {
		t.Errorf("configuration: %+v", config)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Mode&0o022 != 0 || header.ModTime.Unix() != 0 {
			t.Errorf("%s: %+v", header.Name, header)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(files[certificatesFile], []byte("BEGIN CERTIFICATE")) {
		t.Error("there are no root certificates")
	}
	info, err := buildinfo.Read(bytes.NewReader(files["yardarm-spoke"]))
	if err != nil {
		t.Fatal(err)
	}
	if (binary{info: info}).setting("CGO_ENABLED") != "0" {
		t.Error("the program is not static")
	}
}

func TestArgumentsThatMakeNoSense(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-programs kubectl", "no program"},
		{"-platforms amd64", "OS/ARCHITECTURE"},
		{"hub", "unexpected"},
		{"-source /nonexistent -programs yardarm -platforms linux/amd64", "build for linux/amd64"},
	} {
		if err := run(t.Context(), append([]string{"-out", filepath.Join(t.TempDir(), "out")}, strings.Fields(c.args)...), io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
}
