package reconcile

import (
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

func TestRestartGoesOn(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(4, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()

	// Nothing has changed: nothing is written.
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if paths := s.writes.take(); len(paths) > 0 {
		t.Errorf("written after a restart: %v", paths)
	}
	s.stop()

	// While it is down, an object is edited, one deleted, and one leaves the bundle.
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.delete("m1")
	e.assign(assignment{bundle: "web", revision: 2, objects: several(3, "one")})
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if got := value(e.get("m0")); got != "one" {
		t.Errorf("m0 is %s", got)
	}
	e.want(true, "m1", "m2")
	e.want(false, "m3")
	if paths := s.writes.take(); contains(paths, "/m2") {
		t.Errorf("written: %v", paths)
	}
}

func TestLostInventoryIsMadeAgain(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(4, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()
	e.deleteInventory("web")
	e.assign(assignment{bundle: "web", revision: 2, objects: several(3, "one")})
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(false, "m3")
}

// deleteInventory does what nobody should.
func (e *env) deleteInventory(uid string) {
	e.t.Helper()
	secrets := e.dynamic.Resource(gvr("", "v1", "secrets")).Namespace(e.system)
	if err := secrets.Delete(e.t.Context(), "yardarm-inventory."+uid, metav1.DeleteOptions{}); err != nil {
		e.t.Fatal(err)
	}
}

func TestInventoryDeletedWhileRunning(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(4, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	secrets := e.dynamic.Resource(gvr("", "v1", "secrets")).Namespace(e.system)
	if err := secrets.Delete(t.Context(), "yardarm-inventory.web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.assign(assignment{bundle: "web", revision: 2, objects: several(3, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(false, "m3")
	if _, err := secrets.Get(t.Context(), "yardarm-inventory.web", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

func TestInventoryIsWrittenBeforeObjects(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	inventoryAt, objectAt := -1, -1
	for i, path := range s.writes.take() {
		if strings.Contains(path, "/secrets") && inventoryAt < 0 {
			inventoryAt = i
		}
		if strings.Contains(path, "/configmaps/") && objectAt < 0 {
			objectAt = i
		}
	}
	if inventoryAt < 0 || objectAt < 0 || inventoryAt > objectAt {
		t.Errorf("inventory written at %d, first object at %d", inventoryAt, objectAt)
	}
}

// A state that cannot be written once, after the inventory was, leaves the objects the bundle's: their drift is seen.
func TestStateFailsAfterTheInventoryIsWritten(t *testing.T) {
	e := newEnv(t)
	e.state.failing = 1
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	// Nor may another bundle take them.
	e.assign(assignment{bundle: "other", revision: 1, objects: several(1, "theirs")})
	r := s.awaitPhase("other", yardarmv1.PhaseFailed)
	if p := problemOf(r, "/m0"); p == nil || p.Reason != "ClaimedByBundle" {
		t.Errorf("report: %v", r)
	}
}

// A new assignment does not wait until what the old one waits for comes about.
func TestNewAssignmentEndsTheOldOnesWait(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	group := e.ns + ".example"
	// Two definitions that claim the same names: the second is never established.
	rival := strings.ReplaceAll(crd(group, "Namespaced"), "widgets", "rivals")
	rival = strings.Replace(rival, "singular: widget,", "singular: rival,", 1)
	e.assign(assignment{bundle: "first", revision: 1, objects: []string{crd(group, "Namespaced")}})
	s.awaitPhase("first", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{rival}})
	s.await("web", "applying", func(r *yardarmv1.Report) bool { return r.Reason == "Applying" })
	started := time.Now()
	e.assign(assignment{bundle: "web", revision: 2, objects: append(several(1, "one"), rival)})
	e.until("the new assignment's object is there", func() bool { return e.get("m0") != nil || time.Since(started) > 25*time.Second })
	if took := time.Since(started); took > 25*time.Second {
		t.Errorf("the new assignment waited for %v", took)
	}
}

func contains(paths []string, suffix string) bool {
	for _, path := range paths {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}

// Somebody deletes a definition, and with it its instances: both come back.
func TestDeletedDefinitionComesBack(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	group := e.ns + ".example"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{
		crd(group, "Namespaced"), "apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 1}",
	}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	crds := e.dynamic.Resource(gvr("apiextensions.k8s.io", "v1", "customresourcedefinitions"))
	old, err := crds.Get(t.Context(), "widgets."+group, getNow)
	if err != nil {
		t.Fatal(err)
	}
	if err := crds.Delete(t.Context(), old.GetName(), deleteNow); err != nil {
		t.Fatal(err)
	}
	widgets := e.dynamic.Resource(gvr(group, "v1", "widgets")).Namespace(e.ns)
	e.until("definition and instance are there again", func() bool {
		again, err := crds.Get(t.Context(), old.GetName(), getNow)
		if err != nil || again.GetUID() == old.GetUID() {
			return false
		}
		_, err = widgets.Get(t.Context(), "a", getNow)
		return err == nil
	})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	// And the instance is watched again.
	if err := widgets.Delete(t.Context(), "a", deleteNow); err != nil {
		t.Fatal(err)
	}
	e.until("the instance is there again", func() bool { _, err := widgets.Get(t.Context(), "a", getNow); return err == nil })
}

// Server-side apply of what is there already writes nothing: the API server does not move the resource version. All
// that this package does in doubt rests on it.
func TestApplyingTheSameAgainMovesNothing(t *testing.T) {
	e := newEnv(t)
	client, err := kube.New(kube.Config{REST: e.config, Namespace: e.system})
	if err != nil {
		t.Fatal(err)
	}
	applier, err := apply.New(apply.Config{Dynamic: client.Dynamic, Metadata: client.Metadata, Mapper: client.Mapper})
	if err != nil {
		t.Fatal(err)
	}
	set := e.set(append(several(3, "one"), deployment, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}")...)
	versions := map[manifest.Ref]string{}
	for round := range 3 {
		rendered, err := apply.Render(t.Context(), client.Mapper, set, apply.Bundle{Name: "web", UID: "u1", Namespace: e.ns})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		result := applier.Apply(t.Context(), rendered.Items, apply.Options{Applied: func(item apply.Item, obj *unstructured.Unstructured) {
			mu.Lock()
			defer mu.Unlock()
			if got := obj.GetResourceVersion(); round > 0 && versions[item.Ref] != got {
				t.Errorf("round %d: %s went from version %s to %s", round, item.Ref, versions[item.Ref], got)
			}
			versions[item.Ref] = obj.GetResourceVersion()
		}})
		if len(result.Problems) > 0 || len(result.Applied) != 5 {
			t.Fatalf("round %d: %v", round, result)
		}
	}
}
