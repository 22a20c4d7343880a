package reconcile

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// inventoryOf reads a bundle's inventory, of a spoke that is stopped.
func (e *env) inventoryOf(uid string) *inventory.Inventory {
	e.t.Helper()
	client, err := kube.New(kube.Config{REST: e.config, Namespace: e.system})
	if err != nil {
		e.t.Fatal(err)
	}
	all, err := inventory.NewStore(client.Blobs(inventoryClass), slog.New(slog.DiscardHandler)).Load(e.t.Context())
	if err != nil || all[uid] == nil {
		e.t.Fatalf("inventory: %v %v", all, err)
	}
	return all[uid]
}

func annotated(name, value, annotations string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", annotations: {" + annotations + "}}\ndata: {key: " + value + "}"
}

func TestTakeoverNever(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	theirs := e.create(configMap("theirs", "theirs"))
	a := assignment{bundle: "web", revision: 1, objects: []string{configMap("theirs", "ours"), configMap("ours", "one")},
		delivery: &yardarmv1.DeliveryPolicy{Takeover: "never"}}
	e.assign(a)
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if p := problemOf(r, "/theirs"); p == nil || p.Reason != "TakeoverRefused" {
		t.Fatalf("problem: %v", p)
	}
	if c := r.Objects; c.Applied != 1 || c.Failed != 1 {
		t.Errorf("counts: %v", c)
	}
	e.want(true, "ours")
	if got := e.get("theirs"); got.GetResourceVersion() != theirs.GetResourceVersion() {
		t.Errorf("the object was touched: %v", got)
	}
	// A refused object is not the bundle's, and does not go with it.
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.until("web is finished", func() bool { return e.state.gone("web") })
	e.want(true, "theirs")
	e.want(false, "ours")
}

// An object of ours that somebody has deleted and made anew is theirs.
func TestTakeoverNeverMeetsWhatTookItsPlace(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	a := assignment{bundle: "web", revision: 1, objects: []string{configMap("a", "ours"), annotated("b", "ours", "yardarm.dev/takeover: always")},
		delivery: &yardarmv1.DeliveryPolicy{Takeover: "never"}}
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()
	for _, name := range []string{"a", "b"} {
		e.delete(name)
		e.create(configMap(name, "theirs"))
	}
	s = e.start()
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if p := problemOf(r, "/a"); p == nil || p.Reason != "TakeoverRefused" {
		t.Errorf("problem: %v", p)
	}
	if a, b := value(e.get("a")), value(e.get("b")); a != "theirs" || b != "ours" {
		t.Errorf("a is %s, b is %s", a, b)
	}
	// Without it, the object is made again.
	e.delete("a")
	e.reassign("web")
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if got := value(e.get("a")); got != "ours" {
		t.Errorf("a is %s", got)
	}
}

// An object that another bundle of the spoke had is handed over, whatever the policy about what is nobody's.
func TestTakeoverNeverTakesWhatIsHandedOver(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "old", revision: 1, objects: []string{configMap("moves", "one")}})
	s.awaitPhase("old", yardarmv1.PhaseReady)
	uid := e.get("moves").GetUID()
	e.assign(
		assignment{bundle: "old", revision: 2, objects: []string{configMap("old", "one")}},
		assignment{bundle: "new", revision: 1, objects: []string{configMap("moves", "two")}, delivery: &yardarmv1.DeliveryPolicy{Takeover: "never"}},
	)
	s.awaitPhase("new", yardarmv1.PhaseReady)
	if obj := e.get("moves"); obj == nil || obj.GetUID() != uid || value(obj) != "two" {
		t.Errorf("the object: %v", obj)
	}
}

func TestConflictFail(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	a := assignment{bundle: "web", revision: 1, objects: several(2, "one"), delivery: &yardarmv1.DeliveryPolicy{Conflict: "fail"}}
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m0", `{"data":{"key":"theirs"}}`)
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if p := problemOf(r, "/m0"); p == nil || p.Reason != "Conflict" || !strings.Contains(p.Message, "data.key of someone") || strings.Contains(p.Message, "theirs") {
		t.Errorf("problem: %v", p)
	}
	if got := value(e.get("m0")); got != "theirs" {
		t.Errorf("m0 is %s", got)
	}
	a.revision, a.delivery = 2, nil
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if got := value(e.get("m0")); got != "one" {
		t.Errorf("m0 is %s", got)
	}
}

func TestIfNotPresent(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	const annotation = "yardarm.dev/if-not-present: 'true'"
	theirs := e.create(configMap("theirs", "theirs"))
	objects := func(value string) []string {
		return []string{annotated("theirs", value, annotation), annotated("made", value, annotation), configMap("usual", value)}
	}
	e.assign(assignment{bundle: "web", revision: 1, objects: objects("one")})
	r := s.awaitPhase("web", yardarmv1.PhaseReady)
	if c := r.Objects; c.Total != 3 || c.Applied != 3 || c.Ready != 3 {
		t.Errorf("counts: %v", c)
	}
	unchanged := func(name, want string) {
		t.Helper()
		if got := value(e.get(name)); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	// Neither drift nor a new revision touches it, or tries to.
	s.writes.take()
	e.edit("made", `{"data":{"key":"edited"}}`)
	e.assign(assignment{bundle: "web", revision: 2, objects: objects("two")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	unchanged("usual", "two")
	unchanged("made", "edited")
	if paths := s.writes.take(); contains(paths, "/made") {
		t.Errorf("written: %v", paths)
	}
	// A restart does not, either, and writes nothing, not even an inventory.
	s.stop()
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if paths := s.writes.take(); len(paths) > 0 {
		t.Errorf("written after a restart: %v", paths)
	}
	// Ours is told from the watch; only the other one has to be looked at.
	s.untilPassAsks("web", 1)
	// One that is gone is made again, and one that somebody makes in its place is theirs.
	e.delete("made")
	e.until("it is made again", func() bool { return value(e.get("made")) == "two" })
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()
	e.delete("made")
	replaced := e.create(configMap("made", "replaced"))
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()
	if refs := e.inventoryOf("web").Refs(); len(refs) != 1 || refs[0].Name != "usual" {
		t.Errorf("inventory: %v", refs)
	}
	e.start()
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.until("web is finished", func() bool { return e.state.gone("web") })
	e.want(false, "usual")
	for _, o := range []string{theirs.GetName(), replaced.GetName()} {
		e.want(true, o)
	}
	if got := e.get("theirs"); got.GetResourceVersion() != theirs.GetResourceVersion() {
		t.Errorf("the object was touched: %v", got)
	}
}

func TestBundleKeepsItsObjects(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	space := e.ns + "-own"
	keep := &yardarmv1.DeliveryPolicy{Keep: true}
	objects := append(several(20, "one"), annotated("goes", "one", "yardarm.dev/keep: 'false'"), annotated("later", "one", "yardarm.dev/keep: 'false'"), namespace(space))
	e.assign(assignment{bundle: "web", revision: 1, objects: objects, delivery: keep})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	// Many leave, and a namespace: none that is kept asks.
	e.assign(assignment{bundle: "web", revision: 2, objects: append(several(2, "one"), objects[21]), delivery: keep})
	if r := s.awaitPhase("web", yardarmv1.PhaseReady); r.Objects.Total != 3 || r.Objects.Pruning != 0 {
		t.Errorf("counts: %v", r.Objects)
	}
	e.want(true, "m0", "m1", "m2", "m19", "later")
	e.want(false, "goes")
	if labels := e.get("m19").GetLabels(); labels[yardarmv1.LabelBundle] != "" {
		t.Errorf("labels of what is kept: %v", labels)
	}
	// The same when the bundle goes, without an acceptance.
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, false)
	e.until("web is finished", func() bool { return e.state.gone("web") })
	e.want(true, "m0", "m1", "m2", "m19")
	e.want(false, "later")
	if labels := e.get("m0").GetLabels(); labels[yardarmv1.LabelBundle] != "" {
		t.Errorf("labels of what is kept: %v", labels)
	}
	if _, err := e.dynamic.Resource(gvr("", "v1", "namespaces")).Get(t.Context(), space, getNow); err != nil {
		t.Errorf("the namespace: %v", err)
	}
	e.noInventories()
}

// A pass that finds all as it should be asks the API server nothing.
func TestPassWithoutWorkAsksNothing(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(500, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.untilPassAsks("web", 0)
}

// untilPassAsks waits until a pass over a bundle that is ready takes so many requests. One after a start, or after news of the watch, may
// still be under way when the first is counted.
func (s *spoke) untilPassAsks(uid string, requests int) {
	s.t.Helper()
	var took int
	s.until(fmt.Sprintf("a pass over %s takes %d requests", uid, requests), func() bool {
		before := s.writes.count()
		s.reassign(uid)
		s.awaitPhase(uid, yardarmv1.PhaseReady)
		took = s.writes.count() - before
		return took == requests
	}, func() string { return fmt.Sprintf("the last took %d", took) })
}
