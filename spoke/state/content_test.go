package state

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestContentOfDelta(t *testing.T) {
	one, two := content("one"), content("two")
	resized := func(c *spokev1.Content, size uint64) *spokev1.Content {
		c = proto.CloneOf(c)
		c.Size = size
		return c
	}
	renamed := func(c *spokev1.Content, digest string) *spokev1.Content {
		c = proto.CloneOf(c)
		c.Digest = digest
		return c
	}
	bomb := manifest.Compress(make([]byte, 32<<20))
	for _, tc := range []struct {
		name    string
		content *spokev1.Content
		code    spokev1.NackCode // 0: it is taken
	}{
		{"whole", two.whole(), 0},
		{"against what is held", two.against(t, one), 0},
		{"against what is not held", two.against(t, content("never")), spokev1.NackCode_NACK_CODE_MISSING_BASE},
		{"against a base that is no digest", &spokev1.Content{Digest: two.digest, BaseDigest: "../cursor", Size: 1}, spokev1.NackCode_NACK_CODE_MISSING_BASE},
		{"another content", renamed(content("evil").whole(), two.digest), spokev1.NackCode_NACK_CODE_WRONG_DIGEST},
		{"another content against the base", renamed(content("evil").against(t, one), two.digest), spokev1.NackCode_NACK_CODE_WRONG_DIGEST},
		{"no zstd", &spokev1.Content{Digest: two.digest, Size: 10, Data: []byte("not zstd at all")}, spokev1.NackCode_NACK_CODE_WRONG_DIGEST},
		{"nothing", &spokev1.Content{Digest: two.digest}, spokev1.NackCode_NACK_CODE_WRONG_DIGEST},
		{"announces too little", resized(two.whole(), 3), spokev1.NackCode_NACK_CODE_WRONG_DIGEST},
		{"announces too much", resized(two.whole(), 10_000), spokev1.NackCode_NACK_CODE_WRONG_DIGEST},
		{"bomb", &spokev1.Content{Digest: two.digest, Size: 100, Data: bomb}, spokev1.NackCode_NACK_CODE_WRONG_DIGEST},
		{"bomb as a delta", &spokev1.Content{Digest: two.digest, BaseDigest: one.digest, Size: 100, Data: bomb}, spokev1.NackCode_NACK_CODE_WRONG_DIGEST},
		{"announces more than the limit", resized(two.whole(), DefaultMaxArtifactSize+1), spokev1.NackCode_NACK_CODE_UNSUPPORTED},
		{"announces the largest number", resized(two.whole(), 1<<64-1), spokev1.NackCode_NACK_CODE_UNSUPPORTED},
		{"a digest that is none", renamed(two.whole(), "sha256:../../x"), spokev1.NackCode_NACK_CODE_INVALID},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMemory()
			s := open(t, m)
			web1, web2 := assignment("web", 1, one), assignment("web", 2, two)
			apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(web1, nil))
			if err := s.Applied(t.Context(), uidOf("web"), Applied{Digest: one.digest}, nil); err != nil {
				t.Fatal(err)
			}
			out, err := s.ApplyDelta(t.Context(), &spokev1.Delta{
				Cursor: cursor(1, 2), Changes: []*spokev1.Change{assign(web2, web1.Hash)}, Contents: []*spokev1.Content{tc.content},
			})
			if err != nil || !out.Persisted {
				t.Fatalf("persisted %v, %v", out.Persisted, err)
			}
			// The assignment stands either way; only the content is missing.
			if e := entry(t, s, "web"); e.Assignment.Revision != 2 || e.HasContent != (tc.code == 0) {
				t.Errorf("entry %v, has content %v", e.Assignment, e.HasContent)
			}
			for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
				got, err := s.Content(t.Context(), two.digest)
				if tc.code == 0 && !bytes.Equal(got, two.text) || tc.code != 0 && !errors.Is(err, ErrNoContent) {
					t.Errorf("%s: %d bytes, %v", where, len(got), err)
				}
				if missing := s.Missing(); (len(missing) == 1) != (tc.code != 0) {
					t.Errorf("%s: missing %v", where, missing)
				}
			}
			if tc.code == 0 {
				if len(out.Nacks) > 0 || !slices.Equal(out.Acked, []string{two.digest}) {
					t.Errorf("nacks %v, acked %v", out.Nacks, out.Acked)
				}
				return
			}
			if len(out.Nacks) != 1 || out.Nacks[0].Code != tc.code || out.Nacks[0].Digest != tc.content.Digest || len(out.Acked) > 0 {
				t.Errorf("nacks %v, acked %v, want %s", out.Nacks, out.Acked, tc.code)
			}
			// What the cluster runs is still here.
			if got, err := s.Content(t.Context(), one.digest); err != nil || !bytes.Equal(got, one.text) {
				t.Errorf("the content before: %v", err)
			}
		})
	}
}

func TestContentIsKeptWhileAppliedAndNoLonger(t *testing.T) {
	m := newMemory()
	s := open(t, m)
	var base []byte
	artifacts := make([]artifact, 5)
	on := func() (out []int) {
		for i, a := range artifacts {
			if a.digest != "" && slices.Contains(m.keys(artifactPrefix), artifactKey(a.digest, "")) {
				out = append(out, i)
			}
		}
		return out
	}
	step := func(i int) {
		artifacts[i] = content(string('a' + rune(i)))
		a := assignment("web", uint32(i+1), artifacts[i])
		apply(t, s, cursor(1, uint64(i+1)), []*spokev1.Content{artifacts[i].whole()}, assign(a, base))
		base = a.Hash
	}
	applied := func(i int) {
		t.Helper()
		if err := s.Applied(t.Context(), uidOf("web"), Applied{Digest: artifacts[i].digest}, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, indexes ...int) {
		t.Helper()
		if got := on(); !slices.Equal(got, indexes) {
			t.Errorf("%s: contents %v on disk, want %v", what, got, indexes)
		}
	}
	step(0)
	applied(0)
	want("first", 0)
	step(1)
	want("assigned, not applied", 0, 1)
	step(2)
	want("overtaken before it was applied", 0, 2)
	applied(2)
	want("applied", 2)
	s = open(t, m)
	step(3)
	want("after a restart, what is applied is known", 2, 3)
	// A delta brings content that nothing names: it would stay on disk for nobody.
	stray := content("stray")
	apply(t, s, cursor(1, 4), []*spokev1.Content{stray.whole()})
	if err := s.PutContent(t.Context(), stray.digest, uint64(len(stray.text)), stray.encoded); err != nil {
		t.Fatal(err)
	}
	if keys := m.keys(artifactPrefix); len(keys) != 2 || slices.Contains(m.writes, artifactKey(stray.digest, "")) {
		t.Errorf("on disk: %v, written %v", keys, m.writes)
	}
	// What an earlier process left goes with the next change.
	m.values[artifactKey(stray.digest, "")] = pack(uint64(len(stray.text)), stray.encoded)
	s = open(t, m)
	step(4)
	want("an orphan is collected", 2, 4)
	if keys := m.keys(artifactPrefix); len(keys) != 2 {
		t.Errorf("on disk: %v", keys)
	}
}

func TestPutContent(t *testing.T) {
	m := newMemory()
	s := open(t, m)
	one := content("one")
	apply(t, s, cursor(1, 1), nil, assign(assignment("web", 1, one), nil), assign(assignment("copy", 1, one), nil))
	signalled(s.Changed())
	if len(s.Missing()) != 2 {
		t.Fatalf("missing %v", s.Missing())
	}
	evil := content("evil")
	if err := s.PutContent(t.Context(), one.digest, uint64(len(evil.text)), evil.encoded); !errors.Is(err, manifest.ErrDigestMismatch) {
		t.Errorf("another content: %v", err)
	}
	if signalled(s.Changed()) {
		t.Error("changed by nothing")
	}
	if err := s.PutContent(t.Context(), one.digest, uint64(len(one.text)), one.encoded); err != nil {
		t.Fatal(err)
	}
	if !signalled(s.Changed()) || len(s.Missing()) > 0 || !entry(t, s, "web").HasContent || !entry(t, s, "copy").HasContent {
		t.Error("not there for all that name it")
	}
}

// Regression: a hub that lowered its limit made its spokes give up what they ran.
func TestLimitOfTheHubTakesNothingAway(t *testing.T) {
	s := open(t, newMemory())
	one, two := content("one"), content("two")
	web1 := assignment("web", 1, one)
	apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(web1, nil))
	s.SetMaxArtifactSize(uint64(len(one.text)) - 1)
	if got, err := s.Content(t.Context(), one.digest); err != nil || !bytes.Equal(got, one.text) {
		t.Errorf("content from before the limit: %v", err)
	}
	out, err := s.ApplyDelta(t.Context(), &spokev1.Delta{
		Cursor: cursor(1, 2), Changes: []*spokev1.Change{assign(assignment("web", 2, two), web1.Hash)}, Contents: []*spokev1.Content{two.whole()},
	})
	if err != nil || len(out.Nacks) != 2 {
		t.Errorf("beyond the limit: %v, %v", out.Nacks, err)
	}
}

func TestLostContentIsAskedForAgain(t *testing.T) {
	one := content("one")
	for name, damage := range map[string]func(*memory){
		"deleted": func(m *memory) { delete(m.values, artifactKey(one.digest, "")) },
		"damaged": func(m *memory) { m.values[artifactKey(one.digest, "")][20] ^= 1 },
		"emptied": func(m *memory) { m.values[artifactKey(one.digest, "")] = []byte{} },
		"swapped": func(m *memory) {
			m.values[artifactKey(one.digest, "")] = pack(uint64(len(content("two").text)), content("two").encoded)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			s := open(t, m)
			apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(assignment("web", 1, one), nil))
			signalled(s.Changed())
			damage(m)
			if _, err := s.Content(t.Context(), one.digest); !errors.Is(err, ErrNoContent) {
				t.Fatalf("read: %v", err)
			}
			if !signalled(s.Lacking()) || !signalled(s.Changed()) || len(s.Missing()) != 1 || entry(t, s, "web").HasContent {
				t.Errorf("nobody is told: missing %v", s.Missing())
			}
			if len(m.keys(artifactPrefix)) > 0 {
				t.Error("what is left of it is still on disk")
			}
			if err := s.PutContent(t.Context(), one.digest, uint64(len(one.text)), one.encoded); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Content(t.Context(), one.digest); err != nil || !bytes.Equal(got, one.text) {
				t.Errorf("fetched again: %v", err)
			}
		})
	}
}

// Regression: an API server that was away for a moment made the spoke drop what it ran from.
func TestBackendThatCannotBeAskedHasLostNothing(t *testing.T) {
	m := newMemory()
	s := open(t, m)
	one := content("one")
	apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(assignment("web", 1, one), nil))
	for _, err := range []error{errors.New("connection refused"), context.Canceled} {
		m.unreadable = err
		if _, got := s.Content(t.Context(), one.digest); !errors.Is(got, err) || errors.Is(got, ErrNoContent) {
			t.Errorf("%v, want %v", got, err)
		}
	}
	m.unreadable = nil
	if signalled(s.Lacking()) || len(s.Missing()) > 0 {
		t.Error("given up for lost")
	}
	if got, err := s.Content(t.Context(), one.digest); err != nil || !bytes.Equal(got, one.text) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAppliedOutlivesItsAssignment(t *testing.T) {
	one, two := content("one"), content("two")
	m := newMemory()
	s := open(t, m)
	apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(assignment("web", 1, one), nil))
	applied := Applied{
		Digest:    one.digest,
		Rendering: &spokev1.Rendering{Customization: &yardarmv1.Customization{Substitute: true}, Labels: map[string]string{"region": "eu"}},
		Delivery:  &yardarmv1.DeliveryPolicy{Namespace: "prod"},
	}
	beginning := &spokev1.Beginning{AssignmentHash: []byte("one"), BeginTime: &timestamppb.Timestamp{Seconds: 1}, Reached: true}
	if err := s.Applied(t.Context(), uidOf("web"), applied, beginning); err != nil {
		t.Fatal(err)
	}
	apply(t, s, cursor(1, 2), []*spokev1.Content{two.whole()}, assign(assignment("web", 2, two), nil))
	for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
		if e := entry(t, s, "web"); e.Assignment.Revision != 2 || !e.Applied.Equal(applied) || !proto.Equal(e.Beginning, beginning) {
			t.Errorf("%s: %+v", where, e)
		}
	}
	// What was to be removed and is assigned again begins anew.
	apply(t, s, cursor(1, 3), nil, remove("web", assignment("web", 2, two).Hash))
	apply(t, s, cursor(1, 4), []*spokev1.Content{two.whole()}, assign(assignment("web", 2, two), assignment("web", 2, two).Hash))
	if e := entry(t, s, "web"); e.Removal != nil || !e.Applied.Equal(applied) || e.Beginning != nil {
		t.Errorf("assigned again: %+v", e)
	}
	// The same artifact, customized in another way, is another thing to hold; and each of the rest is news, too.
	if err := s.Applied(t.Context(), uidOf("web"), Applied{Digest: one.digest}, nil); err != nil {
		t.Fatal(err)
	}
	if e := entry(t, open(t, m), "web"); !e.Applied.Equal(Applied{Digest: one.digest}) || e.Beginning != nil {
		t.Errorf("reopened: %+v", e)
	}
	for _, next := range []struct {
		Applied
		beginning *spokev1.Beginning
	}{{Applied{Digest: one.digest, Delivery: applied.Delivery}, nil}, {Applied{Digest: one.digest}, beginning}} {
		if err := s.Applied(t.Context(), uidOf("web"), next.Applied, next.beginning); err != nil {
			t.Fatal(err)
		}
		if e := entry(t, open(t, m), "web"); !e.Applied.Equal(next.Applied) || !proto.Equal(e.Beginning, next.beginning) {
			t.Errorf("reopened: %+v, want %+v", e, next)
		}
	}
}
