package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
)

func TestRepairsAreFewerInAFight(t *testing.T) {
	r := repairs{}
	ref := manifest.Ref{Kind: "ConfigMap", Namespace: "a", Name: "m"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range fightAfter {
		if _, ok := r.may(ref, now); !ok {
			t.Fatalf("repair %d is refused", i)
		}
		r.count(ref, now)
	}
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		next, ok := r.may(ref, now)
		if ok || !next.Equal(now.Add(wait*time.Second)) {
			t.Fatalf("allowed %v, next after %v, want %v", ok, next.Sub(now), wait*time.Second)
		}
		if now = next; !now.IsZero() {
			if _, ok := r.may(ref, now); !ok {
				t.Fatal("refused when its time has come")
			}
			r.count(ref, now)
		}
	}
	if _, ok := r.may(manifest.Ref{Kind: "ConfigMap", Namespace: "a", Name: "other"}, now); !ok {
		t.Error("another object is refused")
	}
	if _, ok := r.may(ref, now.Add(2*fightWindow+time.Second)); !ok {
		t.Error("a fight does not end")
	}
	r.count(ref, now.Add(2*fightWindow+time.Second))
	if _, ok := r.may(ref, now.Add(2*fightWindow+time.Second)); !ok {
		t.Error("a fight that has ended counts")
	}
}

// fight edits m0 of web until that is told as a fight, and answers the report that does.
func (s *spoke) fight() *yardarmv1.Report {
	s.t.Helper()
	for i := range 3 * fightAfter {
		s.edit("m0", fmt.Sprintf(`{"data":{"key":"edit-%d"}}`, i))
		var r *yardarmv1.Report
		fought := false
		s.until("a repair, or a report of the fight", func() bool {
			r = s.report("web")
			fought = problemOf(r, "/m0") != nil && problemOf(r, "/m0").Reason == "Contended"
			return fought || value(s.get("m0")) == "one"
		})
		if fought {
			if i < fightAfter-1 {
				s.t.Errorf("a fight after %d edits", i+1)
			}
			return r
		}
	}
	s.t.Fatal("no report of the fight")
	return nil
}

// Regression: a fight over one object had an atomic bundle refused, which kept all others from being repaired.
func TestFightConcernsItsObjectAlone(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, atomic: true, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.fight()
	e.edit("m1", `{"data":{"key":"edited"}}`)
	e.until("m1 is repaired", func() bool {
		if r := s.report("web"); strings.Contains(r.Message, "atomic") {
			t.Fatalf("report: %v", r)
		}
		return value(e.get("m1")) == "one"
	})
}

func TestHindered(t *testing.T) {
	for reason, want := range map[string]bool{reasonContended: false, yardarmv1.ReasonPolicyDenied: false, "Invalid": true, apply.ReasonClaimedByBundle: true} {
		o := outcome{problems: []*apply.Problem{{Reason: reason}}}
		if got := o.hindered(); got != want {
			t.Errorf("%s: %v, want %v", reason, got, want)
		}
	}
}

// A bundle whose new revision is refused as a whole repairs what the cluster holds. Regression: each repair counted twice, and half of a fight was one.
func TestRefusedBundleCountsRepairsOnce(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, atomic: true, objects: several(1, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	broken := "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {type: Nonsense, ports: [{port: 80}]}"
	e.assign(assignment{bundle: "web", revision: 2, atomic: true, objects: append(several(1, "one"), broken)})
	s.awaitPhase("web", yardarmv1.PhaseFailed)
	for i := range fightAfter - 1 {
		e.edit("m0", fmt.Sprintf(`{"data":{"key":"edit-%d"}}`, i))
		e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	}
	e.until("the repairs are counted", func() bool {
		return s.metric("yardarm_spoke_drift_total", "mode", yardarmv1.DriftCorrect, "outcome", outcomeCorrected) == fightAfter-1
	})
	if n := s.metric("yardarm_spoke_drift_total", "mode", yardarmv1.DriftCorrect, "outcome", outcomeContended); n != 0 {
		t.Errorf("%v repairs were put off", n)
	}
}
