package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// expectContent looks for an artifact as what a spoke reads, now and after a restart.
func expectContent(t testing.TB, when string, s *State, m *memory, a artifact) {
	t.Helper()
	for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
		if got, err := s.Content(t.Context(), a.digest); err != nil || !bytes.Equal(got, a.text) {
			t.Errorf("%s, %s: %v", when, where, err)
		}
	}
}

// However many changes come between, what they leave is kept whole when there is time, and nothing else is left; and a chain that is short
// stays.
func TestShorten(t *testing.T) {
	for _, n := range []int{0, 1, maxLinks, maxLinks + 1, mostLinks, mostLinks + 1, mostLinks + maxLinks + 2} {
		m := newMemory()
		s, pages := chained(t, m, n)
		last := pages[n]
		before := m.keys("")
		if err := s.Shorten(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := append(m.keys(artifactPrefix), m.keys(deltaPrefix)...)
		if links := n % (mostLinks + 1); links <= maxLinks && !slices.Equal(before, m.keys("")) {
			t.Errorf("after %d changes: %v became %v", n, before, m.keys(""))
		} else if links > maxLinks && !slices.Equal(after, []string{artifactKey(last.digest, "")}) {
			t.Errorf("after %d changes: left are %v", n, after)
		}
		if reopened := open(t, m); len(reopened.unsure) > 0 {
			t.Errorf("after %d changes: a restart finds %v", n, reopened.unsure)
		}
		expectContent(t, fmt.Sprint("after ", n), s, m, last)
		from, next := assignment("web", uint32(n+1), last), page("next")
		apply(t, s, cursor(1, 100), nil, revise(t, from, assignment("web", uint32(n+2), next), last, next))
		expectContent(t, fmt.Sprint("after ", n, " and one more"), s, m, next)
	}
}

// What another bundle still rests on stays, and what rests on what is shortened is no longer long.
func TestShortenOneOfMany(t *testing.T) {
	m := newMemory()
	s, pages := chained(t, m, maxLinks+1)
	last := pages[maxLinks+1]
	apply(t, s, cursor(1, 50), nil, assign(assignment("db", 1, last), nil)) // stays with what web leaves
	next := page("next")
	apply(t, s, cursor(1, 100), nil, revise(t, assignment("web", maxLinks+2, last), assignment("web", maxLinks+3, next), last, next))
	if err := s.Shorten(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, a := range []artifact{last, next} {
		expectContent(t, "of "+a.digest, s, m, a)
	}
	if keys := m.keys(deltaPrefix); len(keys) > 1 {
		t.Errorf("left are %v", keys)
	}
}

// A crash after each single write of it leaves the content here, and so does a write that fails, whether it has happened or not. What is left
// over goes with the next change.
func TestShortenSurvivesACrashAtEachWrite(t *testing.T) {
	for _, late := range []bool{false, true} {
		for left := range maxLinks + 4 {
			m := newMemory()
			s, pages := chained(t, m, maxLinks+1)
			last := pages[maxLinks+1]
			m.late = late
			m.fail(left, errPower)
			if err := s.Shorten(t.Context()); left == 0 && err == nil {
				t.Error("that nothing could be written is not said")
			}
			m.heal()
			when := fmt.Sprint("after ", left, " writes, late ", late)
			expectContent(t, when, s, m, last)
			from, next := assignment("web", maxLinks+2, last), page("next")
			d := &spokev1.Delta{Cursor: cursor(1, 100), Changes: []*spokev1.Change{revise(t, from, assignment("web", 100, next), last, next)}}
			crashed := newMemory()
			crashed.values = maps.Clone(m.values)
			for where, m := range map[string]*memory{"went on": m, "crashed": crashed} {
				s := s
				if where == "crashed" {
					s = open(t, m)
				}
				if out, err := s.ApplyDelta(t.Context(), d); err != nil || len(out.Nacks) > 0 {
					t.Fatalf("%s, %s, the next change: %v %v", when, where, out.Nacks, err)
				}
				if err := s.Applied(t.Context(), uidOf("web"), Applied{Digest: next.digest}, nil); err != nil {
					t.Fatal(err)
				}
				expectContent(t, when+", "+where, s, m, next)
				if err := s.Shorten(t.Context()); err != nil {
					t.Fatal(err)
				}
				expectContent(t, when+", "+where+", and shortened", s, m, next)
				if keys := append(m.keys(artifactPrefix), m.keys(deltaPrefix)...); len(keys) != len(s.contents) {
					t.Errorf("%s, %s: left are %v", when, where, keys)
				}
			}
		}
	}
}

// Changes and readers go on meanwhile: whatever is asked for is read, and nothing is lost.
func TestShortenWhileChanging(t *testing.T) {
	m := newMemory()
	s, pages := chained(t, m, maxLinks+1)
	base := pages[maxLinks+1]
	stop, done := make(chan struct{}), make(chan error, 2)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if err := s.Shorten(t.Context()); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				for _, e := range s.Entries() {
					if _, err := s.Content(t.Context(), e.Assignment.Digest); err != nil && s.Entries()[0].Assignment.Digest == e.Assignment.Digest {
						done <- err
						return
					}
				}
			}
		}
	}()
	for i := range uint32(2 * mostLinks) {
		next := page(fmt.Sprint("storm ", i))
		apply(t, s, cursor(1, uint64(100+i)), nil, revise(t, assignment("web", maxLinks+2+i, base), assignment("web", maxLinks+3+i, next), base, next))
		base = next
	}
	close(stop)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	select {
	case <-s.Lacking():
		t.Error("something was lost")
	default:
	}
	expectContent(t, "in the end", s, m, base)
}

// What is lost is nobody's to keep whole: whoever reads it finds out, and has it fetched again.
func TestShortenWhatIsLost(t *testing.T) {
	for name, damage := range map[string]func(m *memory, key string){
		"deleted": func(m *memory, key string) { delete(m.values, key) },
		"another": func(m *memory, key string) { m.values[key] = pack(3, manifest.Compress([]byte("abc"))) },
	} {
		for link := range maxLinks + 2 {
			m := newMemory()
			s, pages := chained(t, m, maxLinks+1)
			last := pages[maxLinks+1]
			damage(m, append(m.keys(artifactPrefix), m.keys(deltaPrefix)...)[link])
			if err := s.Shorten(t.Context()); err != nil {
				t.Errorf("%s, link %d: %v", name, link, err)
			}
			if _, err := s.Content(t.Context(), last.digest); !errors.Is(err, ErrNoContent) || len(s.Missing()) != 1 {
				t.Errorf("%s, link %d: it is said to be here: %v", name, link, err)
			}
			if err := s.PutContent(t.Context(), last.digest, uint64(len(last.text)), last.encoded); err != nil {
				t.Fatal(err)
			}
			expectContent(t, name, s, m, last)
		}
	}
}
