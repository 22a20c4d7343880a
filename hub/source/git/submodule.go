package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxSubmodules is how many a commit may have, those of its submodules among them, as the proto says: each is a repository to be fetched.
	maxSubmodules = 32
	// maxSubmoduleDepth is how many may be in each other, as the proto says.
	maxSubmoduleDepth = 4
	// maxModules is how many times larger than the largest repository all submodules of one may be, as they are kept.
	maxModules = 4
	// modulesFile is where a commit says where its submodules are, and maxModulesFile the largest that is read, in bytes.
	modulesFile    = ".gitmodules"
	maxModulesFile = 64 << 10
)

// Submodules says how those of a commit are fetched.
type Submodules struct {
	// Credentials are what the server of a URL may be shown: a commit can name any.
	Credentials func(u *url.URL) Credentials
}

// submodules fetches those of one commit. It belongs to one goroutine.
type submodules struct {
	ctx    context.Context
	remote Remote
	how    *Submodules
	// cache is that of the repository, which has theirs below it, and used the directories of those that were taken.
	cache *Cache
	used  map[string]bool
	// left is how many there may still be.
	left int
}

// graft fetches the submodules of a tree, which is at a place in that of the commit and of a repository at a URL, and puts them where they belong.
func (s *submodules) graft(t *tree, at string, from *url.URL, depth int) error {
	listed, err := t.listed()
	if err != nil || len(listed) == 0 {
		return err
	}
	for _, m := range listed {
		n, ok := t.linked(m.Path)
		if !ok || t.modules[n.at] != nil {
			continue // Git overlooks such, too
		}
		name := path.Join(at, n.at)
		if s.left--; s.left < 0 || depth >= maxSubmoduleDepth {
			return reach.Failed(yardarmv1.SourceTooLarge, "there are more than %d submodules, or more than %d in each other, with %q", maxSubmodules, maxSubmoduleDepth, line(name))
		}
		to, err := submoduleURL(from, m.URL)
		if err != nil {
			return reach.Failed(yardarmv1.SourceNotAllowed, "the URL of submodule %q %w", line(name), err)
		}
		if t.modules[n.at], err = s.fetch(name, to, n.hash.String()); err != nil {
			return err
		}
		if err := s.graft(t.modules[n.at], name, to, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// fetch is the tree of a submodule. Each has a cache by where it belongs and where it is from.
func (s *submodules) fetch(name string, from *url.URL, commit string) (*tree, error) {
	sum := sha256.Sum256([]byte(from.String() + "\n" + name))
	cache := &Cache{Dir: filepath.Join(s.cache.modules(), hex.EncodeToString(sum[:16])), MaxSize: s.cache.MaxSize}
	s.used[filepath.Base(cache.Dir)] = true
	remote := Remote{URL: from, Dialer: s.remote.Dialer, Credentials: s.how.Credentials(from)}
	found, err := cache.Fetch(s.ctx, remote, []Want{{Ref: &yardarmv1.GitRef{Commit: commit}}})
	if err == nil {
		err = found[0].Err
	}
	var known *reach.Error
	switch {
	case errors.As(err, &known):
		return nil, reach.Failed(known.Reason, "submodule %q, from %s: %w", line(name), from.Host, known)
	case err != nil:
		return nil, err
	case sizeOf(s.cache.modules(), "") > maxModules*s.cache.maxSize():
		return nil, errors.Join(reach.Failed(yardarmv1.SourceTooLarge, "submodules are larger than %d bytes together, with %q; have fewer, or raise the hub's --source-max-size",
			maxModules*s.cache.maxSize(), line(name)), s.cache.keepModules(map[string]bool{"": true}))
	}
	return found[0].Commit.Tree.(*tree), nil
}

// keepModules removes the caches of submodules that are not among those used. Where none is, they stay: nothing new was looked into.
func (c *Cache) keepModules(used map[string]bool) error {
	if len(used) == 0 {
		return nil
	}
	entries, err := os.ReadDir(c.modules())
	for _, entry := range entries {
		if !used[entry.Name()] {
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.modules(), entry.Name())))
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tidy the cache of a repository: %w", err)
	}
	return nil
}

// listed are the submodules that a tree says it has, ascending by path.
func (t *tree) listed() ([]*config.Submodule, error) {
	info, err := t.Stat(modulesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.IsDir() || info.Size() > maxModulesFile {
		return nil, reach.Failed(yardarmv1.SourceTooLarge, "%s is no file of at most %d bytes", modulesFile, maxModulesFile)
	}
	text, err := fs.ReadFile(t, modulesFile)
	if err != nil {
		return nil, err
	}
	modules := config.NewModules()
	if err := modules.Unmarshal(text); err != nil {
		return nil, reach.Failed(yardarmv1.SourceNotRendered, "%s cannot be read: it is like Git's own configuration", modulesFile)
	}
	return slices.SortedFunc(maps.Values(modules.Submodules), func(a, b *config.Submodule) int {
		return strings.Compare(a.Path+"\x00"+a.Name, b.Path+"\x00"+b.Name)
	}), nil
}

// linked is the submodule at a path, which symbolic links do not lead to.
func (t *tree) linked(name string) (node, bool) {
	if !fs.ValidPath(name) || name == "." {
		return node{}, false
	}
	n := t.top()
	for _, step := range strings.Split(name, "/") {
		var err error
		if !n.isDir() {
			return node{}, false
		}
		if n, err = n.child(step); err != nil {
			return node{}, false
		}
	}
	return n, n.mode == filemode.Submodule
}

// submoduleURL is where a submodule is, as its repository at a URL says: there, or beside it.
func submoduleURL(from *url.URL, text string) (*url.URL, error) {
	if !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../") {
		return ParseURL(text)
	}
	to := *from
	at := strings.TrimSuffix(from.Path, "/")
	for {
		if rest, ok := strings.CutPrefix(text, "./"); ok {
			text = rest
			continue
		}
		rest, ok := strings.CutPrefix(text, "../")
		if !ok {
			break
		}
		if strings.Trim(at, "/") == "" {
			return nil, errors.New("leads out of its host")
		}
		text, at = rest, at[:max(0, strings.LastIndex(at, "/"))]
	}
	to.Path = at + "/" + text
	if !strings.HasPrefix(from.Path, "/") {
		to.Path = strings.TrimPrefix(to.Path, "/")
	}
	if slices.Contains(strings.Split(text, "/"), "..") {
		return nil, errors.New("goes up from where it goes down")
	}
	if strings.Trim(text, "/") == "" {
		return nil, fmt.Errorf("names no repository beside %s", path.Base(from.Path))
	}
	return &to, check(&to)
}
