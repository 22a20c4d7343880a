package reconcile

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/policy"
)

// playedPolicy is a policy that a test changes.
type playedPolicy struct {
	t       *testing.T
	own     string
	current atomic.Pointer[policy.Policy]
	broken  atomic.Pointer[policy.Broken]
	changed chan struct{}
}

func newPlayedPolicy(t *testing.T, own string) *playedPolicy {
	p := &playedPolicy{t: t, own: own, changed: make(chan struct{}, 1)}
	p.current.Store(policy.Default(own))
	return p
}

func (p *playedPolicy) Current() *policy.Policy  { return p.current.Load() }
func (p *playedPolicy) Broken() *policy.Broken   { return p.broken.Load() }
func (p *playedPolicy) Changed() <-chan struct{} { return p.changed }

func (p *playedPolicy) set(text string) {
	p.t.Helper()
	next, err := policy.Parse([]byte(text), p.own)
	if err != nil {
		p.t.Fatal(err)
	}
	p.current.Store(next)
	p.tell()
}

// breaks has the file cannot be used from now on; nil: it can.
func (p *playedPolicy) breaks(broken *policy.Broken) {
	p.broken.Store(broken)
	p.tell()
}

func (p *playedPolicy) tell() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func secret(name, value string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + "}\nstringData: {key: " + value + "}"
}

// secretValue answers one key of a Secret of the test's namespace, in base64; empty if there is none.
func (e *env) secretValue(name string) string {
	e.t.Helper()
	obj, err := e.dynamic.Resource(gvr("", "v1", "secrets")).Namespace(e.ns).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	data, _ := obj.Object["data"].(map[string]any)
	text, _ := data["key"].(string)
	return text
}

const binding = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]`

// What the policy denies is told with its rule, and the rest goes on, deletions included.
func TestPolicyDenies(t *testing.T) {
	e := newEnv(t)
	other := e.ns + "-other"
	e.create(namespace(other))
	e.policy.set("namespaces: {deny: ['*-other']}\nkinds:\n  deny:\n  - Node\n  - rbac.authorization.k8s.io/*\n")
	s := e.start()
	denied := []string{strings.ReplaceAll(binding, "NAME", e.ns), configMapIn(other, "m9", "one"), namespace(e.ns + "-another-other")}
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(3, "one"), denied...)})
	// It has failed as soon as it is known what is denied, which is before the rest is applied.
	r := s.await("web", "3 objects applied, and 3 denied", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseFailed && r.Objects.Applied == 3 && r.Objects.Failed == 3
	})
	if r.Reason != yardarmv1.ReasonPolicyDenied {
		t.Errorf("report: %v", r)
	}
	for suffix, rule := range map[string]string{
		"ClusterRoleBinding " + e.ns: "kinds.deny[1]: rbac.authorization.k8s.io/*", "/m9": "namespaces.deny[0]: *-other", "-another-other": "namespaces.deny[0]: *-other",
	} {
		if p := problemOf(r, suffix); p == nil || p.Reason != "PolicyDenied" || !strings.Contains(p.Message, rule) {
			t.Errorf("%s: %v, want rule %s", suffix, p, rule)
		}
	}
	e.want(true, "m0", "m1", "m2")

	// An object that leaves the bundle goes, whatever the policy says of others.
	e.assign(assignment{bundle: "web", revision: 2, objects: append(several(2, "one"), denied...)})
	e.until("m2 is pruned", func() bool { return e.get("m2") == nil })

	// Nothing of what was denied was tried.
	for _, path := range s.writes.take() {
		if strings.Contains(path, "rbac.authorization.k8s.io") || strings.Contains(path, "-other") {
			t.Errorf("tried: %s", path)
		}
	}
	// Another policy is heeded at once.
	e.policy.set("kinds: {deny: ['rbac.authorization.k8s.io/*']}")
	e.until("m9 is there", func() bool {
		_, err := e.dynamic.Resource(configMaps).Namespace(other).Get(t.Context(), "m9", getNow)
		return err == nil
	})
}

// What was applied before it was denied stays as it is: neither repaired, nor deleted, nor released.
func TestPolicyDeniesWhatIsThere(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{secret("s", "one"), configMap("m0", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.policy.set("kinds: {deny: [core/Secret]}")
	s.awaitPhase("web", yardarmv1.PhaseFailed)

	secrets := e.dynamic.Resource(gvr("", "v1", "secrets")).Namespace(e.ns)
	if _, err := secrets.Patch(t.Context(), "s", types.MergePatchType, []byte(`{"data":{"key":"dHdv"}}`), metav1.PatchOptions{FieldManager: "someone"}); err != nil {
		t.Fatal(err)
	}
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	if got := e.secretValue("s"); got != "dHdv" {
		t.Errorf("the secret is %q", got)
	}

	e.assign(assignment{bundle: "web", revision: 2, objects: []string{configMap("m0", "one")}})
	r := s.await("web", "the deletion is denied", func(r *yardarmv1.Report) bool { return problemOf(r, "/s") != nil })
	if p := problemOf(r, "/s"); p.Reason != yardarmv1.ReasonPolicyDenied || !strings.Contains(p.Message, "kinds.deny[0]: core/Secret") || r.Objects.Pruning != 1 {
		t.Errorf("report: %v", r)
	}
	if r.Phase != yardarmv1.PhaseFailed || r.Reason != yardarmv1.ReasonPolicyDenied || r.Objects.Failed != 0 || r.Objects.Applied != 1 {
		t.Errorf("report: %v", r)
	}
	// The bundle goes, and its denied object does not: neither when it is to be kept, which is a write too.
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_KEEP, true)
	s.await("web", "the release is denied", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseRemoving && problemOf(r, "/s") != nil
	})
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	s.await("web", "the removal is denied", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseRemoving && problemOf(r, "/s") != nil
	})
	if e.secretValue("s") == "" {
		t.Error("the secret is gone")
	}
	for _, path := range s.writes.take() {
		if strings.HasSuffix(path, "DELETE /api/v1/namespaces/"+e.ns+"/secrets/s") {
			t.Errorf("tried: %s", path)
		}
	}
	e.policy.set("")
	e.until("web is finished", func() bool { return e.state.gone("web") })
	if e.secretValue("s") != "" {
		t.Error("the secret is still there")
	}
}

// An atomic bundle of which an object is denied is refused whole.
func TestPolicyDeniesAtomicBundle(t *testing.T) {
	e := newEnv(t)
	e.policy.set("kinds: {deny: [core/Secret]}")
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, atomic: true, objects: []string{secret("s", "one"), configMap("m0", "one")}})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if p := problemOf(r, "/s"); p == nil || p.Reason != yardarmv1.ReasonPolicyDenied || r.Objects.Applied != 0 {
		t.Errorf("report: %v", r)
	}
	e.want(false, "m0")
}

// With no policy at all, what is the spoke's own is no bundle's.
func TestOwnNamespaceIsNoBundles(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	inventory := "apiVersion: v1\nkind: Secret\nmetadata: {name: yardarm-inventory.web, namespace: " + e.system + "}"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{inventory, configMapIn(e.system, "x", "one"), namespace(e.system), configMap("m0", "one")}})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	for _, suffix := range []string{"/yardarm-inventory.web", "/x", "Namespace " + e.system} {
		if p := problemOf(r, suffix); p == nil || p.Reason != yardarmv1.ReasonPolicyDenied {
			t.Errorf("%s: %v", suffix, p)
		}
	}
	e.want(true, "m0")
	// The inventory holds, and is the spoke's.
	e.assign(assignment{bundle: "web", revision: 2, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
}

// In a frozen or read-only cluster, what would be left alone anyway is as it is to be; and what stands afterwards stands for
// its own reason.
func TestHeldPolicyTellsNoOtherDrift(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{
		annotated("once", "one", "yardarm.dev/if-not-present: 'true'"), annotated("told", "one", "yardarm.dev/drift: report"), annotated("ignored", "one", "yardarm.dev/drift: ignore"),
	}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	for _, held := range []string{"freeze: {reason: stocktaking}", "readOnly: true", "freeze: {reason: stocktaking}\nreadOnly: true"} {
		e.policy.set(held)
		for _, name := range []string{"once", "told", "ignored"} {
			e.edit(name, `{"data":{"key":"edited"}}`)
		}
		r := s.await("web", "the drift is told", func(r *yardarmv1.Report) bool {
			d := driftOf(r, "/told", "data.key")
			return r.Phase == yardarmv1.PhaseHeld && d != nil && d.Reason == r.Reason
		})
		if r.Objects.Drifted != 1 || len(r.Drift) != 1 || r.Objects.Applied != 2 {
			t.Errorf("%s: %v", held, r)
		}
	}
	e.policy.set("")
	s.await("web", "the drift stands for its own reason", func(r *yardarmv1.Report) bool {
		d := driftOf(r, "/told", "data.key")
		return r.Phase == yardarmv1.PhaseReady && d != nil && d.Reason == yardarmv1.ReasonReportOnly && r.Objects.Drifted == 1
	})
	for _, name := range []string{"once", "told", "ignored"} {
		if got := value(e.get(name)); got != "edited" {
			t.Errorf("%s is %s", name, got)
		}
	}
}

// While the cluster is frozen nothing is written: no drift is repaired, nothing new applied, nothing removed.
func TestFreeze(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")}, assignment{bundle: "old", revision: 1, objects: []string{configMap("old", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.awaitPhase("old", yardarmv1.PhaseReady)
	e.policy.set("freeze: {reason: stocktaking until Monday}")
	frozen := func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseHeld && r.Reason == yardarmv1.ReasonFrozen && strings.Contains(r.Message, "stocktaking until Monday")
	}
	s.await("web", "frozen", frozen)
	s.await("old", "frozen", frozen)
	s.wrote()

	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.delete("m1")
	e.assign(assignment{bundle: "web", revision: 2, objects: several(3, "two")}, assignment{bundle: "new", revision: 1, objects: []string{configMap("new", "one")}})
	e.tombstone("old", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	r := s.await("web", "frozen, with the drift seen", func(r *yardarmv1.Report) bool { return frozen(r) && r.Objects.Applied == 0 && r.Objects.Drifted == 2 })
	for _, d := range r.Drift {
		if d.Reason != yardarmv1.ReasonFrozen || d.Corrected != nil || strings.HasSuffix(d.Object, "/m0") && (d.Path != "data.key" || d.Live != `"edited"`) {
			t.Errorf("drift: %v", d)
		}
	}
	if len(r.Drift) != 2 {
		t.Errorf("drift: %v", r.Drift)
	}
	s.await("new", "frozen", frozen)
	s.await("old", "frozen", frozen)
	s.stop()

	// So it is after a restart.
	s2 := e.start()
	s2.await("web", "frozen", frozen)
	s2.await("old", "frozen", frozen)
	if got := value(e.get("m0")); got != "edited" {
		t.Errorf("m0 is %s", got)
	}
	e.want(false, "m1", "m2", "new")
	e.want(true, "old")
	if paths := append(s.wrote(), s2.wrote()...); len(paths) > 0 {
		t.Errorf("written while frozen: %v", paths)
	}

	e.policy.set("")
	s2.awaitPhase("web", yardarmv1.PhaseReady)
	s2.awaitPhase("new", yardarmv1.PhaseReady)
	e.until("old is finished", func() bool { return e.state.gone("old") })
	if got := value(e.get("m0")); got != "two" {
		t.Errorf("m0 is %s", got)
	}
}

// A policy file that cannot be used is told of each bundle, for as long as it cannot: somebody may have meant to stop them. The policy before it goes on
// to count.
func TestBrokenPolicyIsACondition(t *testing.T) {
	e := newEnv(t)
	e.policy.set("kinds: {deny: [core/Secret]}")
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(1, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	told := func(r *yardarmv1.Report) *yardarmv1.Condition {
		for _, c := range r.GetConditions() {
			if c.Type == yardarmv1.ConditionPolicyCurrent {
				return c
			}
		}
		return nil
	}
	if c := told(s.report("web")); c != nil {
		t.Errorf("told while all is well: %v", c)
	}
	since := time.Now().Add(-time.Hour)
	e.policy.breaks(&policy.Broken{Err: errors.New("line 1: what is this?"), Since: since, InForce: e.policy.Current(), Read: since.Add(-time.Hour)})
	r := s.await("web", "it is told", func(r *yardarmv1.Report) bool { return told(r) != nil })
	c := told(r)
	if c.Status != yardarmv1.ConditionFalse || c.Reason != "PolicyFileBroken" || !c.LastTransitionTime.AsTime().Equal(since) ||
		!strings.Contains(c.Message, "line 1: what is this?; the policy of ") || !strings.HasSuffix(c.Message, "stays in force (enforced)") {
		t.Errorf("condition: %v", c)
	}
	if r.Phase != yardarmv1.PhaseReady {
		t.Errorf("report: %v", r)
	}
	e.assign(assignment{bundle: "web", revision: 2, objects: []string{configMap("m0", "two"), secret("s", "one")}})
	r = s.awaitPhase("web", yardarmv1.PhaseFailed)
	if p := problemOf(r, "/s"); p == nil || p.Reason != yardarmv1.ReasonPolicyDenied || !proto.Equal(told(r), c) {
		t.Errorf("report: %v", r)
	}
	e.policy.breaks(nil)
	s.await("web", "it is told no more", func(r *yardarmv1.Report) bool { return told(r) == nil })
}
