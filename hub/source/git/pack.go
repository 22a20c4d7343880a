package git

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxObjects is how many objects a pack may have: all that a tree may have entries, and as many directories.
	maxObjects = 2 * maxEntries
	// inflation is how many times larger than a repository may be all that its pack unpacks to may be: manifests take some five times as much as they are packed.
	inflation = 16
	// maxDeltaHeader is how long the two sizes that a delta begins with can be, in bytes.
	maxDeltaHeader = 2 * binary.MaxVarintLen64
)

// receivedPack is a pack as it came from a server, in a file that has no name any more. Nothing in it has been believed yet.
type receivedPack struct {
	ctx  context.Context
	file *os.File
}

// receive takes a pack from a server, up to the size that a repository may have.
func (c *Cache) receive(ctx context.Context, from io.Reader) (*receivedPack, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the cache of a repository: %w", err)
	}
	file, err := os.CreateTemp(c.Dir, "received-")
	if err != nil {
		return nil, fmt.Errorf("receive a repository: %w", err)
	}
	p := &receivedPack{ctx, file}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("receive a repository: %w", err), p.Close())
	}
	n, err := io.Copy(file, io.LimitReader(from, c.maxSize()+1))
	var onDisk *os.PathError
	switch {
	case n > c.maxSize():
		err = reach.Failed(yardarmv1.SourceTooLarge, "the repository is larger than %d bytes; split it, or raise the hub's --source-max-size", c.maxSize())
	case ctx.Err() != nil:
		err = reach.Unreachable("the server", context.Cause(ctx))
	case errors.As(err, &onDisk):
		err = fmt.Errorf("receive a repository: %w", onDisk.Err)
	case err != nil:
		err = unreadable(err)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func unreadable(err error) error {
	return reach.Failed(yardarmv1.SourceUnreachable, "what the server sent of the repository cannot be read: %w", err)
}

func (p *receivedPack) Close() error { return p.file.Close() }

// Read and Seek read the file until the look ends, whoever reads it and however often.
func (p *receivedPack) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.file.Read(b)
}

func (p *receivedPack) Seek(offset int64, whence int) (int64, error) {
	return p.file.Seek(offset, whence)
}

// into puts a pack into the cache, if it is one that may be. whole says that there is nothing yet that it may refer to.
func (p *receivedPack) into(storage *filesystem.Storage, whole bool, maxSize int64) error {
	err := p.check(maxSize)
	if err == nil {
		err = p.store(storage, whole)
	}
	var known *reach.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, packfile.ErrEmptyPackfile):
		return nil
	case p.ctx.Err() != nil:
		return reach.Unreachable("the server", context.Cause(p.ctx))
	}
	return unreadable(err)
}

// check refuses a pack that unpacks to more than it may: a few bytes can stand for gigabytes, by what they are packed with or as deltas. It unpacks each object, and
// keeps none; deltas are made into objects only later, of sizes that they have to keep to.
func (p *receivedPack) check(maxSize int64) error {
	if _, err := p.Seek(0, io.SeekStart); err != nil {
		return err
	}
	scanner := packfile.NewScanner(p)
	_, objects, err := scanner.Header()
	if err != nil {
		return err
	}
	if objects > maxObjects {
		return reach.Failed(yardarmv1.SourceTooLarge, "the repository has more than %d files and directories", maxObjects)
	}
	room := uint64(maxSize) * inflation
	for range objects {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return err
		}
		if header.Length > maxFile {
			return tooLargeFile()
		}
		var sizes deltaHeader
		if _, _, err := scanner.NextObject(&sizes); err != nil {
			return err
		}
		size := uint64(header.Length)
		if header.Type.IsDelta() {
			target, err := sizes.target()
			if err != nil {
				return err
			}
			if target > maxFile {
				return tooLargeFile()
			}
			size += target
		}
		if size > room {
			return reach.Failed(yardarmv1.SourceTooLarge, "the repository unpacks to more than %d bytes; split it, or raise the hub's --source-max-size", maxSize*inflation)
		}
		room -= size
	}
	return nil
}

func tooLargeFile() error {
	return reach.Failed(yardarmv1.SourceTooLarge, "the repository has a file of more than %d bytes; keep it elsewhere, or as one of Git LFS", maxFile)
}

// deltaHeader keeps the beginning of a delta: the size of what it is applied to, and that of what comes out.
type deltaHeader struct {
	bytes [maxDeltaHeader]byte
	n     int
}

func (d *deltaHeader) Write(b []byte) (int, error) {
	d.n += copy(d.bytes[d.n:], b)
	return len(b), nil
}

func (d *deltaHeader) target() (uint64, error) {
	_, n := binary.Uvarint(d.bytes[:d.n])
	if n <= 0 {
		return 0, packfile.ErrInvalidDelta
	}
	size, n := binary.Uvarint(d.bytes[n:d.n])
	if n <= 0 {
		return 0, packfile.ErrInvalidDelta
	}
	return size, nil
}

// store puts a pack into the cache: as it is where there is nothing yet, and else, since it may refer to what is there, object by object.
func (p *receivedPack) store(storage *filesystem.Storage, whole bool) error {
	if _, err := p.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if whole {
		return packfile.UpdateObjectStorage(storage, p)
	}
	parser, err := packfile.NewParserWithStorage(packfile.NewScanner(p), storage)
	if err != nil {
		return err
	}
	_, err = parser.Parse()
	return err
}
