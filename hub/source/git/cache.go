package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// defaultMaxSize is the largest repository, as its server packs one commit of it, in bytes.
	defaultMaxSize = 256 << 20
	// maxFetches is how many commits the cache of a repository keeps. Then it is fetched anew, which is one request, and gives back the space of what is no longer
	// part of any tree. One push in a hundred is to be slow at most.
	maxFetches = 256
	// objectCache is how many bytes of objects are in memory while a tree is read.
	objectCache = 16 << 20
)

// Cache keeps what was fetched of one repository, in a directory of its own, which is made when there is something to keep. It is for one caller at a time.
type Cache struct {
	Dir string
	// MaxSize is the largest repository, in bytes. Default 256 MiB. The cache takes up to twice as much.
	MaxSize int64
}

// Want is a commit, or whatever one a ref leads to.
type Want struct {
	Ref *yardarmv1.GitRef
	// Known is the commit that needs no more to be looked into; empty if none does.
	Known string
	// Verify says who has to have signed it; nil for nobody.
	Verify *yardarmv1.GitVerification
	// Submodules says how its submodules are fetched; they are not where it is nil.
	Submodules *Submodules
}

// Found is what has become of a want.
type Found struct {
	// Commit is what the ref leads to; nil where it leads to none, and its hash and ref alone where Err is about it.
	Commit *Commit
	Err    error
}

// Fetch asks a server what each ref means now, and has the commits in the cache that it answers. Where a commit is known, nothing is fetched and nothing read: that
// costs one request, and no write. An error is about all wants; what is about one is in its place.
func (c *Cache) Fetch(ctx context.Context, remote Remote, wants []Want) ([]Found, error) {
	s, err := remote.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	server, err := advertised(s)
	if err != nil {
		return nil, err
	}
	found, targets := make([]Found, len(wants)), make([]target, len(wants))
	var wanted []target
	for i, w := range wants {
		if targets[i], found[i].Err = resolve(server, w.Ref); found[i].Err != nil {
			continue
		}
		if w.Known == targets[i].commit.String() {
			found[i].Commit = targets[i].known()
			continue
		}
		wanted = append(wanted, targets[i])
	}
	if len(wanted) == 0 {
		return found, nil
	}
	storage, err := c.have(ctx, s, server, wanted)
	if err != nil {
		return nil, err
	}
	used := make(map[string]bool)
	for i, t := range targets {
		if found[i].Err != nil || found[i].Commit != nil {
			continue
		}
		var about *reach.Error
		found[i].Commit, err = commitOf(storage, t, wants[i].Verify)
		if how := wants[i].Submodules; err == nil && how != nil {
			s := &submodules{ctx: ctx, remote: remote, how: how, cache: c, used: used, left: maxSubmodules}
			err = s.graft(found[i].Commit.Tree.(*tree), "", remote.URL, 0)
		}
		if errors.As(err, &about) {
			found[i] = Found{t.known(), about}
		} else if err != nil {
			return nil, errors.Join(err, c.Clear())
		}
	}
	return found, c.keepModules(used)
}

// Clear removes what was fetched: for whoever finds that it cannot be read. The next Fetch begins anew.
func (c *Cache) Clear() error {
	if err := os.RemoveAll(c.Dir); err != nil {
		return fmt.Errorf("clear the cache of a repository: %w", err)
	}
	return nil
}

// have sees to it that the cache holds all commits that are wanted.
func (c *Cache) have(ctx context.Context, s session, server *packp.AdvRefs, wanted []target) (*filesystem.Storage, error) {
	storage := c.open()
	kept, err := storage.Shallow()
	if err != nil {
		kept = nil // what cannot be read is fetched anew
	}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(t target) bool {
		return slices.Contains(kept, t.commit) && (t.want == t.commit || holds(storage, t.want)) // a tag may be newer than its commit
	})
	if len(missing) == 0 {
		return storage, nil
	}
	if err != nil || c.full(kept) {
		if err := c.Clear(); err != nil {
			return nil, err
		}
		storage, kept, missing = c.open(), nil, wanted
	}
	request, err := requestFor(server.Capabilities, missing, kept)
	if err != nil {
		return nil, err
	}
	objects, err := pack(s, request)
	if err != nil {
		return nil, err
	}
	if err := c.keep(ctx, storage, objects, len(kept) == 0); err != nil {
		return nil, err
	}
	for _, t := range missing {
		kept = append(kept, t.commit)
	}
	slices.SortFunc(kept, func(a, b plumbing.Hash) int { return slices.Compare(a[:], b[:]) })
	// Only now: a commit that is noted is whole.
	if err := storage.SetShallow(slices.Compact(kept)); err != nil {
		return nil, fmt.Errorf("note what the cache of a repository holds: %w", err)
	}
	return c.open(), nil // it has looked which packs there are before
}

func holds(storage *filesystem.Storage, object plumbing.Hash) bool {
	_, err := storage.EncodedObjectSize(object)
	return err == nil
}

// keep puts the objects of a pack into the cache, unless there are more of them than may be: then nothing is kept.
func (c *Cache) keep(ctx context.Context, storage *filesystem.Storage, objects io.Reader, whole bool) error {
	pack, err := c.receive(ctx, objects)
	if err == nil {
		defer pack.Close()
		err = pack.into(storage, whole, c.maxSize())
	}
	var known *reach.Error
	if errors.As(err, &known) && known.Reason == yardarmv1.SourceTooLarge {
		return errors.Join(known, c.Clear())
	}
	return err
}

func (c *Cache) open() *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(c.Dir), cache.NewObjectLRU(objectCache), filesystem.Options{ExclusiveAccess: true, KeepDescriptors: false})
}

// full tells whether it is better to begin anew than to add to it.
func (c *Cache) full(kept []plumbing.Hash) bool {
	if len(kept) >= maxFetches {
		return true
	}
	return sizeOf(c.Dir, c.modules()) > c.maxSize() // submodules have caches of their own
}

// modules is where the caches of submodules are.
func (c *Cache) modules() string { return filepath.Join(c.Dir, "modules") }

// sizeOf is how much is in a directory, but for one below it.
func sizeOf(dir, without string) (size int64) {
	_ = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it is being looked at for its size alone
		}
		if name == without {
			return fs.SkipDir
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}

func (c *Cache) maxSize() int64 {
	if c.MaxSize > 0 {
		return c.MaxSize
	}
	return defaultMaxSize
}
