package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
)

// patchValue sets the value of a config map.
func patchValue(name, value string) *yardarmv1.Customization {
	return &yardarmv1.Customization{Language: 1, Patches: []*yardarmv1.Patch{
		{Target: &yardarmv1.ObjectSelector{Kind: "ConfigMap", Name: name}, Patch: "data: {key: " + value + "}"},
	}}
}

func substitute(c *yardarmv1.Customization) *yardarmv1.Customization {
	c.Substitute, c.Language = true, 1
	return c
}

// renderedDigest is what everybody else would come to.
func (e *env) renderedDigest(a assignment, facts *yardarmv1.Facts) string {
	e.t.Helper()
	set, err := customize.Apply(e.set(a.objects...), a.customize, customize.Values{Name: "c1", Labels: a.labels, Facts: facts})
	if err != nil {
		e.t.Fatal(err)
	}
	return set.Digest().String()
}

func TestCustomizationReachesObjects(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	a := assignment{bundle: "web", revision: 1, objects: []string{configMap("a", "plain"), configMap("b", "'${name}/${labels.region}/${vars.tier}'"), configMap("c", "'${HOME}'")},
		customize: substitute(patchValue("a", "'patched in ${labels.region}'")), labels: map[string]string{"region": "eu"}}
	a.customize.Variables = map[string]string{"tier": "gold"}
	e.assign(a)
	r := s.awaitPhase("web", yardarmv1.PhaseReady)
	for name, want := range map[string]string{"a": "patched in eu", "b": "c1/eu/gold", "c": "${HOME}"} {
		if got := value(e.get(name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if want := e.renderedDigest(a, nil); r.RenderedDigest != want || r.Digest == want {
		t.Errorf("the report names %s as rendered, want %s", r.RenderedDigest, want)
	}

	// A change of a label is a new assignment of the same artifact.
	a.labels = map[string]string{"region": "us"}
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if got := value(e.get("b")); got != "c1/us/gold" {
		t.Errorf("b is %q", got)
	}
	s.stop()

	// Nothing has changed: nothing is written.
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if paths := s.writes.take(); len(paths) > 0 {
		t.Errorf("written after a restart: %v", paths)
	}
}

// While a customization fails, what the cluster holds is repaired, and the new assignment is not said to be under way.
func TestKeepingUpIsNoProgress(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	a := assignment{bundle: "web", revision: 1, objects: several(2, "one")}
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()
	e.edit("m0", `{"data":{"key":"edited"}}`)
	a.revision, a.objects, a.customize = 2, several(2, "'${labels.nowhere}'"), substitute(&yardarmv1.Customization{})
	e.assign(a)
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseFailed)
	if got := value(e.get("m0")); got != "one" {
		t.Errorf("m0 is %s", got)
	}
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	if s.heard.phases[0] != yardarmv1.PhaseFailed {
		t.Errorf("phases: %v", s.heard.phases)
	}
}

// TestCustomizationFails: the bundle fails alone and says why, and what the cluster holds of it is kept up as it was customized, also after
// a restart.
func TestCustomizationFails(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	good := assignment{bundle: "web", revision: 1, objects: []string{configMap("a", "'${labels.region}'"), configMap("b", "plain")},
		customize: substitute(patchValue("b", "patched")), labels: map[string]string{"region": "eu"}}
	other := assignment{bundle: "other", revision: 1, objects: []string{configMap("c", "other")}}
	e.assign(good, other)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	held := e.renderedDigest(good, nil)

	bad := good
	bad.revision, bad.objects = 2, []string{configMap("a", "'${labels.zone}'"), configMap("b", "new")}
	bad.customize = substitute(patchValue("nobody", "x"))
	failed := func(s *spoke) {
		t.Helper()
		r := s.awaitPhase("web", yardarmv1.PhaseFailed)
		if r.Reason != "CustomizationFailed" || !strings.Contains(r.Message, "${labels.zone}") || !strings.Contains(r.Message, "ConfigMap a") || !strings.Contains(r.Message, "1 more") {
			t.Errorf("the report says %s: %s", r.Reason, r.Message)
		}
		if p := problemOf(r, "ConfigMap a"); p == nil || !strings.Contains(p.Message, "data.key: ${labels.zone}: the cluster has no label zone") {
			t.Errorf("the report names %v", r.Problems)
		}
		if r.RenderedDigest != held {
			t.Errorf("the cluster is said to hold %s, want %s", r.RenderedDigest, held)
		}
	}
	repaired := func(name, want string) {
		t.Helper()
		e.edit(name, `{"data":{"key":"edited"}}`)
		e.until(name+" is repaired", func() bool { return value(e.get(name)) == want })
	}
	e.assign(bad)
	failed(s)
	repaired("a", "eu")
	repaired("b", "patched")
	if r := s.awaitPhase("other", yardarmv1.PhaseReady); r.Revision != 1 {
		t.Errorf("the other bundle is at %d", r.Revision)
	}
	s.stop()

	e.edit("b", `{"data":{"key":"edited while it was down"}}`)
	s = e.start()
	failed(s)
	if got := value(e.get("b")); got != "patched" {
		t.Errorf("after a restart, b is %q", got)
	}
	repaired("a", "eu")

	// Once the label is there, it goes on.
	bad.customize, bad.labels = substitute(patchValue("b", "better")), map[string]string{"zone": "z1"}
	e.assign(bad)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if a, b := value(e.get("a")), value(e.get("b")); a != "z1" || b != "better" {
		t.Errorf("a is %q and b is %q", a, b)
	}
}

// TestLostInventoryOfCustomizedBundle: without its inventory, what leaves the bundle is told from what was applied, and the step is still asked
// about by the digest of what was rendered.
func TestLostInventoryOfCustomizedBundle(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	first := assignment{bundle: "web", revision: 1, objects: several(12, "one"), customize: patchValue("m0", "patched")}
	e.assign(first)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.stop()
	e.deleteInventory("web")
	second := assignment{bundle: "web", revision: 2, objects: several(3, "two"), customize: patchValue("m0", "again")}
	spec := e.assign(second)
	s = e.start()
	r := s.awaitPhase("web", yardarmv1.PhaseHeld)
	if want := e.renderedDigest(first, nil); r.RenderedDigest != want {
		t.Errorf("the cluster is said to hold %s, want %s", r.RenderedDigest, want)
	}
	if got := value(e.get("m0")); got != "patched" {
		t.Errorf("m0 is %q", got)
	}
	second.accepted = []*yardarmv1.AcceptedDeletion{{FromDigest: r.RenderedDigest, ToDigest: spec.Digest}}
	e.assign(second)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(false, "m3", "m11")
	if got := value(e.get("m0")); got != "again" {
		t.Errorf("m0 is %q", got)
	}
}

func TestFactsInCustomization(t *testing.T) {
	e := newEnv(t)
	var nodes atomic.Uint32
	var asked atomic.Int64
	var down atomic.Bool
	nodes.Store(3)
	down.Store(true)
	e.facts = func(context.Context) (*yardarmv1.Facts, error) {
		asked.Add(1)
		if down.Load() {
			return nil, errors.New("the API server does not answer")
		}
		return &yardarmv1.Facts{Nodes: nodes.Load(), Region: "eu", KubernetesVersion: "v1." + string(rune('0'+nodes.Load()))}, nil
	}
	s := e.start()
	e.assign(assignment{bundle: "plain", revision: 1, objects: []string{configMap("p", "'${facts.nodes}'")}, customize: patchValue("p", "'${facts.nodes}'")})
	s.awaitPhase("plain", yardarmv1.PhaseReady)
	if n := asked.Load(); n != 0 {
		t.Errorf("facts were observed %d times, though nobody substitutes", n)
	}

	a := assignment{bundle: "web", revision: 1, objects: []string{configMap("a", "'${facts.nodes} in ${facts.region}'")}, customize: substitute(&yardarmv1.Customization{})}
	region := assignment{bundle: "region", revision: 1, objects: []string{configMap("r", "'${facts.region}'")}, customize: substitute(&yardarmv1.Customization{})}
	e.assign(a, region)
	s.await("web", "interrupted", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseProgressing && strings.Contains(r.Message, "facts")
	})
	down.Store(false)
	r := s.awaitPhase("web", yardarmv1.PhaseReady)
	s.awaitPhase("region", yardarmv1.PhaseReady)
	if got := value(e.get("a")); got != "3 in eu" {
		t.Errorf("a is %q", got)
	}
	if want := e.renderedDigest(a, &yardarmv1.Facts{Nodes: 3, Region: "eu"}); r.RenderedDigest != want {
		t.Errorf("the report names %s as rendered, want %s", r.RenderedDigest, want)
	}
	for _, entry := range e.state.Entries() {
		if entry.Assignment.BundleUid == "region" && !proto.Equal(entry.Applied.Rendering.GetFacts(), &yardarmv1.Facts{Region: "eu"}) {
			t.Errorf("facts that nobody reads are kept, and their changes written: %v", entry.Applied.Rendering)
		}
	}
	s.writes.take()
	nodes.Store(4)
	e.until("the change arrives", func() bool { return value(e.get("a")) == "4 in eu" })
	s.await("web", "ready with the new facts", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseReady && r.RenderedDigest == e.renderedDigest(a, &yardarmv1.Facts{Nodes: 4, Region: "eu"})
	})
	if paths := s.writes.take(); contains(paths, "/configmaps/r") || contains(paths, "inventory.region") || contains(paths, "/configmaps/p") {
		t.Errorf("bundles that do not read the fact were written: %v", paths)
	}
}

// TestHostileCustomization: a hub can do no more to a cluster by patches than by the objects that it assigns.
func TestHostileCustomization(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	good := assignment{bundle: "web", revision: 1, objects: []string{configMap("a", "one"), configMap("b", "one")}}
	e.assign(good)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	before := e.get("a").GetResourceVersion()
	var copies strings.Builder
	for i := range 40 { // each doubles it
		fmt.Fprintf(&copies, "{op: copy, from: /data, path: /data/x%d},", i)
	}
	for name, text := range map[string]string{
		"another object":    "{metadata: {name: stolen}, data: {key: two}}",
		"another kind":      "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding}",
		"another namespace": "metadata: {namespace: kube-system}",
		"no object":         "$patch: delete",
		"all of it":         "{$patch: replace, apiVersion: v1, kind: Secret, metadata: {name: stolen}}",
		"by JSON patch":     "[{op: replace, path: /metadata/name, value: stolen}]",
		"around it":         `[{op: move, from: /metadata, path: /data/metadata}]`,
		"a copy bomb":       "[" + copies.String() + "]",
		"depth":             "data: " + strings.Repeat("{a: ", 100) + "1" + strings.Repeat("}", 100),
	} {
		bad := good
		bad.revision++
		bad.customize = &yardarmv1.Customization{Language: 1, Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Name: "a"}, Patch: text}}}
		e.assign(bad)
		if r := s.awaitPhase("web", yardarmv1.PhaseFailed); r.Reason != "CustomizationFailed" || !strings.Contains(r.Message, "patches[0]") {
			t.Errorf("%s: the report says %s: %s", name, r.Reason, r.Message)
		}
	}
	if after := e.get("a"); after.GetResourceVersion() != before || value(after) != "one" {
		t.Errorf("a was written: %v", after)
	}
	e.want(false, "stolen")
}
