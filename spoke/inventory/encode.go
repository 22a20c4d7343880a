package inventory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// Form: zstd over JSON lines, the header first, so that people can read it with kubectl, base64 and zstd.
//
//	{"format":1,"bundle":"web","bundleUID":"…","digest":"sha256:…","namespace":"prod","revision":7,"objects":2}
//	{"key":"apps/Deployment/prod/web","version":"v1","uid":"…","content":1234,"fields":5678}
//	{"key":"/ConfigMap/prod/old","version":"v1","uid":"…","condemned":true}
const (
	format = 1
	// maxSize bounds what is decompressed, in bytes: 50,000 objects, the most that an artifact has, take some 13 MiB.
	maxSize = 64 << 20
)

type header struct {
	Format    int    `json:"format"`
	Bundle    string `json:"bundle"`
	BundleUID string `json:"bundleUID"`
	Digest    string `json:"digest,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Revision  uint32 `json:"revision,omitempty"`
	Objects   int    `json:"objects"`
}

type line struct {
	Key       string `json:"key"`
	Version   string `json:"version"`
	UID       string `json:"uid,omitempty"`
	Content   uint64 `json:"content,omitempty"`
	Fields    uint64 `json:"fields,omitempty"`
	Condemned bool   `json:"condemned,omitempty"`
	Ended     Ended  `json:"ended,omitempty"`
	Round     uint64 `json:"round,omitempty"`
}

// The encoder is shared: each has some 100 KiB of tables at this level.
var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<17))
})

func encode(i *Inventory) ([]byte, error) {
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	lines.SetEscapeHTML(false)
	err := lines.Encode(header{
		Format: format, Bundle: i.Bundle, BundleUID: i.BundleUID, Digest: i.Digest,
		Namespace: i.Namespace, Revision: i.Revision, Objects: len(i.Entries),
	})
	for _, ref := range i.Refs() {
		e := i.Entries[ref]
		err = errors.Join(err, lines.Encode(line{
			Key: ref.Key(), Version: e.Version, UID: e.UID, Content: e.Content, Fields: e.Fields, Condemned: e.Condemned,
			Ended: e.Ended, Round: e.Round,
		}))
	}
	if err != nil {
		return nil, fmt.Errorf("encode inventory: %w", err)
	}
	zstd, err := encoder()
	if err != nil {
		return nil, fmt.Errorf("encode inventory: %w", err)
	}
	return zstd.EncodeAll(out.Bytes(), nil), nil
}

// errDamaged says that stored bytes are no inventory.
var errDamaged = errors.New("the inventory is damaged")

func decode(data []byte) (*Inventory, error) {
	reader, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSize))
	if err != nil {
		return nil, errors.Join(errDamaged, err)
	}
	defer reader.Close()
	lines := json.NewDecoder(bufio.NewReader(io.LimitReader(reader, maxSize)))
	var h header
	if err := lines.Decode(&h); err != nil {
		return nil, errors.Join(errDamaged, err)
	}
	if h.Format > format {
		return nil, fmt.Errorf("inventory format %d is newer than this spoke: upgrade the spoke", h.Format)
	}
	i := New(h.BundleUID, h.Bundle)
	i.Digest, i.Namespace, i.Revision = h.Digest, h.Namespace, h.Revision
	for range h.Objects {
		var l line
		if err := lines.Decode(&l); err != nil {
			return nil, errors.Join(errDamaged, err)
		}
		ref, err := manifest.ParseKey(l.Key)
		if err != nil {
			return nil, errors.Join(errDamaged, err)
		}
		i.Entries[ref] = Entry{
			Version: l.Version, UID: l.UID, Content: l.Content, Fields: l.Fields, Condemned: l.Condemned, Ended: l.Ended, Round: l.Round,
		}
	}
	return i, nil
}
