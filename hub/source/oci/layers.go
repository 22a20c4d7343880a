package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/yardarm-dev/yardarm/hub/source/archive"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// chartLayer and chartSignature are of what `helm push` makes.
	chartLayer     = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	chartSignature = "application/vnd.cncf.helm.chart.provenance.v1.prov"
	// maxLayers is how many layers an artifact may have.
	maxLayers = 128
)

// unpack has an artifact's layers in the cache, one over the other.
func (a *asking) unpack(ctx context.Context, cache *archive.Cache, artifact ocispec.Descriptor) (fs.FS, error) {
	layers, err := a.layers(ctx, artifact, cache.Limit())
	if err != nil {
		return nil, err
	}
	return cache.Add(artifact.Digest.String(), func(u *archive.Unpacker) error {
		for _, layer := range layers {
			if layer.MediaType == chartSignature {
				continue
			}
			if err := a.layer(ctx, u, layer); err != nil {
				return err
			}
		}
		return nil
	})
}

// layers are those that an artifact's manifest names. Together they have at most so many bytes.
func (a *asking) layers(ctx context.Context, artifact ocispec.Descriptor, limit int64) ([]ocispec.Descriptor, error) {
	if artifact.Size > maxMetadata {
		return nil, reach.Failed(yardarmv1.SourceTooLarge, "the artifact's manifest is larger than %d bytes", maxMetadata)
	}
	data, err := content.FetchAll(ctx, a.Repository, artifact)
	if err != nil {
		return nil, a.failed(err, "the registry has lost the artifact %s", artifact.Digest)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, reach.Failed(yardarmv1.SourceUnreachable, "the artifact's manifest cannot be read")
	}
	switch {
	case len(m.Layers) == 0:
		return nil, manifest.Problem{Message: fmt.Sprintf("the artifact has no layers, its manifest is of type %q; name one that is no index of several", clip(artifact.MediaType))}
	case len(m.Layers) > maxLayers:
		return nil, reach.Failed(yardarmv1.SourceTooLarge, "the artifact has more than %d layers", maxLayers)
	}
	size := int64(0)
	for _, layer := range m.Layers {
		if size += max(layer.Size, 0); size > limit {
			return nil, reach.Failed(yardarmv1.SourceTooLarge, "the artifact is larger than %d bytes; split it, or raise the hub's --source-max-size", limit)
		}
	}
	return m.Layers, nil
}

// layer unpacks one: an archive, or a file that its title names. What comes is held against the digest before it counts.
func (a *asking) layer(ctx context.Context, u *archive.Unpacker, layer ocispec.Descriptor) error {
	blob, err := a.Repository.Fetch(ctx, layer)
	if err != nil {
		return a.failed(err, "the registry has lost a layer of the artifact, %s", layer.Digest)
	}
	defer blob.Close()
	verified := content.NewVerifyReader(blob, layer)
	title := layer.Annotations[ocispec.AnnotationTitle]
	switch kind := layer.MediaType; {
	case kind == chartLayer:
		err = u.Tar(verified, 1)
	case strings.HasSuffix(kind, "tar+gzip"), strings.HasSuffix(kind, "tar.gzip"), strings.HasSuffix(kind, ".tar"):
		err = u.Tar(verified, 0)
	case title != "":
		err = u.File(title, verified)
	default:
		return manifest.Problem{Message: fmt.Sprintf("the artifact has a layer of type %q without a title, which is neither an archive nor a file", clip(kind))}
	}
	if err != nil {
		return err
	}
	// What follows the end of an archive belongs to the layer too.
	if _, err := io.Copy(io.Discard, verified); err != nil {
		return a.failed(err, "the registry has lost a layer of the artifact, %s", layer.Digest)
	}
	if err := verified.Verify(); err != nil {
		return reach.Failed(yardarmv1.SourceNotTrusted, "a layer of the artifact is not what its manifest says: %w", errors.Unwrap(err))
	}
	return nil
}

// clip shortens what an artifact says of itself, for an error.
func clip(s string) string {
	const limit = 100
	return s[:min(len(s), limit)]
}
