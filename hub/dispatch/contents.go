package dispatch

import (
	"fmt"
	"sync"

	"github.com/hashicorp/golang-lru/simplelru"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const (
	// maxInline is the largest encoded content that travels inside a delta, in bytes; larger ones are fetched on a stream of
	// their own, where they hold nothing back.
	maxInline = 128 << 10
	// maxInlineTotal bounds a delta's contents together, well below gRPC's message limit of 4 MiB.
	maxInlineTotal = 1 << 20
	// contentBudget bounds the cache of encoded contents, in bytes. A change of one bundle needs one entry for a whole fleet
	// that is on the revision before.
	contentBudget = 64 << 20
	// contentEntries bounds the cache's bookkeeping.
	contentEntries = 4096
)

// contents encodes artifacts for spokes, once per (base, target), whoever asks. Safe for concurrent use.
type contents struct {
	load func(digest string) (size uint64, encoded []byte, err error)

	mu    sync.Mutex
	cache *simplelru.LRU // contentKey → *pendingContent
	bytes int
}

type contentKey struct{ base, target string }

// pendingContent is computed once, by whoever asks first.
type pendingContent struct {
	once    sync.Once
	content *inlineContent
	err     error
	counted int // guarded by contents.mu
}

func newContents(load func(string) (uint64, []byte, error)) *contents {
	c := &contents{load: load}
	cache, err := simplelru.NewLRU(contentEntries, func(_, value any) { c.bytes -= value.(*pendingContent).counted })
	if err != nil {
		panic("dispatch: " + err.Error()) // only for a size below one
	}
	c.cache = cache
	return c
}

// inline answers the target as it travels inside a delta: against base if that is smaller, whole if base is empty. It
// answers nil for what is too large and so has to be fetched.
func (c *contents) inline(base, target string) (*inlineContent, error) {
	key := contentKey{base, target}
	c.mu.Lock()
	value, ok := c.cache.Get(key)
	if !ok {
		value = &pendingContent{}
		c.cache.Add(key, value)
	}
	c.mu.Unlock()
	p := value.(*pendingContent)
	p.once.Do(func() {
		p.content, p.err = c.encode(base, target)
		c.account(key, p)
	})
	return p.content, p.err
}

func (c *contents) encode(base, target string) (*inlineContent, error) {
	size, encoded, err := c.load(target)
	if err != nil {
		return nil, err
	}
	whole := &spokev1.Content{Digest: target, Size: size, Data: encoded}
	if base != "" && size <= manifest.MaxDelta {
		if delta := c.delta(base, target, size, encoded); delta != nil && len(delta) < len(encoded) {
			whole = &spokev1.Content{Digest: target, Size: size, BaseDigest: base, Data: delta}
		}
	}
	if len(whole.Data) > maxInline {
		return nil, nil
	}
	return newInlineContent(whole)
}

// delta answers nil where the base is gone or too large: then the whole content serves.
func (c *contents) delta(base, target string, size uint64, encoded []byte) []byte {
	baseSize, baseEncoded, err := c.load(base)
	if err != nil || baseSize > manifest.MaxDelta {
		return nil
	}
	from, err := manifest.Decompress(baseEncoded, int(baseSize))
	if err != nil {
		return nil
	}
	to, err := manifest.Decompress(encoded, int(size))
	if err != nil {
		return nil
	}
	delta, err := manifest.EncodeDelta(from, to)
	if err != nil {
		return nil
	}
	return delta
}

// account counts an entry and drops the least recently used ones beyond the budget. A failure is not kept.
func (c *contents) account(key contentKey, p *pendingContent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.err != nil {
		c.cache.Remove(key)
		return
	}
	if value, ok := c.cache.Peek(key); !ok || value != p {
		return // pushed out meanwhile
	}
	if p.content != nil {
		p.counted = len(p.content.encoded)
	}
	c.bytes += p.counted
	for c.bytes > contentBudget {
		if _, _, ok := c.cache.RemoveOldest(); !ok {
			return
		}
	}
}

// errNoArtifact names a content that the database lacks though something is assigned it.
func errNoArtifact(digest string) error {
	return fmt.Errorf("artifact %s is not in the database", digest)
}
