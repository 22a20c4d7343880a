package main

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// user is a number, since runAsNonRoot cannot judge a name, and an image from scratch has no names.
	user = "65532:65532"
	// home is the only project page that there is.
	home = "https://github.com/yardarm-dev/yardarm"
)

// image is one platform's, and its list of contents.
type image struct {
	platform platform
	image    v1.Image
	sbom     []byte
}

// newImage makes the image of a built program.
func newImage(b build, p platform, built binary) (image, error) {
	content, err := layer([]file{
		{name: "etc/", mode: 0o755},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: certificatesFile, mode: 0o444, content: certificates()},
		{name: b.program, mode: 0o555, content: built.content},
	}, built.created())
	if err != nil {
		return image{}, err
	}
	packed, err := tarball.LayerFromOpener(opener(content), tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return image{}, err
	}
	created := v1.Time{Time: built.created()}
	scratch := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	full, err := mutate.Append(scratch, mutate.Addendum{
		Layer: packed, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: "deploy/image"},
	})
	if err != nil {
		return image{}, err
	}
	full, err = mutate.ConfigFile(full, configFile(full, b, p, built))
	if err != nil {
		return image{}, fmt.Errorf("configure: %w", err)
	}
	sbom, err := newSBOM(b, built)
	return image{platform: p, image: full, sbom: sbom}, err
}

// configFile says how the image is run.
func configFile(base v1.Image, b build, p platform, built binary) *v1.ConfigFile {
	config, err := base.ConfigFile()
	if err != nil {
		panic("image: " + err.Error()) // it was made in memory just now
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = p.os, p.arch
	config.Created = v1.Time{Time: built.created()}
	config.Config = v1.Config{
		User:       user,
		Entrypoint: []string{"/" + b.program},
		WorkingDir: "/",
		Labels:     annotations(b, built),
	}
	return config
}

// annotations are OCI's own, as labels too, since docker shows only those.
func annotations(b build, built binary) map[string]string {
	all := map[string]string{
		"org.opencontainers.image.title":   b.program,
		"org.opencontainers.image.version": b.version,
		"org.opencontainers.image.source":  home,
		"org.opencontainers.image.created": built.created().Format("2006-01-02T15:04:05Z"),
	}
	if revision := built.setting("vcs.revision"); revision != "" {
		all["org.opencontainers.image.revision"] = revision
	}
	return all
}
