package reconcile

import (
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestRepairsAreFewerInAFight(t *testing.T) {
	r := repairs{}
	ref := manifest.Ref{Kind: "ConfigMap", Namespace: "a", Name: "m"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range fightAfter {
		if _, ok := r.may(ref, now); !ok {
			t.Fatalf("repair %d is refused", i)
		}
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
		}
	}
	if _, ok := r.may(manifest.Ref{Kind: "ConfigMap", Namespace: "a", Name: "other"}, now); !ok {
		t.Error("another object is refused")
	}
	if _, ok := r.may(ref, now.Add(2*fightWindow+time.Second)); !ok {
		t.Error("a fight does not end")
	}
}
