package reconcile

import (
	"fmt"
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/drift"
	"github.com/yardarm-dev/yardarm/spoke/live"
)

var (
	noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	web  = manifest.Ref{Kind: "ConfigMap", Namespace: "prod", Name: "web"}
)

func TestDriftIsToldNewestFirst(t *testing.T) {
	var d drifts
	at := noon
	for i := range keptDrift + 10 {
		at = at.Add(time.Second)
		ref := manifest.Ref{Kind: "ConfigMap", Name: fmt.Sprint(i)}
		d.repair(ref, []drift.Difference{{Path: "data.a"}}, at)
	}
	if len(d.repaired) != keptDrift {
		t.Errorf("%d are kept", len(d.repaired))
	}
	d.leave(web, judgement{differs: true}, []drift.Difference{{Path: "data.a"}, {Path: "data.b"}}, yardarmv1.ReasonReportOnly, noon)
	told := d.told(at)
	if len(told) != maxDrift || d.count() != 1 {
		t.Fatalf("%d are told, of %d objects", len(told), d.count())
	}
	if told[0].Path != "data.b" || told[0].Reason != yardarmv1.ReasonReportOnly || told[0].Corrected != nil {
		t.Errorf("first: %v", told[0])
	}
	if told[2].Object != "ConfigMap 59" || told[2].Corrected.AsTime() != at || told[2].Reason != "" {
		t.Errorf("then: %v", told[2])
	}
	if told := d.told(at.Add(repairedFor + time.Second)); len(told) != 2 {
		t.Errorf("%d are told after an hour", len(told))
	}
}

func TestDriftIsToldSinceItBegan(t *testing.T) {
	var d drifts
	found := []drift.Difference{{Path: "data.a", Live: `"x"`}}
	if news := d.leave(web, judgement{differs: true}, found, yardarmv1.ReasonReportOnly, noon); len(news) != 1 {
		t.Errorf("news: %v", news)
	}
	found = []drift.Difference{{Path: "data.a", Live: `"y"`}, {Path: "data.b"}}
	if news := d.leave(web, judgement{differs: true}, found, yardarmv1.ReasonReportOnly, noon.Add(time.Minute)); len(news) != 1 || news[0].Path != "data.b" {
		t.Errorf("news: %v", news)
	}
	told := d.told(noon)
	if len(told) != 2 || told[1].Live != `"y"` || !told[1].Since.AsTime().Equal(noon) || !told[0].Since.AsTime().Equal(noon.Add(time.Minute)) {
		t.Errorf("told: %v", told)
	}
	fixed := d.repair(web, found[:1], noon.Add(time.Hour))
	if len(fixed) != 1 || !fixed[0].since.Equal(noon) || d.count() != 0 || len(d.told(noon.Add(time.Hour))) != 1 {
		t.Errorf("repaired: %v", fixed)
	}
	// A field that is repaired again and again is one.
	d.repair(web, found[:1], noon.Add(2*time.Hour))
	if told := d.told(noon.Add(2 * time.Hour)); len(told) != 1 {
		t.Errorf("told: %v", told)
	}
}

func TestContendedDriftStandsAgain(t *testing.T) {
	var d drifts
	d.repair(web, []drift.Difference{{Path: "data.a", Manager: "other"}, {Path: "data.b"}}, noon)
	for i := range 2 {
		if manager, news := d.contend(web, noon.Add(time.Second)); manager != "other" || news != (i == 0) {
			t.Errorf("manager %q, news %v", manager, news)
		}
	}
	told := d.told(noon)
	if len(told) != 2 || told[0].Corrected != nil || told[0].Reason != reasonContended || d.count() != 1 {
		t.Errorf("told: %v", told)
	}
	if _, judged := d.judged(web, 0, live.Object{}, true, noon); judged {
		t.Error("it is not repaired any more")
	}
	d.forget(func(manifest.Ref) bool { return false })
	if len(d.told(noon)) != 0 || d.count() != 0 {
		t.Error("it is not forgotten")
	}
}

func TestJudgementsHold(t *testing.T) {
	one := live.Object{UID: "u", Version: 1, Fields: 7}
	later := live.Object{UID: "u", Version: 2, Fields: 7}
	for _, c := range []struct {
		name    string
		j       judgement
		content uint64
		object  live.Object
		exists  bool
		after   time.Duration
		judged  bool
		again   time.Duration
	}{
		{"as it was", judgement{object: one, exists: true}, 0, one, true, time.Hour, true, 0},
		{"changed, maybe in its status", judgement{object: one, exists: true}, 0, later, true, time.Second, true, lookAgain},
		{"changed for some time", judgement{object: one, exists: true}, 0, later, true, lookAgain, false, 0},
		{"our fields changed", judgement{object: one, exists: true}, 0, live.Object{UID: "u", Version: 2, Fields: 8}, true, 0, false, 0},
		{"made anew", judgement{object: one, exists: true}, 0, live.Object{UID: "v", Version: 2, Fields: 7}, true, 0, false, 0},
		{"deleted", judgement{object: one, exists: true}, 0, live.Object{}, false, 0, false, 0},
		{"still gone", judgement{}, 0, live.Object{}, false, time.Second, true, goneAgain},
		{"gone for some time", judgement{}, 0, live.Object{}, false, goneAgain, false, 0},
		{"there again", judgement{}, 0, one, true, 0, false, 0},
		{"not looked at", judgement{unseen: true, object: one, exists: true}, 0, live.Object{}, false, time.Hour, true, 0},
		{"other content", judgement{unseen: true}, 5, one, true, 0, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.j.at = noon
			d := drifts{left: map[manifest.Ref]judgement{web: c.j}}
			again, judged := d.judged(web, c.content, c.object, c.exists, noon.Add(c.after))
			if judged != c.judged {
				t.Errorf("judged: %v", judged)
			}
			if want := noon.Add(c.again); judged && (c.again == 0) != again.IsZero() || judged && c.again != 0 && !again.Equal(want) {
				t.Errorf("again at %v", again)
			}
		})
	}
}
