package state

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// page is some content of 20 KB that differs from others by a few bytes.
func page(seed string) artifact {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, `{"kind":"ConfigMap","metadata":{"name":"n%d"}}`+"\n", i*i)
	}
	text := []byte(b.String() + seed)
	return artifact{text, manifest.Compress(text), manifest.DigestOf(text).String()}
}

// chained is a spoke that has taken n brief changes of one bundle, the first of which is revision 2, and has applied each.
func chained(t testing.TB, m *memory, n int) (*State, []artifact) {
	t.Helper()
	s := open(t, m)
	pages := []artifact{page("0")}
	apply(t, s, cursor(1, 1), []*spokev1.Content{pages[0].whole()}, assign(assignment("web", 1, pages[0]), nil))
	for i := 1; i <= n; i++ {
		pages = append(pages, page(fmt.Sprint(i)))
		from, to := assignment("web", uint32(i), pages[i-1]), assignment("web", uint32(i+1), pages[i])
		apply(t, s, cursor(1, uint64(i+1)), nil, revise(t, from, to, pages[i-1], pages[i]))
		if err := s.Applied(t.Context(), uidOf("web"), Applied{Digest: pages[i].digest}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return s, pages
}

// What came as a delta is kept as one, whatever it rests on stays as long, and neither the links nor what they take grow without
// bound.
func TestChainIsBounded(t *testing.T) {
	whole := 0
	for n := range 3*mostLinks + 2 {
		m := newMemory()
		s, pages := chained(t, m, n)
		last := pages[n]
		for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
			if got, err := s.Content(t.Context(), last.digest); err != nil || !bytes.Equal(got, last.text) {
				t.Fatalf("%s, after %d changes: %v", where, n, err)
			}
		}
		artifacts, deltas := m.keys(artifactPrefix), m.keys(deltaPrefix)
		if len(artifacts) != 1 || len(deltas) != n%(mostLinks+1) {
			t.Errorf("after %d changes: %v and %v", n, artifacts, deltas)
		}
		if slices.Contains(artifacts, artifactKey(last.digest, "")) {
			whole++
		}
		size := 0
		for _, key := range append(artifacts, deltas...) {
			size += len(m.values[key])
		}
		if size > len(last.encoded)*3/2+2*len(last.text) {
			t.Errorf("after %d changes, %d bytes for an artifact of %d", n, size, len(last.encoded))
		}
	}
	if whole != 3 {
		t.Errorf("%d of the last ones are whole", whole)
	}
}

// To and fro between two artifacts makes no chain that leads back to itself.
func TestChainBackToItself(t *testing.T) {
	m := newMemory()
	s := open(t, m)
	a, b := page("a"), page("b")
	from, base := assignment("web", 1, a), a
	apply(t, s, cursor(1, 1), []*spokev1.Content{a.whole()}, assign(from, nil))
	for i := range uint32(3 * mostLinks) {
		target := b
		if base.digest == b.digest {
			target = a
		}
		to := assignment("web", i+2, target)
		out := apply(t, s, cursor(1, uint64(i+2)), nil, revise(t, from, to, base, target))
		if !slices.Equal(out.Acked, []string{target.digest}) {
			t.Fatalf("acknowledged: %v", out.Acked)
		}
		if i%3 == 0 {
			if err := s.Applied(t.Context(), uidOf("web"), Applied{Digest: target.digest}, nil); err != nil {
				t.Fatal(err)
			}
		}
		from, base = to, target
		for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
			if got, err := s.Content(t.Context(), target.digest); err != nil || !bytes.Equal(got, target.text) {
				t.Fatalf("%s, after %d changes: %v", where, i+1, err)
			}
		}
	}
}

// A link that is lost or damaged makes what rests on it missing, which is then fetched whole.
func TestChainWithALostLink(t *testing.T) {
	for name, damage := range map[string]func(m *memory, key string){
		"deleted": func(m *memory, key string) { delete(m.values, key) },
		"damaged": func(m *memory, key string) { m.values[key] = m.values[key][:len(m.values[key])-1] },
		"another": func(m *memory, key string) { m.values[key] = pack(3, manifest.Compress([]byte("abc"))) },
	} {
		for link := range 4 {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " ", link, " restart ", restart), func(t *testing.T) {
					m := newMemory()
					s, pages := chained(t, m, 3)
					last := pages[3]
					keys := append(m.keys(artifactPrefix), m.keys(deltaPrefix)...)
					if len(keys) != 4 {
						t.Fatalf("on disk: %v", keys)
					}
					damage(m, keys[link])
					if restart {
						s = open(t, m)
					}
					if _, err := s.Content(t.Context(), last.digest); err == nil {
						t.Fatal("it is read")
					}
					if missing := s.Missing(); len(missing) != 1 {
						t.Fatalf("missing %v", missing)
					}
					if err := s.PutContent(t.Context(), last.digest, uint64(len(last.text)), last.encoded); err != nil {
						t.Fatal(err)
					}
					for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
						if got, err := s.Content(t.Context(), last.digest); err != nil || !bytes.Equal(got, last.text) {
							t.Errorf("%s: %v", where, err)
						}
					}
					if keys := append(m.keys(artifactPrefix), m.keys(deltaPrefix)...); !slices.Equal(keys, []string{artifactKey(last.digest, "")}) {
						t.Errorf("left on disk: %v", keys)
					}
				})
			}
		}
	}
}

// A crash after each single write of a change in a chain leaves nothing that is said to be here and is not, and the next change goes
// through.
func TestChainSurvivesACrashAtEachWrite(t *testing.T) {
	for _, n := range []int{0, 1, mostLinks - 1, mostLinks, mostLinks + 1} { // whole, a link, and about the end of a chain
		for left := range 10 {
			m := newMemory()
			s, pages := chained(t, m, n)
			from, next := assignment("web", uint32(n+1), pages[n]), page("next")
			d := &spokev1.Delta{Cursor: cursor(1, 100), Changes: []*spokev1.Change{revise(t, from, assignment("web", 100, next), pages[n], next)}}
			m.fail(left, errPower)
			_, _ = s.ApplyDelta(t.Context(), d)
			_ = s.Applied(t.Context(), uidOf("web"), Applied{Digest: next.digest}, nil)
			m.heal()
			for where, s := range map[string]*State{"crashed": open(t, m), "went on": s} {
				e := entry(t, s, "web")
				if !e.HasContent {
					t.Fatalf("%s after %d changes and %d writes: the content is gone", where, n, left)
				}
				if _, err := s.Content(t.Context(), e.Assignment.Digest); err != nil {
					t.Fatalf("%s after %d changes and %d writes: %v", where, n, left, err)
				}
				out, err := s.ApplyDelta(t.Context(), d)
				if err != nil || len(out.Nacks) > 0 {
					t.Fatalf("%s after %d changes and %d writes, the change again: %v %v", where, n, left, out.Nacks, err)
				}
				if got, err := s.Content(t.Context(), next.digest); err != nil || !bytes.Equal(got, next.text) {
					t.Fatalf("%s after %d changes and %d writes, then: %v", where, n, left, err)
				}
			}
		}
	}
}

// Regression: an artifact that is kept as a delta came whole, for another bundle; the write failed once the delta was deleted; and what
// undid the write deleted the whole one.
func TestFailedWriteLosesNoCopy(t *testing.T) {
	for left := range 6 {
		m := newMemory()
		s, pages := chained(t, m, 1)
		m.fail(left, errPower)
		_, _ = s.ApplyDelta(t.Context(), &spokev1.Delta{
			Cursor: cursor(1, 100), Changes: []*spokev1.Change{assign(assignment("db", 1, pages[1]), nil)}, Contents: []*spokev1.Content{pages[1].whole()},
		})
		m.heal()
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		for where, s := range map[string]*State{"went on": s, "restarted": open(t, m)} {
			if got, err := s.Content(t.Context(), pages[1].digest); err != nil || !bytes.Equal(got, pages[1].text) {
				t.Errorf("%s after %d writes: %v", where, left, err)
			}
		}
	}
}

// FuzzFoundArtifacts opens a folder with artifacts that rest on each other in any way.
func FuzzFoundArtifacts(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 2, 0})
	f.Add([]byte{0, 0, 1, 255, 2, 1, 2, 255})
	f.Fuzz(func(t *testing.T, pairs []byte) {
		m := newMemory()
		for i := 0; i+1 < len(pairs); i += 2 {
			base := ""
			if pairs[i+1] != 255 {
				base = fmt.Sprintf(digestPrefix+"%064x", pairs[i+1])
			}
			m.values[artifactKey(fmt.Sprintf(digestPrefix+"%064x", pairs[i]), base)] = []byte{1}
		}
		s := open(t, m)
		found := s.contents
		for digest := range found {
			if links(found, digest) > mostLinks {
				t.Errorf("%s rests on what is not here", digest)
			}
			if _, err := s.Content(t.Context(), digest); err == nil {
				t.Error("it is read")
			}
		}
		if err := s.Settle(t.Context()); err != nil || len(m.keys("")) > 0 {
			t.Errorf("left on disk: %v, %v", m.keys(""), err)
		}
	})
}

// What a chain is made of is no garbage: to read one does not take the artifact's memory for each link.
func TestLinksTakeNoMemory(t *testing.T) {
	m := newMemory()
	s, pages := chained(t, m, maxLinks)
	last := pages[maxLinks]
	read := func() {
		if got, err := s.Content(t.Context(), last.digest); err != nil || !bytes.Equal(got, last.text) {
			t.Fatal(err)
		}
	}
	read() // decoders and rooms are there then
	const times = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		read()
	}
	runtime.ReadMemStats(&after)
	// It takes twice the artifact's, and up to six times as much with the race detector, which throws pooled memory away at random.
	if took := int(after.TotalAlloc-before.TotalAlloc) / times; took > maxLinks*len(last.text) {
		t.Errorf("to read an artifact of %d bytes over %d links takes %d", len(last.text), maxLinks, took)
	}
}
