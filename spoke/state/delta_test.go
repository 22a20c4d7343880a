package state

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// Each case starts with web at revision 1, assigned in epoch 1, and makes one change.
func TestChangeRules(t *testing.T) {
	one, two := content("one"), content("two")
	web1, web2 := assignment("web", 1, one), assignment("web", 2, two)
	other := assignment("other", 1, two)
	edited := func(edit func(*yardarmv1.AssignmentSpec)) *yardarmv1.AssignmentSpec {
		a := proto.CloneOf(web2)
		edit(a)
		a.Hash = holdings.AssignmentHash(a)
		return a
	}
	unknownField := proto.CloneOf(web2)
	unknownField.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1))
	unknownField.Hash = []byte("the hash of a hub that knows the field")
	keep := remove("web", web1.Hash)
	keep.GetRemove().Workloads = yardarmv1.Workloads_WORKLOADS_UNSPECIFIED

	const still, gone = "still web 1", "being removed"
	for _, tc := range []struct {
		name   string
		at     *spokev1.Cursor
		change *spokev1.Change
		nack   spokev1.NackCode // 0 for none
		want   string
	}{
		{"replace", cursor(1, 2), assign(web2, web1.Hash), 0, "web 2"},
		{"replace without naming, same epoch", cursor(1, 2), assign(web2, nil), 0, "web 2"},
		{"replace without naming, at the same cursor", cursor(1, 1), assign(web2, nil), 0, "web 2"},
		{"replace without naming, another epoch", cursor(2, 1), assign(web2, nil), spokev1.NackCode_NACK_CODE_EPOCH, still},
		{"replace naming another, another epoch", cursor(2, 1), assign(web2, other.Hash), spokev1.NackCode_NACK_CODE_EPOCH, still},
		{"replace naming it, another epoch", cursor(2, 1), assign(web2, web1.Hash), 0, "web 2"},
		{"assign another bundle, another epoch", cursor(2, 1), assign(other, nil), 0, still},
		{"remove", cursor(1, 2), remove("web", web1.Hash), 0, gone},
		{"remove at the same cursor", cursor(1, 1), remove("web", web1.Hash), 0, gone},
		{"remove without naming", cursor(1, 2), remove("web", nil), spokev1.NackCode_NACK_CODE_INVALID, still},
		{"remove another assignment", cursor(1, 2), remove("web", web2.Hash), spokev1.NackCode_NACK_CODE_INVALID, still},
		{"remove without naming, another epoch", cursor(2, 1), remove("web", nil), spokev1.NackCode_NACK_CODE_EPOCH, still},
		{"remove naming it, another epoch", cursor(2, 1), remove("web", web1.Hash), 0, gone},
		{"remove without saying what becomes of the objects", cursor(1, 2), keep, spokev1.NackCode_NACK_CODE_UNSUPPORTED, still},
		{"remove what is not there", cursor(1, 2), remove("nothing", web1.Hash), 0, still},
		{"hold", cursor(1, 2), hold("web"), 0, "held web 1"},
		{"hold, another epoch", cursor(2, 1), hold("web"), 0, "held web 1"},
		{"hold what is not there", cursor(1, 2), hold("nothing"), 0, still},
		{"no uid", cursor(1, 2), assign(edited(func(a *yardarmv1.AssignmentSpec) { a.BundleUid = "" }), nil), spokev1.NackCode_NACK_CODE_INVALID, still},
		// Regression: the uid is part of a file's name.
		{"uid out of the directory", cursor(1, 2), assign(edited(func(a *yardarmv1.AssignmentSpec) { a.BundleUid = "../../etc/web" }), nil), spokev1.NackCode_NACK_CODE_INVALID, still},
		{"uid that is too long", cursor(1, 2), assign(edited(func(a *yardarmv1.AssignmentSpec) { a.BundleUid = strings.Repeat("a", 64) }), nil), spokev1.NackCode_NACK_CODE_INVALID, still},
		{"bundle without a name", cursor(1, 2), assign(edited(func(a *yardarmv1.AssignmentSpec) { a.Bundle = "" }), nil), spokev1.NackCode_NACK_CODE_INVALID, still},
		{"no digest", cursor(1, 2), assign(edited(func(a *yardarmv1.AssignmentSpec) { a.Digest = "sha256:aa" }), nil), spokev1.NackCode_NACK_CODE_INVALID, still},
		{"too large", cursor(1, 2), assign(edited(func(a *yardarmv1.AssignmentSpec) { a.Size = DefaultMaxArtifactSize + 1 }), nil), spokev1.NackCode_NACK_CODE_UNSUPPORTED, still},
		{"a field that this spoke does not know", cursor(1, 2), assign(unknownField, web1.Hash), spokev1.NackCode_NACK_CODE_UNSUPPORTED, still},
		{"a customization that this spoke knows", cursor(1, 2), assign(edited(func(a *yardarmv1.AssignmentSpec) {
			a.Customization = &yardarmv1.Customization{Substitute: true, Language: yardarmv1.CustomizationLanguage}
		}), web1.Hash), 0, "web 2"},
		{"a customization in a newer language", cursor(1, 2), assign(edited(func(a *yardarmv1.AssignmentSpec) {
			a.Customization = &yardarmv1.Customization{Substitute: true, Language: yardarmv1.CustomizationLanguage + 1}
		}), web1.Hash), spokev1.NackCode_NACK_CODE_UNSUPPORTED, still},
		{"empty assignment", cursor(1, 2), assign(&yardarmv1.AssignmentSpec{}, nil), spokev1.NackCode_NACK_CODE_INVALID, still},
		{"a change that this spoke does not know", cursor(1, 2), &spokev1.Change{}, spokev1.NackCode_NACK_CODE_UNSUPPORTED, still},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMemory()
			s := open(t, m)
			apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(web1, nil))
			out, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: tc.at, Changes: []*spokev1.Change{tc.change}})
			if err != nil {
				t.Fatal(err)
			}
			var code spokev1.NackCode
			if len(out.Nacks) == 1 {
				code = out.Nacks[0].Code
			}
			if len(out.Nacks) > 1 || code != tc.nack {
				t.Fatalf("nacks %v, want %s", out.Nacks, tc.nack)
			}
			// What was refused and what was done must be the same on disk.
			for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
				e := entry(t, s, "web")
				if e == nil {
					t.Fatalf("%s: web is gone", where)
				}
				got := map[bool]string{true: "held ", false: ""}[e.Hold != nil] + "web " + string('0'+rune(e.Assignment.Revision))
				if e.Removal != nil {
					got = gone
				}
				if want := strings.TrimPrefix(tc.want, "still "); got != want {
					t.Errorf("%s: %s, want %s", where, got, want)
				}
				if !proto.Equal(s.Cursor(), tc.at) {
					t.Errorf("%s: cursor %v, want %v", where, s.Cursor(), tc.at)
				}
			}
		})
	}
}

func TestOneRefusedChangeDoesNotStopOthers(t *testing.T) {
	s := open(t, newMemory())
	bad := assignment("bad", 1, content("x"))
	bad.Digest = "none"
	good := assignment("good", 1, content("y"))
	out, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: cursor(1, 1), Changes: []*spokev1.Change{assign(bad, nil), assign(good, nil)}})
	if err != nil || len(out.Nacks) != 1 || out.Nacks[0].BundleUid != uidOf("bad") || !out.Persisted {
		t.Fatalf("outcome %v, %v", out, err)
	}
	if entry(t, s, "good") == nil || entry(t, s, "bad") != nil {
		t.Errorf("entries %v", s.Entries())
	}
}

func TestOlderCursorIsRefused(t *testing.T) {
	web := assignment("web", 1, content("one"))
	for _, tc := range []struct {
		name string
		at   *spokev1.Cursor
		want error
	}{
		{"older index", cursor(2, 4), ErrOlderCursor},
		{"same", cursor(2, 5), nil},
		{"newer index", cursor(2, 6), nil},
		{"older epoch, larger index", cursor(1, 99), ErrOlderCursor},
		{"newer epoch, smaller index", cursor(3, 1), nil},
		{"none", nil, ErrInvalidCursor},
		{"short epoch", &spokev1.Cursor{Epoch: []byte{9}, Index: 9}, ErrInvalidCursor},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMemory()
			s := open(t, m)
			apply(t, s, cursor(2, 5), nil, assign(web, nil))
			s = open(t, m) // a restart does not make it forget
			if err := s.CheckCursor(tc.at); !errors.Is(err, tc.want) {
				t.Errorf("check: %v, want %v", err, tc.want)
			}
			_, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: tc.at, Changes: []*spokev1.Change{remove("web", web.Hash)}})
			if !errors.Is(err, tc.want) {
				t.Errorf("apply: %v, want %v", err, tc.want)
			}
			if removed := entry(t, s, "web").Removal != nil; removed != (tc.want == nil) {
				t.Errorf("removed: %v", removed)
			}
		})
	}
}

// Regression: a delta without a cursor made the first one that a spoke got panic.
func TestDeltaWithoutCursorIsRefusedFromTheStart(t *testing.T) {
	s := open(t, newMemory())
	_, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Changes: []*spokev1.Change{assign(assignment("web", 1, content("one")), nil)}})
	if !errors.Is(err, ErrInvalidCursor) || len(s.Entries()) > 0 {
		t.Errorf("%v, entries %v", err, s.Entries())
	}
}

func TestDiverged(t *testing.T) {
	s := open(t, newMemory())
	web, db := assignment("web", 1, content("one")), assignment("db", 1, content("two"))
	for _, tc := range []struct {
		name    string
		changes []*spokev1.Change
		items   []holdings.Item
		want    bool
	}{
		{"as expected", []*spokev1.Change{assign(web, nil), assign(db, nil)},
			[]holdings.Item{{BundleUID: uidOf("web"), Hash: web.Hash}, {BundleUID: uidOf("db"), Hash: db.Hash}}, false},
		{"the hub knows less", nil, []holdings.Item{{BundleUID: uidOf("web"), Hash: web.Hash}}, true},
		{"a hold that the hub does not expect", []*spokev1.Change{hold("web")},
			[]holdings.Item{{BundleUID: uidOf("web"), Hash: web.Hash}, {BundleUID: uidOf("db"), Hash: db.Hash}}, true},
		{"what is being removed is no member", []*spokev1.Change{remove("db", db.Hash)},
			[]holdings.Item{{BundleUID: uidOf("web"), Hash: web.Hash, Held: true}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: cursor(1, 1), Changes: tc.changes, HoldingsHash: holdings.SetHash(tc.items)})
			if err != nil || out.Diverged != tc.want || !out.Persisted {
				t.Errorf("diverged %v, want %v (%v)", out.Diverged, tc.want, err)
			}
		})
	}
}

// A hold ends when the hub assigns, even the very same, and never by a tombstone's refusal.
func TestHoldEnds(t *testing.T) {
	s := open(t, newMemory())
	web := assignment("web", 1, content("one"))
	apply(t, s, cursor(1, 1), nil, assign(web, nil))
	apply(t, s, cursor(2, 1), nil, hold("web"))
	if e := entry(t, s, "web"); e.Hold.GetReason() != yardarmv1.ReasonUnknownToHub || !bytes.Equal(e.Epoch, epoch(1)) {
		t.Fatalf("held as %v", e)
	}
	if out, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: cursor(2, 2), Changes: []*spokev1.Change{remove("web", nil)}}); err != nil || len(out.Nacks) != 1 {
		t.Fatalf("%v %v", out, err)
	}
	if entry(t, s, "web").Hold == nil {
		t.Fatal("a refused tombstone has ended the hold")
	}
	apply(t, s, cursor(2, 3), nil, assign(web, web.Hash))
	if e := entry(t, s, "web"); e.Hold != nil || !bytes.Equal(e.Epoch, epoch(2)) || e.Index != 3 {
		t.Errorf("after assigning it again: %v", e)
	}
	apply(t, s, cursor(2, 4), nil, hold("web"))
	apply(t, s, cursor(2, 5), nil, remove("web", web.Hash))
	apply(t, s, cursor(2, 6), nil, hold("web")) // too late
	if e := entry(t, s, "web"); e.Hold != nil || e.Removal == nil {
		t.Errorf("after an accepted removal: %v", e)
	}
	if missing := s.Missing(); len(missing) > 0 {
		t.Errorf("content is fetched for what is being removed: %v", missing)
	}
}

func TestFinished(t *testing.T) {
	one, two := content("one"), content("two")
	web1, web2 := assignment("web", 1, one), assignment("web", 2, two)
	m := newMemory()
	s := open(t, m)
	finish := func() {
		t.Helper()
		if err := s.Finished(t.Context(), uidOf("web")); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(web1, nil))
	finish()
	if entry(t, s, "web") == nil || signalled(s.Ended()) {
		t.Fatal("finished without a tombstone")
	}
	apply(t, s, cursor(1, 2), nil, remove("web", web1.Hash))
	if !s.Removing() {
		t.Error("not removing")
	}
	// Assigned again before the reconciler was done: its word comes too late.
	apply(t, s, cursor(1, 3), nil, assign(web2, web1.Hash))
	finish()
	if e := entry(t, s, "web"); e == nil || e.Removal != nil || e.Assignment.Revision != 2 || signalled(s.Ended()) {
		t.Fatalf("an assignment was lost to an older removal: %v", e)
	}
	apply(t, s, cursor(1, 4), nil, remove("web", web2.Hash))
	finish()
	if entry(t, s, "web") != nil || !signalled(s.Ended()) || s.Removing() {
		t.Error("still there")
	}
	if keys := append(m.keys(holdingPrefix), m.keys(artifactPrefix)...); len(keys) > 0 {
		t.Errorf("left on disk: %v", keys)
	}
	// A tombstone that comes twice finds nothing, and says nothing.
	apply(t, s, cursor(1, 4), nil, remove("web", web2.Hash))
}
