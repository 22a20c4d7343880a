package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// emptyType is the media type of the configuration of an artifact that needs none, which is "{}".
const emptyType = "application/vnd.oci.empty.v1+json"

// write writes a layout with all platforms' images, and an archive of each, and answers the index's digest.
func write(images []image, reference, dir string) (digest string, err error) {
	tag, err := name.NewTag(reference)
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	to, err := layout.Write(dir, empty.Index)
	if err != nil {
		return "", err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, i := range images {
		p := &v1.Platform{OS: i.platform.os, Architecture: i.platform.arch}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: i.image, Descriptor: v1.Descriptor{Platform: p}})
	}
	// Both names, since tools differ in which one they look for.
	named := layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": tag.TagStr(), "io.containerd.image.name": tag.Name(),
	})
	if err := to.AppendIndex(index, named); err != nil {
		return "", err
	}
	for _, i := range images {
		if err := attach(to, i); err != nil {
			return "", fmt.Errorf("attach the SBOM: %w", err)
		}
		archive := fmt.Sprintf("%s-%s-%s.tar", dir, i.platform.os, i.platform.arch)
		if err := tarball.WriteToFile(archive, tag, i.image); err != nil {
			return "", fmt.Errorf("write %s: %w", filepath.Base(archive), err)
		}
	}
	hash, err := index.Digest()
	return hash.String(), err
}

// attach writes an image's SBOM as an artifact that refers to it. Registries list it among the image's referrers.
func attach(to layout.Path, i image) error {
	subject, err := partial.Descriptor(i.image)
	if err != nil {
		return err
	}
	config, err := blob(to, emptyType, []byte("{}"))
	if err != nil {
		return err
	}
	content, err := blob(to, sbomType, i.sbom)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: sbomType,
		Config: config, Layers: []v1.Descriptor{content},
		Subject: &v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest},
	})
	if err != nil {
		return err
	}
	artifact, err := blob(to, types.OCIManifestSchema1, manifest)
	if err != nil {
		return err
	}
	artifact.ArtifactType = sbomType
	return to.AppendDescriptor(artifact)
}

// blob writes content into a layout.
func blob(to layout.Path, kind types.MediaType, content []byte) (v1.Descriptor, error) {
	hash, size, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: kind, Size: size, Digest: hash}, to.WriteBlob(hash, io.NopCloser(bytes.NewReader(content)))
}
