package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var (
	deleteNow = metav1.DeleteOptions{}
	getNow    = metav1.GetOptions{}
)

func gvr(group, version, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: resource}
}

// hold has the hub hold an entry.
func (e *env) hold(uid string) {
	e.state.change(func() {
		entry := e.state.entries[uid]
		entry.Hold = &spokev1.Hold{Bundle: uid, BundleUid: uid, Reason: yardarmv1.ReasonUnknownToHub, Message: "the hub was restored"}
		e.state.entries[uid] = entry
	})
}

func TestDriftIsRepaired(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(5, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)

	for _, c := range []struct {
		name, what, patch string
	}{
		{"m0", "a changed value", `{"data":{"key":"edited"}}`},
		{"m1", "a removed field", `{"data":{"key":null}}`},
		{"m2", "a removed label", `{"metadata":{"labels":{"yardarm.dev/bundle":null}}}`},
		{"m3", "a removed owner", `{"metadata":{"annotations":{"yardarm.dev/owner":null}}}`},
	} {
		started := time.Now()
		e.edit(c.name, c.patch)
		e.until(c.what+" is repaired", func() bool {
			obj := e.get(c.name)
			return value(obj) == "one" && obj.GetLabels()[yardarmv1.LabelBundle] == "web" && obj.GetAnnotations()[yardarmv1.AnnotationOwner] == "web"
		})
		t.Logf("%s was repaired after %v", c.what, time.Since(started))
	}
	started := time.Now()
	e.delete("m4")
	e.until("a deleted object is there again", func() bool { return value(e.get("m4")) == "one" })
	t.Logf("a deleted object was there again after %v", time.Since(started))
	s.awaitPhase("web", yardarmv1.PhaseReady)
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writes.take()
	e.edit("m0", `{"data":{"other":"theirs"},"metadata":{"labels":{"theirs":"yes"}}}`)
	// A repair of another object shows that the first edit has been seen.
	e.edit("m1", `{"data":{"key":"edited"}}`)
	e.until("m1 is repaired", func() bool { return value(e.get("m1")) == "one" })
	for _, path := range s.writes.take() {
		if strings.HasSuffix(path, "/m0") {
			t.Errorf("m0 was written for a field that is not ours: %s", path)
		}
	}
	if got := e.get("m0").GetLabels()["theirs"]; got != "yes" {
		t.Errorf("their label is %q", got)
	}
}

func TestIdleSpokeWritesNothing(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writes.take()
	// Whole passes, as after a resync, compare and write nothing.
	for range 3 {
		e.reassign("web")
		s.awaitPhase("web", yardarmv1.PhaseReady)
	}
	if paths := s.writes.take(); len(paths) > 0 {
		t.Errorf("written: %v", paths)
	}
}

func TestFightBacksOff(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(1, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	for i := 0; ; i++ {
		e.edit("m0", fmt.Sprintf(`{"data":{"key":"edit-%d"}}`, i))
		fought := false
		e.until("a repair, or a report of the fight", func() bool {
			r := s.report("web")
			fought = problemOf(r, "/m0") != nil && problemOf(r, "/m0").Reason == "Contended"
			return fought || value(e.get("m0")) == "one"
		})
		if fought {
			if i < fightAfter-1 {
				t.Errorf("a fight after %d edits", i+1)
			}
			break
		}
		if i > 3*fightAfter {
			t.Fatal("no report of the fight")
		}
	}
	// It is repaired still, later.
	e.until("the last edit is repaired", func() bool { return value(e.get("m0")) == "one" })
	s.awaitPhase("web", yardarmv1.PhaseReady)
}
