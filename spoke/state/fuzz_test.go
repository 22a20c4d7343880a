package state

import (
	"bytes"
	"regexp"
	"testing"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// FuzzApplyDelta sends what a hostile or broken hub might. Whatever comes, nothing ends without a tombstone that names it,
// the cursor does not go back, keys stay within their grammar, and disk and memory agree.
func FuzzApplyDelta(f *testing.F) {
	one, two := content("one"), content("two")
	web1, web2 := assignment("web", 1, one), assignment("web", 2, two)
	hostile := proto.CloneOf(web2)
	hostile.BundleUid = "../../../x"
	for _, d := range []*spokev1.Delta{
		{},
		{Cursor: cursor(1, 3), Changes: []*spokev1.Change{assign(web2, web1.Hash)}, Contents: []*spokev1.Content{two.whole(), two.against(f, one)}},
		{Cursor: &spokev1.Cursor{Index: 3}, Changes: []*spokev1.Change{revise(f, web1, web2, one, two), revise(f, web2, web1, two, one)}},
		{Cursor: cursor(2, 3), Changes: []*spokev1.Change{revise(f, web1, web2, one, two), {Change: &spokev1.Change_Revise{}}}},
		{Cursor: cursor(1, 3), Changes: []*spokev1.Change{remove("web", web1.Hash), assign(web1, nil), hold("web"), remove("db", web1.Hash)}},
		{Cursor: cursor(1, 1), Changes: []*spokev1.Change{remove("web", web1.Hash)}},
		{Cursor: cursor(2, 0), Changes: []*spokev1.Change{remove("web", nil), assign(web2, nil)}},
		{Cursor: cursor(1, 2), Changes: []*spokev1.Change{assign(hostile, nil), {}, {Change: &spokev1.Change_Remove{}}, {Change: &spokev1.Change_Hold{}}}},
		{Cursor: &spokev1.Cursor{Epoch: []byte("short"), Index: 1<<64 - 1}, Contents: []*spokev1.Content{{Size: 1<<64 - 1, BaseDigest: one.digest}}},
	} {
		data, err := proto.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &spokev1.Delta{}
		if proto.Unmarshal(data, d) != nil {
			return
		}
		m := newMemory()
		s := open(t, m)
		apply(t, s, cursor(1, 2), []*spokev1.Content{one.whole()}, assign(web1, nil), assign(assignment("db", 1, one), nil), assign(assignment("held", 1, one), nil), hold("held"))
		before := map[string]Entry{}
		for _, e := range s.Entries() {
			before[e.Assignment.BundleUid] = e
		}
		cursorBefore := s.Cursor()
		out, err := s.ApplyDelta(t.Context(), d)
		if err != nil && (out.Persisted || !proto.Equal(s.Cursor(), cursorBefore)) {
			t.Fatalf("refused with %v, and done", err)
		}
		if newer(cursorBefore, s.Cursor()) {
			t.Fatalf("the cursor went back from %v to %v", cursorBefore, s.Cursor())
		}
		after := map[string]Entry{}
		for _, e := range s.Entries() {
			after[e.Assignment.BundleUid] = e
		}
		for uid, e := range before {
			now, there := after[uid]
			if !there {
				t.Fatalf("%s vanished", uid)
			}
			if now.Removal != nil && !names(d, uid, e) {
				t.Fatalf("%s is being removed, and no tombstone names it", uid)
			}
			if !bytes.Equal(now.Assignment.Hash, e.Assignment.Hash) && !bytes.Equal(s.withEpoch(d.Cursor).GetEpoch(), e.Epoch) && !replaces(d, uid, e) {
				t.Fatalf("%s was replaced in another epoch by a change that does not name it", uid)
			}
		}
		if got := open(t, m); describe(got) != describe(s) || !proto.Equal(got.Cursor(), s.Cursor()) {
			t.Fatalf("on disk\n%sin memory\n%s", describe(got), describe(s))
		}
		for _, key := range m.keys("") {
			if !keyGrammar.MatchString(key) {
				t.Fatalf("key %q", key)
			}
		}
		for _, digest := range out.Acked {
			if _, err := s.Content(t.Context(), digest); err != nil {
				t.Fatalf("acknowledged and not here: %v", err)
			}
		}
	})
}

var keyGrammar = regexp.MustCompile(`^(cursor|owner|holding/[a-z0-9-]{1,63}|artifact/[0-9a-f]{64}|delta/[0-9a-f]{64}-[0-9a-f]{64})$`)

// replaces tells whether a delta has an assignment that names the holding.
func replaces(d *spokev1.Delta, uid string, e Entry) bool {
	for _, c := range d.Changes {
		if c.GetAssign().GetBundleUid() == uid && bytes.Equal(c.BaseHash, e.Assignment.Hash) {
			return true
		}
	}
	return false
}

// names tells whether a delta has a tombstone for the holding, or one for an assignment that it made itself.
func names(d *spokev1.Delta, uid string, e Entry) bool {
	hashes := [][]byte{e.Assignment.Hash}
	for _, c := range d.Changes {
		if a := c.GetAssign(); a.GetBundleUid() == uid {
			hashes = append(hashes, a.Hash)
		}
		if r := c.GetRemove(); r.GetBundleUid() == uid {
			for _, h := range hashes {
				if bytes.Equal(c.BaseHash, h) {
					return true
				}
			}
		}
	}
	return false
}

// FuzzOpen reads what a damaged disk might hold.
func FuzzOpen(f *testing.F) {
	m := newMemory()
	history(f, m)
	for key, value := range m.values {
		f.Add(key, value)
	}
	f.Add("artifact/", []byte{})
	f.Add("holding/..", []byte("\x0a\x02\x1a\x00"))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		m := newMemory()
		m.values[key] = value
		s := open(t, m)
		for _, e := range s.Entries() {
			_, _ = s.Content(t.Context(), e.Assignment.Digest)
		}
		if _, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: cursor(255, 1<<64-1)}); err != nil && s.Cursor() == nil {
			t.Fatal(err)
		}
	})
}
