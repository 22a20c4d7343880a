package state

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// revise is the brief change from one assignment to another, as a hub makes it.
func revise(t testing.TB, from, to *yardarmv1.AssignmentSpec, base, target artifact) *spokev1.Change {
	t.Helper()
	r := &spokev1.Revise{Revision: to.Revision, Hash: to.Hash[:holdings.ProofSize]}
	if base.digest != target.digest {
		r.Size, r.Delta = uint64(len(target.text)), target.against(t, base).Data
	}
	return &spokev1.Change{Change: &spokev1.Change_Revise{Revise: r}, BaseHash: holdings.Cut(from.Hash)}
}

// A brief change comes to the very assignment that the hub means, or to nothing.
func TestRevise(t *testing.T) {
	one, two := content("one"), content("two")
	web1, web2 := assignment("web", 1, one), assignment("web", 2, two)
	again := assignment("web", 2, one)
	good := revise(t, web1, web2, one, two)
	edited := func(edit func(*spokev1.Change, *spokev1.Revise)) *spokev1.Change {
		c := proto.CloneOf(good)
		edit(c, c.GetRevise())
		return c
	}
	brief := &spokev1.Cursor{Index: 2, Mac: []byte("mac")}
	const missing, wrong, unsupported, other = spokev1.NackCode_NACK_CODE_MISSING_BASE, spokev1.NackCode_NACK_CODE_WRONG_DIGEST, spokev1.NackCode_NACK_CODE_UNSUPPORTED, spokev1.NackCode_NACK_CODE_EPOCH
	for _, tc := range []struct {
		name   string
		at     *spokev1.Cursor
		change *spokev1.Change
		nack   spokev1.NackCode          // 0 for none
		want   *yardarmv1.AssignmentSpec // nil: what it was
	}{
		{"another artifact", brief, good, 0, web2},
		{"under a cursor with its epoch", cursor(1, 2), good, 0, web2},
		{"the same artifact", brief, revise(t, web1, again, one, one), 0, again},
		{"named by all of its hash", brief, edited(func(c *spokev1.Change, _ *spokev1.Revise) { c.BaseHash = web1.Hash }), 0, web2},
		{"proved by all of its hash", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Hash = web2.Hash }), 0, web2},
		{"of what is not here", brief, edited(func(c *spokev1.Change, _ *spokev1.Revise) { c.BaseHash = holdings.Cut(web2.Hash) }), 0, nil},
		{"of nothing", brief, edited(func(c *spokev1.Change, _ *spokev1.Revise) { c.BaseHash = nil }), 0, nil},
		{"named too briefly", brief, edited(func(c *spokev1.Change, _ *spokev1.Revise) { c.BaseHash = web1.Hash[:4] }), 0, nil},
		{"under another epoch", cursor(2, 1), good, other, nil},
		{"another revision than is meant", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Revision = 3 }), wrong, nil},
		{"another artifact than is meant", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Delta = content("evil").against(t, one).Data; r.Size++ }), wrong, nil},
		{"a delta against something else", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Delta = two.against(t, content("else")).Data }), wrong, nil},
		{"no delta at all", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Delta = []byte("no zstd") }), wrong, nil},
		{"a delta that is left out", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Delta = nil }), wrong, nil},
		{"another size", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Size-- }), wrong, nil},
		{"more than the limit", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Size = DefaultMaxArtifactSize + 1 }), unsupported, nil},
		{"the largest number", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Size = 1<<64 - 1 }), unsupported, nil},
		{"no proof", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Hash = nil }), wrong, nil},
		{"too short a proof", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Hash = r.Hash[:8] }), wrong, nil},
		{"another proof", brief, edited(func(_ *spokev1.Change, r *spokev1.Revise) { r.Hash = web1.Hash }), wrong, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMemory()
			s := open(t, m)
			apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(web1, nil))
			want := tc.want
			if want == nil {
				want = web1
			}
			d := &spokev1.Delta{Cursor: tc.at, Changes: []*spokev1.Change{tc.change}, HoldingsHash: holdings.Cut(holdings.SetHash([]holdings.Item{{BundleUID: uidOf("web"), Hash: web2.Hash}}))}
			out, err := s.ApplyDelta(t.Context(), d)
			if err != nil || !out.Persisted || out.Complete != (tc.nack == 0) {
				t.Fatalf("%+v, %v", out, err)
			}
			if tc.nack != 0 && (len(out.Nacks) != 1 || out.Nacks[0].Code != tc.nack || out.Nacks[0].BundleUid != uidOf("web") || len(out.Nacks[0].Cursor.Epoch) == 0) {
				t.Errorf("nacks %v, want %s", out.Nacks, tc.nack)
			}
			if out.Diverged != (want != web2) {
				t.Errorf("diverged: %v", out.Diverged)
			}
			for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
				e := entry(t, s, "web")
				if !proto.Equal(e.Assignment, want) || !e.HasContent || len(s.Cursor().Epoch) != epochSize {
					t.Errorf("%s: %v at %v, has content %v", where, e.Assignment, s.Cursor(), e.HasContent)
				}
				text := one.text
				if want == web2 {
					text = two.text
				}
				if got, err := s.Content(t.Context(), e.Assignment.Digest); err != nil || !bytes.Equal(got, text) {
					t.Errorf("%s: content %q, %v", where, got, err)
				}
			}
			if tc.want != web2 {
				return
			}
			// A proxy may say it twice.
			if out, err := s.ApplyDelta(t.Context(), d); err != nil || out.Diverged || len(out.Nacks) > 0 {
				t.Errorf("the second time: %+v, %v", out, err)
			}
		})
	}
	t.Run("without the content it rests on", func(t *testing.T) {
		s := open(t, newMemory())
		apply(t, s, cursor(1, 1), nil, assign(web1, nil))
		out, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: brief, Changes: []*spokev1.Change{good}})
		if err != nil || len(out.Nacks) != 1 || out.Nacks[0].Code != missing || entry(t, s, "web").Assignment.Revision != 1 {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("two holdings of one name", func(t *testing.T) {
		entries := map[string]*Entry{"a": {Assignment: web1}, "b": {Assignment: web1}}
		if entryByHash(entries, web1.Hash) != nil {
			t.Error("one of them is taken for the one that is meant")
		}
	})
	t.Run("a cursor without its epoch, before the first", func(t *testing.T) {
		if _, err := open(t, newMemory()).ApplyDelta(t.Context(), &spokev1.Delta{Cursor: brief}); err == nil {
			t.Error("taken")
		}
	})
}
