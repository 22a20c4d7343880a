package node

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

const (
	// pauseImage holds pods' namespaces open, and workloadImage serves its argument: the same program, which has nothing else to do.
	pauseImage    = "yardarm.test/pause:1"
	workloadImage = "yardarm.test/workload:1"
)

// makeImages writes docker archives of Yardarm's own images, as `make images` does, and of what else runs on nodes.
func makeImages(ctx context.Context, dir string) error {
	root, err := fleet.Source(".")
	if err != nil {
		return err
	}
	own := exec.CommandContext(ctx, "go", "run", "./deploy/image", "-out", dir, "-version", "devel", "-programs", "yardarm-hub,yardarm-spoke",
		"-platforms", "linux/"+runtime.GOARCH)
	own.Dir = root
	if out, err := own.CombinedOutput(); err != nil {
		return fmt.Errorf("make images: %w\n%s", err, out)
	}
	program := filepath.Join(dir, "workload")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./e2e/node/workload")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the workload: %w\n%s", err, out)
	}
	image, err := oneProgram(program)
	if err != nil {
		return err
	}
	images := map[name.Tag]v1.Image{}
	for _, reference := range []string{pauseImage, workloadImage} {
		tag, err := name.NewTag(reference)
		if err != nil {
			return err
		}
		images[tag] = image
	}
	return tarball.MultiWriteToFile(filepath.Join(dir, "workload.tar"), images)
}

// oneProgram is an image with a program and nothing else.
func oneProgram(path string) (v1.Image, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	err = w.WriteHeader(&tar.Header{Name: "workload", Mode: 0o555, Size: int64(len(content))})
	_, writeErr := w.Write(content)
	if err := errors.Join(err, writeErr, w.Close()); err != nil {
		return nil, err
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, packed)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{"/workload"}, User: "65532:65532"}
	return mutate.ConfigFile(image, config)
}
