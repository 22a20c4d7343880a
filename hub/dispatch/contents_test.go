package dispatch

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// library is a set of artifacts, and how often each was read.
type library struct {
	texts map[string][]byte
	reads sync.Map // digest → *atomic.Int64
	err   error
}

func (l *library) add(text []byte) (digest string) {
	if l.texts == nil {
		l.texts = map[string][]byte{}
	}
	digest = manifest.DigestOf(text).String()
	l.texts[digest] = text
	return digest
}

func (l *library) load(digest string) (uint64, []byte, error) {
	n, _ := l.reads.LoadOrStore(digest, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	if l.err != nil {
		return 0, nil, l.err
	}
	text, ok := l.texts[digest]
	if !ok {
		return 0, nil, errNoArtifact(digest)
	}
	return uint64(len(text)), manifest.Compress(text), nil
}

func (l *library) count(digest string) int64 {
	n, ok := l.reads.Load(digest)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// noise is text that does not compress.
func noise(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
	return out
}

func TestInlineContent(t *testing.T) {
	var l library
	base := l.add(noise(40<<10, 1))
	changed := l.add(append(noise(40<<10, 1), "one more field"...))
	unlike := l.add(noise(40<<10, 2))
	large := l.add(noise(maxInline+1, 3))
	largeChanged := l.add(append(noise(maxInline+1, 3), '!'))
	huge := l.add(bytes.Repeat([]byte("x"), manifest.MaxDelta+1))
	c := newContents(l.load)
	for _, tc := range []struct {
		name         string
		base, target string
		delta        bool // it travels against the base
		fetched      bool // it does not travel inline
		atMost       int
	}{
		{"whole", "", changed, false, false, 42 << 10},
		{"against its base", base, changed, true, false, 100},
		{"against one that is of no use", base, unlike, false, false, 42 << 10},
		{"against one that is gone", "sha256:gone", changed, false, false, 42 << 10},
		{"large", "", large, false, true, 0},
		{"large, changed little", large, largeChanged, true, false, 200},
		{"too large for a delta, and small enough as it is", base, huge, false, false, 1 << 10},
		{"against one that is too large", huge, changed, false, false, 42 << 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := c.inline(tc.base, tc.target)
			if err != nil {
				t.Fatal(err)
			}
			if tc.fetched != (got == nil) {
				t.Fatalf("fetched: %v", got == nil)
			}
			if got == nil {
				return
			}
			if delta := got.BaseDigest != ""; delta != tc.delta || len(got.Data) > tc.atMost {
				t.Errorf("delta %v of %d bytes, want %v of at most %d", delta, len(got.Data), tc.delta, tc.atMost)
			}
			// What travels has to arrive.
			var text []byte
			if got.BaseDigest != "" {
				text, err = manifest.ApplyDelta(l.texts[got.BaseDigest], got.Data, int(got.Size))
			} else {
				text, err = manifest.Decompress(got.Data, int(got.Size))
			}
			if err == nil {
				err = manifest.Digest(got.Digest).Verify(text)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := c.inline("", "sha256:gone"); err == nil {
		t.Error("a content that is not there")
	}
}

func TestContentIsEncodedOnceForAFleet(t *testing.T) {
	var l library
	base, target := l.add(noise(10<<10, 1)), l.add(append(noise(10<<10, 1), '!'))
	gate := make(chan struct{})
	c := newContents(func(digest string) (uint64, []byte, error) {
		<-gate
		return l.load(digest)
	})
	var wg sync.WaitGroup
	results := make([]any, 64)
	for i := range results {
		wg.Go(func() {
			content, err := c.inline(base, target)
			if err != nil {
				t.Error(err)
			}
			results[i] = content
		})
	}
	close(gate)
	wg.Wait()
	if l.count(target) != 1 || l.count(base) != 1 {
		t.Errorf("read %d and %d times", l.count(target), l.count(base))
	}
	for _, r := range results {
		if r != results[0] {
			t.Fatal("encoded more than once")
		}
	}
}

func TestFailureIsNotKept(t *testing.T) {
	var l library
	target := l.add([]byte("x"))
	l.err = errors.New("disk on fire")
	c := newContents(l.load)
	if _, err := c.inline("", target); !errors.Is(err, l.err) {
		t.Fatal(err)
	}
	l.err = nil
	if got, err := c.inline("", target); err != nil || got == nil {
		t.Errorf("afterwards: %v %v", got, err)
	}
}

// The cache's account is what its entries hold, whatever is pushed out by whom.
func TestCacheStaysWithinItsBudget(t *testing.T) {
	largest := make([]byte, maxInline+1)
	c := newContents(func(string) (uint64, []byte, error) { return maxInline, largest[:maxInline], nil })
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 300 {
				if _, err := c.inline("", fmt.Sprintf("sha256:%d", (w*150+i)%1000)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, key := range c.cache.Keys() {
		value, _ := c.cache.Peek(key)
		total += value.(*pendingContent).counted
	}
	if c.bytes != total || c.bytes > contentBudget || total < contentBudget-maxInline {
		t.Errorf("counted %d bytes, %d are held, the budget is %d", c.bytes, total, contentBudget)
	}
	// By entries, too: those that are too large to travel cost no bytes.
	c = newContents(func(string) (uint64, []byte, error) { return maxInline + 1, largest, nil })
	for i := range contentEntries + 10 {
		if _, err := c.inline("", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if c.cache.Len() != contentEntries || c.bytes != 0 {
		t.Errorf("%d entries, %d bytes", c.cache.Len(), c.bytes)
	}
}

func TestFetchesShareOneCopy(t *testing.T) {
	var l library
	digest := l.add(noise(1000, 1))
	s := newShared(l.load)
	_, first, release, err := s.get(digest)
	if err != nil {
		t.Fatal(err)
	}
	_, second, releaseSecond, err := s.get(digest)
	if err != nil || &first[0] != &second[0] || l.count(digest) != 1 {
		t.Errorf("read %d times, %v", l.count(digest), err)
	}
	release()
	if len(s.held) != 1 {
		t.Error("dropped while it is used")
	}
	releaseSecond()
	if len(s.held) != 0 {
		t.Error("kept for nobody")
	}
	if _, _, _, err := s.get("sha256:gone"); err == nil || len(s.held) != 0 {
		t.Errorf("a content that is not there: %v, %d held", err, len(s.held))
	}
}
