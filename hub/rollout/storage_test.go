package rollout

import (
	"strings"
	"testing"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// defined are the definitions of a content, as in "ships=v1,v2*": the version with the star is stored.
func defined(texts ...string) (out []*storev1.Definition) {
	for _, text := range texts {
		name, versions, _ := strings.Cut(text, "=")
		d := &storev1.Definition{Name: name}
		for v := range strings.SplitSeq(versions, ",") {
			version, stored := strings.CutSuffix(v, "*")
			if stored {
				d.Stored = version
			}
			d.Versions = append(d.Versions, version)
		}
		out = append(out, d)
	}
	return out
}

func TestStorageChanges(t *testing.T) {
	for name, test := range map[string]struct {
		before [][]*storev1.Definition
		after  []*storev1.Definition
		want   string
	}{
		"nothing ran":              {nil, defined("ships=v1*"), ""},
		"the same":                 {[][]*storev1.Definition{defined("ships=v1*,v2")}, defined("ships=v1*,v2"), ""},
		"a version more":           {[][]*storev1.Definition{defined("ships=v1*")}, defined("ships=v1*,v2"), ""},
		"a new definition":         {[][]*storev1.Definition{defined("ships=v1*")}, defined("ships=v1*", "masts=v1*"), ""},
		"a definition goes":        {[][]*storev1.Definition{defined("ships=v1*", "masts=v1*")}, defined("ships=v1*"), ""},
		"another version":          {[][]*storev1.Definition{defined("ships=v1*,v2")}, defined("ships=v1,v2*"), "ships: objects are stored as v2 instead of v1"},
		"one that is stored goes":  {[][]*storev1.Definition{defined("ships=v1*")}, defined("ships=v2*"), "ships: objects are stored as v2 instead of v1, and v1 goes, in which some may be stored"},
		"ones that were":           {[][]*storev1.Definition{defined("ships=a,b,c*")}, defined("ships=c*"), "ships: a, b go, in which some may be stored"},
		"no version is stored":     {[][]*storev1.Definition{defined("ships=v1*")}, defined("ships=v1"), "ships: objects are stored as (none) instead of v1"},
		"of one of two contents":   {[][]*storev1.Definition{defined("ships=v1,v2*"), defined("ships=v1*,v2")}, defined("ships=v1,v2*"), "ships: objects are stored as v2 instead of v1"},
		"of both, by each a step":  {[][]*storev1.Definition{defined("ships=v1*,v3"), defined("ships=v2*,v3")}, defined("ships=v3*"), "ships: objects are stored as v3 instead of v1, and v1 goes, in which some may be stored; ships: objects are stored as v3 instead of v2, and v2 goes, in which some may be stored"},
		"of both, the same":        {[][]*storev1.Definition{defined("ships=v1*,v2"), defined("ships=v1*,v2", "masts=v1*")}, defined("ships=v1,v2*"), "ships: objects are stored as v2 instead of v1"},
		"two, in their order":      {[][]*storev1.Definition{defined("ships=v1*,v2", "masts=v1*,v2")}, defined("ships=v1,v2*", "masts=v2*,v1"), "masts: objects are stored as v2 instead of v1; ships: objects are stored as v2 instead of v1"},
		"it goes back as it moved": {[][]*storev1.Definition{defined("ships=v1,v2*")}, defined("ships=v1*,v2"), "ships: objects are stored as v1 instead of v2"},
	} {
		var moves []Move
		for _, before := range test.before {
			moves = append(moves, Move{before, test.after})
		}
		if got := Confirmation(StorageChanges(moves)); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// Nobody gets a revision that has to be confirmed, also where nobody is there, whom its stage would not wait for; it may be paused and superseded.
func TestUnconfirmed(t *testing.T) {
	c := newCourse(t, 2, &yardarmv1.Stage{Group: "none"}, &yardarmv1.Stage{Concurrency: "2"})
	c.r.Unconfirmed = true
	c.expect("ww", Progressing, WaitConfirmation)
	c.r.Phase = Paused
	c.expect("ww", Paused, WaitOperator)
	c.r.Phase = Progressing
	c.expect("ww", Progressing, WaitConfirmation)
	c.r.Unconfirmed = false
	c.expect("gg", Progressing, WaitClusters)
}

// An approval confirms first, and approves no stage with that; nothing else lets it go.
func TestSteerUnconfirmed(t *testing.T) {
	row := &storev1.Rollout{Revision: 2, Unconfirmed: true, Wait: uint32(WaitConfirmation), Stages: []*storev1.RolloutStage{{Name: "first"}, {Name: "rest"}},
		Strategy: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Name: "first", Approval: yardarmv1.ApprovalBefore}, {Name: "rest"}}}}
	steer := func(action string) error { return Steer(row, &yardarmv1.RolloutAction{Action: action, Actor: "anna"}) }
	if err := steer(yardarmv1.ActionPromote); err == nil || !strings.Contains(err.Error(), "waits for a confirmation") {
		t.Errorf("promoted: %v", err)
	}
	if Reached(row, 0) {
		t.Error("its first stage is under way")
	}
	for _, want := range []struct {
		action                string
		unconfirmed, approved bool
	}{{yardarmv1.ActionOverride, true, false}, {yardarmv1.ActionConfirm, false, false}, {yardarmv1.ActionApprove, false, true}} {
		action := want.action
		if action == yardarmv1.ActionConfirm {
			action = yardarmv1.ActionApprove
		}
		if err := steer(action); err != nil {
			t.Fatal(err)
		}
		if did := row.Actions[len(row.Actions)-1]; did.Action != want.action || did.Actor != "anna" || did.Stage != "first" || row.Unconfirmed != want.unconfirmed || row.Stages[0].Approved != want.approved {
			t.Errorf("%s: %v", want.action, row)
		}
	}
}
