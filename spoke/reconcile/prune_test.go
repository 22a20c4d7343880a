package reconcile

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestPrunes(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(4, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	theirs := e.create(configMap("theirs", "theirs"))
	e.assign(assignment{bundle: "web", revision: 2, objects: several(2, "one")})
	r := s.awaitPhase("web", yardarmv1.PhaseReady)
	if r.Objects.Total != 2 || r.Objects.Pruning != 0 {
		t.Errorf("counts: %v", r.Objects)
	}
	e.want(true, "m0", "m1", theirs.GetName())
	e.want(false, "m2", "m3")
}

func TestKeptObjectIsReleased(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	kept := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {yardarm.dev/keep: 'true'}}\ndata: {key: one}"
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(2, "one"), kept)})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "web", revision: 2, objects: several(1, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(false, "m1")
	obj := e.get("kept")
	if obj == nil {
		t.Fatal("the object was deleted")
	}
	if obj.GetLabels()[yardarmv1.LabelBundle] != "" || obj.GetAnnotations()[yardarmv1.AnnotationOwner] != "" || value(obj) != "one" {
		t.Errorf("released as: %v", obj)
	}
}

func TestPruneLeavesWhatIsNotOursAnyMore(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()
	// While no spoke runs, somebody takes m1 over.
	e.edit("m1", `{"metadata":{"annotations":{"yardarm.dev/owner":"another"}}}`)
	e.assign(assignment{bundle: "web", revision: 2, objects: several(1, "one")})
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(true, "m0", "m1")
}

// What bears our marks is deleted if it is what we made, though managedFields say nothing of it, and left if it is a copy.
func TestPruneKnowsItsObjectsByUID(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()
	e.edit("m1", `{"metadata":{"managedFields":[{}]}}`)
	e.delete("m2")
	copied := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m2, labels: {yardarm.dev/bundle: web}, annotations: {yardarm.dev/owner: web}}"
	e.create(copied)
	e.assign(assignment{bundle: "web", revision: 2, objects: several(1, "one")})
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(true, "m0", "m2")
	e.want(false, "m1")
}

func TestFinalizersAreNamedAndWaitedFor(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m2", `{"metadata":{"finalizers":["example.com/blocker"]}}`)
	e.assign(assignment{bundle: "web", revision: 2, objects: several(1, "one")})
	r := s.await("web", "the finalizer is reported", func(r *yardarmv1.Report) bool {
		p := problemOf(r, "/m2")
		return p != nil && strings.Contains(p.Message, "example.com/blocker")
	})
	if r.Phase != yardarmv1.PhaseProgressing || r.Objects.Pruning != 1 {
		t.Errorf("report: %v", r)
	}
	e.want(false, "m1")
	// A restart does not forget it.
	s.stop()
	s = e.start()
	s.await("web", "the finalizer is reported again", func(r *yardarmv1.Report) bool { return problemOf(r, "/m2") != nil && r.Objects.Pruning == 1 })
	e.edit("m2", `{"metadata":{"finalizers":null}}`)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(false, "m2")
}

func TestMassDeletionIsHeldUntilAccepted(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	first := e.assign(assignment{bundle: "web", revision: 1, objects: several(20, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	second := assignment{bundle: "web", revision: 2, objects: append(several(10, "two"), configMap("new", "two"))}
	spec := e.assign(second)
	r := s.awaitPhase("web", yardarmv1.PhaseHeld)
	if r.Reason != yardarmv1.ReasonMassDeletion || !strings.Contains(r.Message, "10 of 20") || !strings.Contains(r.Message, "yardarm accept cluster/c1 bundle/web") {
		t.Errorf("report: %s %s", r.Reason, r.Message)
	}
	if r.Digest != spec.Digest || r.RenderedDigest != first.Digest || r.Objects.Ready != 20 {
		t.Errorf("report: %v", r)
	}
	e.want(true, "m0", "m19")
	e.want(false, "new")
	if got := value(e.get("m0")); got != "one" {
		t.Errorf("m0 is %s", got)
	}
	// What the cluster holds is kept up, also by a spoke that starts now.
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	s.stop()
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseHeld)
	e.delete("m19")
	e.until("m19 is there again", func() bool { return value(e.get("m19")) == "one" })
	// An acceptance of another step is none.
	second.accepted = []*yardarmv1.AcceptedDeletion{{FromDigest: spec.Digest, ToDigest: first.Digest}}
	e.assign(second)
	s.awaitPhase("web", yardarmv1.PhaseHeld)
	second.accepted = []*yardarmv1.AcceptedDeletion{{FromDigest: first.Digest, ToDigest: spec.Digest}}
	e.assign(second)
	r = s.awaitPhase("web", yardarmv1.PhaseReady)
	if r.RenderedDigest != spec.Digest || r.Objects.Total != 11 {
		t.Errorf("report: %v", r)
	}
	e.want(true, "m0", "m9", "new")
	e.want(false, "m10", "m19")
}

func TestFewOrSmallDeletionsDoNotAsk(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "few", revision: 1, objects: several(6, "one")})
	s.awaitPhase("few", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "few", revision: 2, objects: several(1, "one")}) // 5 of 6: not more than 5
	s.awaitPhase("few", yardarmv1.PhaseReady)

	e = newEnvIn(t)
	s = e.start()
	e.assign(assignment{bundle: "many", revision: 1, objects: several(40, "one")})
	s.awaitPhase("many", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "many", revision: 2, objects: several(32, "one")}) // 8 of 40: not more than 20 %
	s.awaitPhase("many", yardarmv1.PhaseReady)
}

// A directory that was emptied by mistake deletes nothing, however little it had.
func TestEmptiedBundleAsks(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	first := e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	empty := assignment{bundle: "web", revision: 2}
	spec := e.assign(empty)
	r := s.awaitPhase("web", yardarmv1.PhaseHeld)
	if r.Reason != yardarmv1.ReasonMassDeletion || !strings.Contains(r.Message, "2 of 2") {
		t.Errorf("report: %s %s", r.Reason, r.Message)
	}
	e.want(true, "m0", "m1")
	empty.accepted = []*yardarmv1.AcceptedDeletion{{FromDigest: first.Digest, ToDigest: spec.Digest}}
	e.assign(empty)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(false, "m0", "m1")
}

func TestGraveDeletionAsks(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	space := e.ns + "-own"
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(30, "one"), namespace(space))})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "web", revision: 2, objects: several(30, "one")})
	r := s.awaitPhase("web", yardarmv1.PhaseHeld)
	if !strings.Contains(r.Message, "1 Namespace") || !strings.Contains(r.Message, "Namespace "+space) {
		t.Errorf("message: %s", r.Message)
	}
	// Returning to what the cluster holds needs no acceptance.
	e.assign(assignment{bundle: "web", revision: 3, objects: append(several(30, "one"), namespace(space))})
	s.awaitPhase("web", yardarmv1.PhaseReady)
}

// Regression: what had lost our label was not seen by the watch, did not count for the question, and was deleted all the same.
func TestDeletionOfWhatTheWatchDoesNotSeeAsks(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	space := e.ns + "-unseen"
	policy := &yardarmv1.DeliveryPolicy{Drift: yardarmv1.DriftReport}
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(30, "one"), namespace(space)), delivery: policy})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	namespaces := e.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	if _, err := namespaces.Patch(t.Context(), space, types.MergePatchType, []byte(`{"metadata":{"labels":{"yardarm.dev/bundle":null}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await("web", "the drift is told", func(r *yardarmv1.Report) bool { return len(r.Drift) > 0 })
	e.assign(assignment{bundle: "web", revision: 2, objects: several(30, "one"), delivery: policy})
	if r := s.awaitPhase("web", yardarmv1.PhaseHeld); !strings.Contains(r.Message, "Namespace "+space) {
		t.Errorf("message: %s", r.Message)
	}
}

func TestRemovalKeepsOrRemoves(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(
		assignment{bundle: "kept", revision: 1, objects: []string{configMap("kept", "one")}},
		assignment{bundle: "removed", revision: 1, objects: []string{configMap("removed", "one")}},
	)
	s.awaitPhase("kept", yardarmv1.PhaseReady)
	s.awaitPhase("removed", yardarmv1.PhaseReady)
	e.tombstone("kept", yardarmv1.Workloads_WORKLOADS_KEEP, true)
	e.tombstone("removed", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	for _, uid := range []string{"kept", "removed"} {
		e.until(uid+" is finished", func() bool { return e.state.gone(uid) && s.report(uid) == nil })
	}
	e.want(false, "removed")
	obj := e.get("kept")
	if obj == nil {
		t.Fatal("the kept object was deleted")
	}
	if obj.GetLabels()[yardarmv1.LabelBundle] != "" || obj.GetAnnotations()[yardarmv1.AnnotationOwner] != "" {
		t.Errorf("the kept object was not released: %v %v", obj.GetLabels(), obj.GetAnnotations())
	}
	e.noInventories()
}

func TestRemovalOfManyIsHeldUntilAccepted(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	spec := e.assign(assignment{bundle: "web", revision: 1, objects: several(8, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, false)
	r := s.awaitPhase("web", yardarmv1.PhaseHeld)
	if r.Reason != yardarmv1.ReasonMassDeletion || !strings.Contains(r.Message, "removal") {
		t.Errorf("report: %v", r)
	}
	e.delete("m0")
	e.until("m0 is there again", func() bool { return e.get("m0") != nil })
	e.state.change(func() {
		entry := e.state.entries["web"]
		a := proto.CloneOf(entry.Assignment)
		a.AcceptedDeletions = []*yardarmv1.AcceptedDeletion{{FromDigest: spec.Digest}}
		entry.Assignment = a
		e.state.entries["web"] = entry
	})
	e.until("web is finished", func() bool { return e.state.gone("web") })
	e.want(false, "m0", "m7")
}

func TestRemovalWaitsForFinalizers(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m1", `{"metadata":{"finalizers":["example.com/blocker"]}}`)
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	r := s.await("web", "the finalizer is reported", func(r *yardarmv1.Report) bool { return problemOf(r, "/m1") != nil })
	if r.Phase != yardarmv1.PhaseRemoving || r.Reason != yardarmv1.ReasonBundleDeleted || r.Objects.Pruning != 1 {
		t.Errorf("report: %v", r)
	}
	e.edit("m1", `{"metadata":{"finalizers":null}}`)
	e.until("web is finished", func() bool { return e.state.gone("web") })
}

func TestObjectsMoveBetweenBundles(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(
		assignment{bundle: "a", revision: 1, objects: []string{configMap("stays", "one"), configMap("moves", "one")}},
		assignment{bundle: "b", revision: 1, objects: []string{configMap("b", "one")}},
	)
	s.awaitPhase("a", yardarmv1.PhaseReady)
	s.awaitPhase("b", yardarmv1.PhaseReady)
	uid := e.get("moves").GetUID()
	e.assign(
		assignment{bundle: "a", revision: 2, objects: []string{configMap("stays", "one")}},
		assignment{bundle: "b", revision: 2, objects: []string{configMap("b", "one"), configMapIn(e.ns, "moves", "two")}},
	)
	s.awaitPhase("a", yardarmv1.PhaseReady)
	s.awaitPhase("b", yardarmv1.PhaseReady)
	obj := e.get("moves")
	if obj == nil || obj.GetUID() != uid {
		t.Fatalf("the object was made anew: %v", obj)
	}
	if value(obj) != "two" || obj.GetLabels()[yardarmv1.LabelBundle] != "b" || obj.GetAnnotations()[yardarmv1.AnnotationOwner] != "b" {
		t.Errorf("the object: %v", obj)
	}
	// Its new owner's removal is what deletes it.
	e.tombstone("a", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.until("a is finished", func() bool { return e.state.gone("a") })
	e.want(true, "moves")
	e.tombstone("b", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.until("b is finished", func() bool { return e.state.gone("b") })
	e.want(false, "moves")
}

func TestObjectMovesOutOfARemovedBundle(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "old", revision: 1, objects: []string{configMap("moves", "one"), configMap("goes", "one")}})
	s.awaitPhase("old", yardarmv1.PhaseReady)
	uid := e.get("moves").GetUID()
	// The new bundle's content comes a little later than its assignment: the deletion waits for it.
	later := assignment{bundle: "new", revision: 1, objects: []string{configMap("moves", "two")}, withhold: true}
	e.assign(later)
	e.tombstone("old", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	s.await("old", "old waits", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseRemoving })
	e.want(true, "moves", "goes")
	later.withhold = false
	e.assign(later)
	s.awaitPhase("new", yardarmv1.PhaseReady)
	e.until("old is finished", func() bool { return e.state.gone("old") })
	if obj := e.get("moves"); obj == nil || obj.GetUID() != uid || value(obj) != "two" {
		t.Errorf("the object: %v", obj)
	}
	e.want(false, "goes")
}

func TestTwoBundlesClaimOneObject(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "first", revision: 1, objects: []string{configMap("shared", "first"), configMap("mine", "one")}})
	s.awaitPhase("first", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "second", revision: 1, objects: []string{configMap("shared", "second"), configMap("other", "one")}})
	r := s.awaitPhase("second", yardarmv1.PhaseFailed)
	p := problemOf(r, "/shared")
	if p == nil || p.Reason != "ClaimedByBundle" || !strings.Contains(p.Message, "bundle first") {
		t.Fatalf("problem: %v", p)
	}
	e.want(true, "other")
	if obj := e.get("shared"); value(obj) != "first" || obj.GetLabels()[yardarmv1.LabelBundle] != "first" {
		t.Errorf("shared: %v", obj)
	}
	e.assign(assignment{bundle: "first", revision: 2, objects: []string{configMap("mine", "one")}})
	s.awaitPhase("second", yardarmv1.PhaseReady)
	s.awaitPhase("first", yardarmv1.PhaseReady)
	if got := value(e.get("shared")); got != "second" {
		t.Errorf("shared is %s", got)
	}
}

func (e *env) noInventories() {
	e.t.Helper()
	e.until("no inventory is left", func() bool {
		list, err := e.dynamic.Resource(gvr("", "v1", "secrets")).Namespace(e.system).List(e.t.Context(), metav1.ListOptions{})
		return err == nil && len(list.Items) == 0
	})
}

// What was applied last goes first, and what it may need for its end stays until then.
func TestRemovalGoesBackwards(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	group := e.ns + ".example"
	widget := "apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: w, finalizers: [example.com/blocker]}\nspec: {size: 1}"
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(2, "one"), crd(group, "Namespaced"), widget)})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	r := s.await("web", "the finalizer is reported", func(r *yardarmv1.Report) bool { return problemOf(r, "/w") != nil })
	if r.Objects.Pruning != 4 {
		t.Errorf("counts: %v", r.Objects)
	}
	e.want(true, "m0", "m1")
	widgets := e.dynamic.Resource(gvr(group, "v1", "widgets")).Namespace(e.ns)
	_, err := widgets.Patch(t.Context(), "w", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.until("web is finished", func() bool { return e.state.gone("web") })
	e.want(false, "m0", "m1")
	if _, err := e.dynamic.Resource(gvr("apiextensions.k8s.io", "v1", "customresourcedefinitions")).Get(t.Context(), "widgets."+group, getNow); !apierrors.IsNotFound(err) {
		t.Errorf("the definition: %v", err)
	}
}
