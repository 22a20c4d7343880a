package reconcile

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// try tries an assignment.
func (s *spoke) try(a assignment) *yardarmv1.TrialResult {
	s.t.Helper()
	spec, content := s.spec(a)
	return s.made.Try(s.t.Context(), spec, content)
}

// told answers the first object told whose name ends so.
func told(r *yardarmv1.TrialResult, suffix string) *yardarmv1.TriedObject {
	for _, o := range r.Objects {
		if strings.HasSuffix(o.Object, suffix) {
			return o
		}
	}
	return nil
}

// versions are the resource versions of all that the test's namespaces hold of some kinds.
func (e *env) versions() map[string]string {
	e.t.Helper()
	out := map[string]string{}
	for _, namespace := range []string{e.ns, e.system} {
		for _, resource := range []string{"configmaps", "secrets"} {
			list, err := e.dynamic.Resource(gvr("", "v1", resource)).Namespace(namespace).List(e.t.Context(), metav1.ListOptions{})
			if err != nil {
				e.t.Fatal(err)
			}
			for _, object := range list.Items {
				out[namespace+"/"+resource+"/"+object.GetName()] = object.GetResourceVersion()
			}
		}
	}
	return out
}

const widgets = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tryables.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: tryables, singular: tryable, kind: Tryable}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]`

// A trial says what would come of every object, and leaves everything as it is: in the cluster, in the inventory, in the state and in who claims what.
func TestTry(t *testing.T) {
	e := newEnv(t)
	e.denyDenied()
	e.noServices()
	s := e.start()
	fixed := func(name, value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\nimmutable: true\ndata: {key: " + value + "}"
	}
	anew := func(value string) string {
		return strings.Replace(fixed("anew", value), "name: anew", "name: anew, annotations: {yardarm.dev/recreate: 'true'}", 1)
	}
	kept := strings.Replace(configMap("kept", "one"), "name: kept", "name: kept, annotations: {yardarm.dev/keep: 'true'}", 1)
	e.create(configMap("theirs", "one"))
	first := assignment{bundle: "web", revision: 1, objects: []string{
		configMap("same", "one"), configMap("other", "one"), configMap("old", "one"), fixed("fixed", "one"), anew("one"), secret("s", "one"), kept}}
	e.assign(first, assignment{bundle: "shop", revision: 1, objects: []string{configMap("taken", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.awaitPhase("shop", yardarmv1.PhaseReady)
	group := e.ns + ".example.com"
	before, entries := e.versions(), e.state.Entries()
	s.wrote()

	r := s.try(assignment{bundle: "web", revision: 2, objects: []string{
		configMap("same", "one"), configMap("other", "two"), configMap("new", "two"), configMap("theirs", "two"), fixed("fixed", "two"), anew("two"), secret("s", "two"),
		configMap("denied", "two"), configMap("taken", "two"),
		"apiVersion: v1\nkind: Service\nmetadata: {name: much}\nspec: {ports: [{port: 80}]}",
		strings.ReplaceAll(widgets, "GROUP", group), "apiVersion: " + group + "/v1\nkind: Tryable\nmetadata: {name: mine}",
		"apiVersion: nowhere.example.com/v1\nkind: Thing\nmetadata: {name: unknown}",
		namespace("made-" + e.ns), configMapIn("made-"+e.ns, "within", "two"),
		configMapIn("missing-"+e.ns, "lost", "two"),
	}})
	for suffix, want := range map[string]string{
		"/other": "changed", "/new": "created", "/theirs": "changed", "/old": "pruned", "/kept": "released", "/s": "changed", "/anew": "recreated",
		"/fixed": "refused ImmutableField", "/denied": "refused AdmissionDenied", "/taken": "refused ClaimedByBundle", "/much": "refused QuotaExceeded", "/lost": "refused NamespaceNotFound",
		" tryables." + group: "created", "/mine": "untried KindToCome", " unknown": "refused UnknownKind", " made-" + e.ns: "created", "/within": "untried NamespaceToCome",
	} {
		if o := told(r, suffix); o == nil || strings.TrimSpace(o.Action+" "+o.Reason) != want {
			t.Errorf("%s: %v, want %s", suffix, o, want)
		}
	}
	if told(r, "/same") != nil || r.Unchanged != 1 || r.Created != 3 || r.Changed != 3 || r.Recreated != 1 || r.Pruned != 1 || r.Released != 1 || r.Refused != 6 || r.Untried != 2 || r.Hold != "" || r.Reason != "" {
		t.Errorf("result: %v", r)
	}
	if f := told(r, "/other").GetFields(); len(f) != 1 || f[0].Path != "data.key" || f[0].Before != `"one"` || f[0].After != `"two"` {
		t.Errorf("fields of a config map: %v", f)
	}
	if f := told(r, "/s").GetFields(); len(f) != 1 || f[0].Before != "(secret)" || f[0].After != "(secret)" {
		t.Errorf("fields of a secret: %v", f)
	}
	if o := told(r, "/denied"); !strings.Contains(o.GetMessage(), "no config map may be named denied") {
		t.Errorf("the policy's own message is missing: %v", o)
	}
	if o := r.Objects[0]; o.Action != yardarmv1.TrialRefused {
		t.Errorf("the first object told is %v", o)
	}

	if after := e.versions(); !maps.Equal(before, after) {
		t.Errorf("objects are not what they were:\n%v\n%v", before, after)
	}
	if paths := s.wrote(); len(paths) > 0 {
		t.Errorf("written: %v", paths)
	}
	after := e.state.Entries()
	for i := range entries {
		if !sameEntry(&entries[i], &after[i]) || !entries[i].Applied.Equal(after[i].Applied) || !proto.Equal(entries[i].Beginning, after[i].Beginning) {
			t.Errorf("the state is not what it was: %v", after[i])
		}
	}
	// What was tried is nobody's.
	e.assign(assignment{bundle: "third", revision: 1, objects: []string{configMap("new", "three")}})
	s.awaitPhase("third", yardarmv1.PhaseReady)
}

// A trial is made as whom the bundle writes, and says what a policy or a pending question would hold.
func TestTryWithinThePolicy(t *testing.T) {
	e := newEnv(t)
	account, user := e.deployer("deployer")
	e.policy.set("impersonation: {default: " + account + ", required: true}\nkinds: {deny: [core/Secret]}")
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(8, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writtenAs(user)

	next := assignment{bundle: "web", revision: 2, objects: []string{
		configMap("m0", "two"), secret("s", "two"), "apiVersion: v1\nkind: Service\nmetadata: {name: svc}\nspec: {ports: [{port: 80}]}"}}
	r := s.try(next)
	if o := told(r, "/svc"); o == nil || o.Reason != "Forbidden" || !strings.Contains(o.Message, user) {
		t.Errorf("service: %v", o)
	}
	if o := told(r, "/s"); o == nil || o.Reason != yardarmv1.ReasonPolicyDenied {
		t.Errorf("secret: %v", o)
	}
	if told(r, "/m0").GetAction() != yardarmv1.TrialChanged || r.Pruned != 7 || r.Hold != yardarmv1.ReasonMassDeletion || !strings.Contains(r.HoldMessage, "7 of 8") {
		t.Errorf("result: %v", r)
	}
	if methods := s.writtenAs(user); len(methods) != 2 || slices.Contains(methods, http.MethodDelete) {
		t.Errorf("asked by %v", methods)
	}
	if r := s.try(assignment{bundle: "greedy", revision: 1, objects: several(1, "one"), delivery: &yardarmv1.DeliveryPolicy{ServiceAccount: "kube-system/admin"}}); r.Reason != yardarmv1.ReasonPolicyDenied {
		t.Errorf("as another account: %v", r)
	}
	e.policy.set("readOnly: true\nimpersonation: {default: " + account + ", required: true}")
	if r := s.try(next); told(r, "/svc").GetAction() != yardarmv1.TrialUntried || told(r, "/m0").GetAction() != yardarmv1.TrialChanged {
		t.Errorf("by a spoke that may not try everything: %v", r)
	}
	for mode, want := range map[string]string{"readOnly: true": yardarmv1.ReasonReadOnly, "freeze: {reason: a move}": yardarmv1.ReasonFrozen} {
		e.policy.set(mode)
		if r := s.try(next); r.Hold != want || told(r, "/m0").GetAction() != yardarmv1.TrialChanged {
			t.Errorf("%s: %v", mode, r)
		}
	}
}

// What is tried is customized for the cluster; what does not fit it says why.
func TestTryCustomizes(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	a := assignment{bundle: "web", revision: 1, objects: []string{configMap("m0", "'${labels.site}'")}, customize: &yardarmv1.Customization{Substitute: true}, labels: map[string]string{"site": "oslo"}}
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if r := s.try(a); r.Unchanged != 1 || len(r.Objects) != 0 {
		t.Errorf("the same: %v", r)
	}
	a.labels = map[string]string{"site": "rome"}
	if f := told(s.try(a), "/m0").GetFields(); len(f) != 1 || f[0].Before != `"oslo"` || f[0].After != `"rome"` {
		t.Errorf("another label: %v", f)
	}
	a.labels = nil
	if r := s.try(a); r.Reason != reasonCustomizationFailed || !strings.Contains(r.Message, "labels.site") || len(r.Objects) != 0 {
		t.Errorf("no label: %v", r)
	}
	spec, _ := e.spec(a)
	if r := s.made.Try(t.Context(), spec, []byte("{")); r.Reason != reasonInvalidArtifact {
		t.Errorf("no artifact: %v", r)
	}
}

// An API server that does not answer about an object in time leaves that object untried, and says so by the end of the time.
func TestTryEndsInTime(t *testing.T) {
	e := newEnv(t)
	e.config = rest.CopyConfig(e.config)
	e.config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Has("dryRun") && strings.HasSuffix(r.URL.Path, "/slow") {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return next.RoundTrip(r)
		})
	})
	s := e.start()
	spec, content := e.spec(assignment{bundle: "web", revision: 1, objects: []string{configMap("quick", "one"), configMap("slow", "one")}})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r := s.made.Try(ctx, spec, content)
	if o := told(r, "/slow"); o.GetAction() != yardarmv1.TrialUntried || o.Reason != "Unavailable" || told(r, "/quick").GetAction() != yardarmv1.TrialCreated {
		t.Errorf("result: %v", r)
	}
	if r := s.made.Try(ctx, spec, content); r.Reason != reasonUnavailable || r.Message == "" {
		t.Errorf("with no time at all: %v", r)
	}
}

// What is told of a trial is bounded, whatever the bundle has, and begins with what is refused.
func TestTrialIsBounded(t *testing.T) {
	tr := &trial{out: &yardarmv1.TrialResult{}, kept: map[string]int{}}
	for i := range 5000 {
		action := []string{yardarmv1.TrialCreated, yardarmv1.TrialChanged, yardarmv1.TrialUnchanged, yardarmv1.TrialRefused}[i%4]
		o := &yardarmv1.TriedObject{Message: strings.Repeat("x", 1024)}
		for range 20 {
			o.Fields = append(o.Fields, &yardarmv1.TriedField{Path: "data.x", Before: strings.Repeat("a", 256), After: strings.Repeat("b", 256)})
		}
		tr.tell(manifest.Ref{Kind: "ConfigMap", Name: fmt.Sprint(i)}, action, o)
	}
	if n := len(tr.out.Objects); n != 3*maxTriedObjects {
		t.Errorf("%d objects are kept", n)
	}
	bound(tr.out)
	r := tr.out
	if size := proto.Size(r); size > maxTriedBytes+1024 || len(r.Objects) == 0 || len(r.Objects) > maxTriedObjects {
		t.Errorf("%d objects in %d bytes", len(r.Objects), size)
	}
	if r.Created != 1250 || r.Refused != 1250 || r.Unchanged != 1250 || int(r.MoreObjects)+len(r.Objects) != 3750 || r.Objects[0].Action != yardarmv1.TrialRefused {
		t.Errorf("created %d, refused %d, unchanged %d, %d told and %d more, the first %s", r.Created, r.Refused, r.Unchanged, len(r.Objects), r.MoreObjects, r.Objects[0].Action)
	}
}
