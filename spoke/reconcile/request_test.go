package reconcile

import (
	"maps"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// reconcileNow asks for what `yardarm reconcile` does.
func (e *env) reconcileNow(uid string) {
	e.state.change(func() {
		entry := e.state.entries[uid]
		spec := proto.CloneOf(entry.Assignment)
		spec.Reconcile++
		spec.Hash = holdings.AssignmentHash(spec)
		entry.Assignment = spec
		e.state.entries[uid] = entry
	})
}

// takeReads answers the paths read since the last call, and how often each was.
func (w *writeCounter) takeReads() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	reads := w.reads
	w.reads = map[string]int{}
	return reads
}

// What failed for what it is would be tried again after a while; a request tries it at once, as often as it is made.
func TestReconcileNowTriesAgain(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	for range 3 {
		// Nobody's object, of which no watch tells.
		e.create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m0}\nimmutable: true\ndata: {key: theirs}")
		e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
		s.awaitPhase("web", yardarmv1.PhaseFailed)
		e.reconcileNow("web")
		s.awaitPhase("web", yardarmv1.PhaseFailed)
		e.delete("m0")
		started := time.Now()
		e.reconcileNow("web")
		s.awaitPhase("web", yardarmv1.PhaseReady)
		if took := time.Since(started); took > terminalBase/10 {
			t.Errorf("it took %v, about as long as it would have taken anyway", took)
		}
		e.assign(assignment{bundle: "web", revision: 2, objects: []string{configMap("other", "one")}})
		s.until("it is gone", func() bool { return e.get("m0") == nil })
	}
}

// A request that finds all well costs one list of each kind in use, and writes nothing.
func TestReconcileNowCostsOneRequestPerKind(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}"
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(20, "one"), service)})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	// Watches begin after their first list; what changes by them tells that they run.
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	services := e.dynamic.Resource(gvr("", "v1", "services")).Namespace(e.ns)
	if err := services.Delete(t.Context(), "s", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.until("s is there again", func() bool { _, err := services.Get(t.Context(), "s", getNow); return err == nil })
	// One whole pass, after which nothing of the repairs is left to be noted.
	e.reconcileNow("web")
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writes.takeReads()
	s.writes.take()
	e.reconcileNow("web")
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if got, want := s.writes.takeReads(), map[string]int{"/api/v1/configmaps": 1, "/api/v1/services": 1}; !maps.Equal(got, want) {
		t.Errorf("it read %v, want %v", got, want)
	}
	if paths := s.writes.take(); len(paths) > 0 {
		t.Errorf("written: %v", paths)
	}
}
