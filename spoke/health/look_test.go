package health

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/healthrule"
)

// cluster answers a client of a cluster that has objects. Lists of the forbidden resource are refused.
func cluster(t *testing.T, forbidden string, objects ...string) dynamic.Interface {
	t.Helper()
	lists := map[string][]any{}
	byPath := map[string]any{}
	for _, text := range objects {
		o := object(t, text)
		resource := schema.GroupVersionResource{Version: "v1", Resource: strings.ToLower(o.GetKind()) + "s"}
		at := "/api/v1"
		if o.GetKind() == "StorageClass" {
			resource = classResource
		} else if o.GetKind() == "ReplicaSet" {
			resource = replicaSetResource
		}
		if resource.Group != "" {
			at = "/apis/" + resource.Group + "/v1"
		}
		if o.GetNamespace() != "" {
			at += "/namespaces/" + o.GetNamespace()
		}
		at += "/" + resource.Resource
		lists[at] = append(lists[at], o.Object)
		byPath[at+"/"+o.GetName()] = o.Object
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := byPath[r.URL.Path]
		switch items, resource := lists[r.URL.Path], path.Base(r.URL.Path); {
		case resource == forbidden:
			w.WriteHeader(http.StatusForbidden)
			answer = map[string]any{"kind": "Status", "apiVersion": "v1", "reason": "Forbidden", "code": http.StatusForbidden}
		case answer == nil && strings.HasSuffix(resource, "s"):
			answer = map[string]any{"kind": "List", "apiVersion": "v1", "items": items}
		case answer == nil:
			w.WriteHeader(http.StatusNotFound)
			answer = map[string]any{"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": http.StatusNotFound}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	client, err := dynamic.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// podOf is a pod of a workload's revision that was made in a given minute; a bad one's image cannot be pulled.
func podOf(name, label, revision, minute string, bad bool) string {
	status := "{phase: Running, conditions: [{type: Ready, status: 'True'}]}"
	if bad {
		status = "{phase: Pending, containerStatuses: [{name: main, image: i, state: {waiting: {reason: ImagePullBackOff, message: why}}}]}"
	}
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: n, creationTimestamp: '2026-01-01T00:" + minute + ":00Z', labels: {app: web, " +
		label + ": " + revision + "}}\nstatus: " + status
}

func replicaSetOf(generation, revision string) string {
	return "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web-" + generation + ", namespace: n, labels: {app: web, pod-template-hash: " + generation + "}, " +
		"annotations: {deployment.kubernetes.io/revision: '" + revision + "'}, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: u1, controller: true}]}"
}

// While one revision of a workload replaces another, only the pods of the one that is to come say anything about it.
func TestPodsOfTheRevisionThatIsToCome(t *testing.T) {
	const hash, revision = "pod-template-hash", "controller-revision-hash"
	deployment := func(generation, status string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: n, uid: u1, generation: 3, annotations: {deployment.kubernetes.io/revision: '3'}}\n" +
			"spec: {replicas: 1, selector: {matchLabels: {app: web}}}\nstatus: {observedGeneration: " + generation + ", replicas: 1" + status + "}"
	}
	statefulSet := func(policy string) string {
		return "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web, namespace: n, generation: 3}\n" +
			"spec: {replicas: 1, podManagementPolicy: " + policy + ", selector: {matchLabels: {app: web}}}\nstatus: {observedGeneration: 3, replicas: 1, currentRevision: old, updateRevision: new}"
	}
	for name, c := range map[string]struct {
		workload string
		around   []string
		want     State
		says     string
	}{
		"bad":                             {deployment("3", ", updatedReplicas: 1"), []string{podOf("p1", hash, "new", "01", true)}, Failing, "p1"},
		"not seen by its controller":      {deployment("2", ", updatedReplicas: 1"), []string{podOf("p1", hash, "old", "01", true)}, Waiting, "generation"},
		"no pod of it yet":                {deployment("3", ""), []string{podOf("p1", hash, "old", "01", true)}, Waiting, ""},
		"first pod of it":                 {deployment("3", ", updatedReplicas: 1"), []string{podOf("p1", hash, "old", "01", true), podOf("p2", hash, "new", "02", false), replicaSetOf("old", "2"), replicaSetOf("new", "3")}, Waiting, ""},
		"bad beside the one before":       {deployment("3", ", updatedReplicas: 1"), []string{podOf("p1", hash, "old", "01", false), podOf("p2", hash, "new", "02", true), replicaSetOf("old", "2"), replicaSetOf("new", "3")}, Failing, "p2"},
		"back to the one before":          {deployment("3", ", updatedReplicas: 1"), []string{podOf("p1", hash, "good", "01", false), podOf("p2", hash, "bad", "02", true), replicaSetOf("good", "3"), replicaSetOf("bad", "2")}, Waiting, ""},
		"replica sets tell nothing":       {deployment("3", ", updatedReplicas: 1"), []string{podOf("p1", hash, "old", "01", true), podOf("p2", hash, "new", "02", false)}, Waiting, ""},
		"stateful set, old pod blocks":    {statefulSet("OrderedReady"), []string{podOf("web-0", revision, "old", "01", true)}, Failing, "delete the pod"},
		"stateful set, old pod is ending": {statefulSet("Parallel"), []string{podOf("web-0", revision, "old", "01", true)}, Waiting, ""},
		"stateful set, bad":               {statefulSet("Parallel"), []string{podOf("web-0", revision, "new", "01", true)}, Failing, "web-0"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Look(t.Context(), cluster(t, "", c.around...), object(t, c.workload), nil, time.Now())
			if err != nil || got.State != c.want || !strings.Contains(got.Message, c.says) {
				t.Errorf("got %+v %v, want %d %q", got, err, c.want, c.says)
			}
		})
	}
}

// A spoke that may not list replica sets goes by the newest pod.
func TestPodsWithoutReplicaSets(t *testing.T) {
	const workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: n, uid: u1, generation: 3, annotations: {deployment.kubernetes.io/revision: '3'}}\n" +
		"spec: {replicas: 1, selector: {matchLabels: {app: web}}}\nstatus: {observedGeneration: 3, replicas: 1, updatedReplicas: 1}"
	client := cluster(t, "replicasets", podOf("p1", "pod-template-hash", "old", "01", false), podOf("p2", "pod-template-hash", "new", "02", true))
	got, err := Look(t.Context(), client, object(t, workload), nil, time.Now())
	if got.State != Failing || err == nil || !strings.Contains(err.Error(), "replica sets") {
		t.Errorf("got %+v %v", got, err)
	}
}

func TestClaimsThatBindLate(t *testing.T) {
	const late, soon = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: late}\nvolumeBindingMode: WaitForFirstConsumer",
		"apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: soon}\nvolumeBindingMode: Immediate"
	claim := func(class, annotations, phase string) string {
		return "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a, namespace: n, annotations: {" + annotations + "}}\nspec: {storageClassName: " + class + "}\nstatus: {phase: " + phase + "}"
	}
	for name, c := range map[string]struct {
		claim string
		want  State
		fails bool
	}{
		"nobody uses it":    {claim("late", "", "Pending"), Ready, false},
		"a pod uses it":     {claim("late", "volume.kubernetes.io/selected-node: n1", "Pending"), Waiting, false},
		"binds at once":     {claim("soon", "", "Pending"), Waiting, false},
		"no such class":     {claim("none", "", "Pending"), Waiting, true},
		"no class":          {claim("''", "", "Pending"), Waiting, false},
		"lost all the same": {claim("late", "", "Lost"), Failing, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Look(t.Context(), cluster(t, "", late, soon), object(t, c.claim), nil, time.Now())
			if got.State != c.want || (err != nil) != c.fails {
				t.Errorf("got %+v %v", got, err)
			}
		})
	}
}

// Where a rule judges a workload, its pods say why, and the rule says how bad it is.
func TestRuleDecidesAndPodsSayWhy(t *testing.T) {
	rules, _ := healthrule.Compile([]*yardarmv1.HealthRule{{Group: "apps", Kind: "Deployment", Ready: "object.status.availableReplicas >= 1"}})
	const workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: n}\nspec: {selector: {matchLabels: {app: web}}}\nstatus: {availableReplicas: 0}"
	got, err := Look(t.Context(), cluster(t, "", podOf("p1", "pod-template-hash", "new", "01", true)), object(t, workload), rules, time.Now())
	if err != nil || got.State != Waiting || got.Reason != "ImagePullBackOff" || !strings.Contains(got.Message, "p1") {
		t.Errorf("got %+v %v", got, err)
	}
}
