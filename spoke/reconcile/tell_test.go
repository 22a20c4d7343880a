package reconcile

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// eventsOf answers what is told of an object, as "Type Reason: note", with " (x2)" where it was told twice.
func (e *env) eventsOf(namespace, kind, name string) []string {
	e.t.Helper()
	list, err := e.dynamic.Resource(gvr("", "v1", "events")).Namespace(namespace).List(e.t.Context(), metav1.ListOptions{
		FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	var all []string
	for _, item := range list.Items {
		if source, _, _ := unstructured.NestedString(item.Object, "reportingComponent"); source != "yardarm.dev/spoke" {
			continue
		}
		text := fmt.Sprintf("%s %s: %s", item.Object["type"], item.Object["reason"], item.Object["message"])
		if n, again, _ := unstructured.NestedInt64(item.Object, "series", "count"); again {
			text += fmt.Sprintf(" (x%d)", n)
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// awaitEvent waits for one that begins so.
func (e *env) awaitEvent(namespace, kind, name, begins string) string {
	e.t.Helper()
	found := ""
	e.until(fmt.Sprintf("event %q of %s %s/%s", begins, kind, namespace, name), func() bool {
		for _, event := range e.eventsOf(namespace, kind, name) {
			if strings.HasPrefix(event, begins) {
				found = event
			}
		}
		return found != ""
	}, func() string { return fmt.Sprintf("there are: %q", e.eventsOf(namespace, kind, name)) })
	return found
}

func TestEventsTellOfFailures(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	broken := strings.ReplaceAll(deployment, "name: web}", "name: "+e.ns+"}")
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{
		broken, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nimmutable: true\nstringData: {key: s3cret}",
	}})
	s.await("web", "all is applied", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 2 })
	e.setStatus(gvr("apps", "v1", "deployments"), e.ns, map[string]any{
		"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1,
		"conditions": []any{map[string]any{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no such service account"}},
	})
	r := s.awaitPhase("web", yardarmv1.PhaseDegraded)
	if c := r.Conditions; c[0].Status != yardarmv1.ConditionTrue || c[1].Status != yardarmv1.ConditionFalse || c[1].Reason != "FailedCreate" || c[2].Status != yardarmv1.ConditionTrue {
		t.Errorf("conditions: %v", c)
	}
	e.awaitEvent(e.ns, "Deployment", e.ns, "Warning FailedCreate: its pods cannot be made: no such service account")
	e.awaitEvent(e.system, "Bundle", "web", "Warning BundleDegraded: revision 1: 1 of 2 objects are not healthy")
	// As people see it.
	out, err := exec.Command(fleet.Bin().Path("kubectl"), "--kubeconfig", fleet.Cluster("a").KubeconfigPath(), "--namespace", e.ns,
		"describe", "deployment", e.ns).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "FailedCreate") || !strings.Contains(string(out), "yardarm.dev/spoke") {
		t.Errorf("kubectl describe: %v\n%s", err, out)
	}

	e.assign(assignment{bundle: "web", revision: 2, objects: []string{
		configMap("m0", "one"), "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nimmutable: true\nstringData: {key: s3cret2}",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'x:" + e.ns + "'}\nrules: [{verbs: [get]}]",
	}})
	r = s.await("web", "two are refused", func(r *yardarmv1.Report) bool { return r.Objects.Failed == 2 })
	if c := r.Conditions[0]; c.Status != yardarmv1.ConditionFalse || c.Reason != "ImmutableField" {
		t.Errorf("applied: %v", c)
	}
	if event := e.awaitEvent(e.ns, "Secret", "s", "Warning ImmutableField: "); strings.Contains(event, "s3cret") {
		t.Errorf("the event holds a value: %s", event)
	}
	e.awaitEvent(metav1.NamespaceDefault, "ClusterRole", "x:"+e.ns, "Warning Invalid: ")
	e.awaitEvent(e.system, "Bundle", "web", "Warning BundleFailed: revision 2: 2 of 3 objects could not be applied")

	e.assign(assignment{bundle: "web", revision: 3, objects: []string{configMap("m0", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.awaitEvent(e.system, "Bundle", "web", "Normal BundleReady: revision 3: ")
}

func TestEventsTellOfDrift(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.awaitEvent(e.ns, "ConfigMap", "m0", "Normal DriftCorrected: someone changed data.key")
	e.delete("m1")
	e.awaitEvent(e.ns, "ConfigMap", "m1", "Normal DriftCorrected: somebody deleted")
	if value(e.get("m0")) != "one" || value(e.get("m1")) != "one" {
		t.Error("it was told before it was repaired")
	}
}

func TestEventsTellWhatHoldsUpDeletions(t *testing.T) {
	// A namespace goes within seconds where there are controllers, so this is told only when it lasts.
	ref := problem{weight: weighsPruning, since: time.Now()}
	for after, want := range map[time.Duration]bool{0: false, transientGrace: false, transientGrace + time.Second: true} {
		if action, ok := ref.tells(ref.since.Add(after)); ok != want || ok && action != actionPrune {
			t.Errorf("after %v: %v", after, ok)
		}
	}
	for w, want := range map[weight]bool{weighsRefused: true, weighsWaiting: true, weighsFailing: true, weighsTransient: false, weighsProgress: false} {
		if _, ok := (&problem{weight: w}).tells(time.Now()); ok != want {
			t.Errorf("weight %d: %v", w, ok)
		}
	}
}

// A problem that lasts is told once, by a spoke that has restarted once more, and a spoke with nothing to say says nothing.
func TestEventsAreToldOnce(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	bad := "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {type: Nonsense, ports: [{port: 80}]}"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{bad}}, assignment{bundle: "good", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseFailed)
	s.awaitPhase("good", yardarmv1.PhaseReady)
	e.awaitEvent(e.ns, "Service", "bad", "Warning Invalid: ")
	e.awaitEvent(e.system, "Bundle", "web", "Warning BundleFailed: ")
	e.awaitEvent(e.system, "Bundle", "good", "Normal BundleReady: ")
	before := s.writes.told()
	for range 3 {
		e.reassign("good")
		s.awaitPhase("good", yardarmv1.PhaseReady)
		e.reassign("web")
		s.await("web", "it fails again", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseFailed && r.Objects.Failed == 1 })
	}
	if n := s.metric("yardarm_spoke_problems_total", "reason", "Invalid"); n != 1 {
		t.Errorf("one problem was told %v times", n)
	}
	if n := s.writes.told() - before; n != 0 {
		t.Errorf("%d events of nothing", n)
	}
	s.stop()

	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseFailed)
	s.awaitPhase("good", yardarmv1.PhaseReady)
	// Events are written in order, so what would have been told before this is there with it.
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.awaitEvent(e.ns, "ConfigMap", "m0", "Normal DriftCorrected")
	for _, c := range []struct{ namespace, kind, name, ends string }{
		{e.ns, "Service", "bad", " (x2)"}, {e.system, "Bundle", "web", " (x2)"}, {e.system, "Bundle", "good", "ready"},
	} {
		if all := e.eventsOf(c.namespace, c.kind, c.name); len(all) != 1 || !strings.HasSuffix(all[0], c.ends) {
			t.Errorf("%s %s: want one event ending with %q, got %q", c.kind, c.name, c.ends, all)
		}
	}
}

// Events that cannot be written hold nothing up, and fail no bundle.
func TestEventsMayFail(t *testing.T) {
	e := newEnv(t)
	e.config = rest.CopyConfig(e.config)
	e.config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/apis/events.k8s.io/") {
				<-r.Context().Done() // never answers
				return nil, r.Context().Err()
			}
			return next.RoundTrip(r)
		})
	})
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	if r := s.awaitPhase("web", yardarmv1.PhaseReady); len(r.Problems) > 0 {
		t.Errorf("problems: %v", r.Problems)
	}
}
