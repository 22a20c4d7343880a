package scenarios

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// versions are the resource versions of all config maps and secrets in the test's namespace and in its spoke's, the inventory among them.
func (w *world) versions(in ...string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, cluster := range in {
		for _, kind := range []schema.GroupVersionResource{configMaps, secrets} {
			for _, namespace := range []string{w.id, "yardarm-" + w.id} {
				list, err := w.everywhere(cluster, kind).Namespace(namespace).List(w.ctx, metav1.ListOptions{})
				w.must(err)
				for _, o := range list.Items {
					out[cluster+"/"+namespace+"/"+kind.Resource+"/"+o.GetName()] = o.GetResourceVersion()
				}
			}
		}
	}
	return out
}

// written is a bundle and its revisions as somebody has written them: how its clusters and its rollout stand moves by itself.
func (w *world) written(bundle string) string {
	w.t.Helper()
	var b struct{ Metadata, Spec json.RawMessage }
	w.must(json.Unmarshal([]byte(w.do("get", "bundle", bundle, "-o", "json")), &b))
	return string(b.Metadata) + string(b.Spec) + w.do("get", "revisions", "--bundle", bundle, "-o", "name")
}

// denyBad has the API server of a cluster deny config maps of the test's namespace with a value of bad.
func (w *world) denyBad(cluster string) {
	w.t.Helper()
	for resource, text := range map[string]string{"validatingadmissionpolicies": `
kind: ValidatingAdmissionPolicy
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]}
  validations: [{expression: "object.data.value != 'bad'", message: "nothing bad may be here"}]`, "validatingadmissionpolicybindings": `
kind: ValidatingAdmissionPolicyBinding
spec:
  policyName: NS
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NS}}}`} {
		o := &unstructured.Unstructured{}
		w.must(yaml.Unmarshal([]byte(strings.ReplaceAll(text+"\nmetadata: {name: NS}\napiVersion: admissionregistration.k8s.io/v1\n", "NS", w.id)), &o.Object))
		_, err := w.everywhere(cluster, schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: resource}).Create(w.ctx, o, metav1.CreateOptions{})
		w.must(err)
	}
	w.eventually("the policy is in force", func() error {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "probe"}, "data": map[string]any{"value": "bad"}}}
		if _, err := w.objects(cluster, configMaps).Create(w.ctx, o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err == nil {
			return fmt.Errorf("it lets everything in")
		}
		return nil
	})
}

// trialPart is what clusters say to a revision, as -o json writes it.
type trialPart struct {
	Names  []string
	Result struct {
		Reason                             string
		Created, Changed, Refused, Untried int
		Objects                            []struct{ Object, Action, Reason, Message string }
	}
}

// A revision is tried on the API servers of clusters before it is published: they say what they would refuse, and nothing changes by it.
func TestTrial(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, boston, tokyo)
	w.group("all")
	deployment := func(app string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: NS}\nspec:\n  selector: {matchLabels: {app: " + app + "}}\n" +
			"  template: {metadata: {labels: {app: " + app + "}}, spec: {containers: [{name: c, image: registry.example/web}]}}\n"
	}
	password := func(value string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: password, namespace: NS}\nstringData: {value: " + value + "}\n"
	}
	w.publishAtOnce("web", "all", namespace, settings("one", "1"), deployment("web"), password("first"))
	for _, name := range []string{lisbon, boston} {
		w.phase(name, "web", "Ready")
	}
	w.phase(tokyo, "web", "Progressing") // which has no nodes
	w.must(w.spokes[tokyo].Kill())
	w.presence(tokyo, "Stale")
	w.denyBad(boston)
	before, hub := w.versions(lisbon, boston), w.written("web")

	bad := w.files(namespace, settings("one", "2"), settings("new", "bad"), deployment("shop"), password("second"),
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ships.NS.example.com}\nspec:\n  group: NS.example.com\n  scope: Namespaced\n"+
			"  names: {plural: ships, singular: ship, kind: Ship}\n  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n",
		"apiVersion: NS.example.com/v1\nkind: Ship\nmetadata: {name: mine, namespace: NS}\n")
	w.refused(2, []string{"diff", bad, "--bundle", "web", "--server-side"}, "1 cluster ("+boston+")", "1 cluster ("+lisbon+")", "nothing bad may be here", "ImmutableField", "field is immutable",
		"KindToCome", `data.value: "1" → "2"`, "data.value: (secret) → (secret)", "1 cluster ("+tokyo+")", "NotConnected")
	r := w.cli.Run(w.ctx, "diff", bad, "--bundle", "web", "--server-side", "--cluster", boston, "-o", "json")
	w.said(r, 2)
	if strings.Contains(r.Stdout, "c2Vjb25k") || strings.Contains(r.Stdout, `"second"`) {
		t.Errorf("a secret is shown:\n%s", r.Stdout)
	}
	var answer struct {
		Trial struct{ Parts []trialPart }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || len(answer.Trial.Parts) != 1 {
		t.Fatalf("%v\n%s", err, r.Stdout)
	}
	part := answer.Trial.Parts[0]
	if got := part.Result; !slices.Equal(part.Names, []string{boston}) || got.Created != 1 || got.Changed != 2 || got.Refused != 2 || got.Untried != 1 {
		t.Errorf("in %s: %+v", boston, part)
	}

	// What no API server objects to, what changes nothing, and what no cluster can say.
	good := w.files(namespace, settings("one", "3"), deployment("web"), password("first"))
	w.refused(1, []string{"diff", good, "--bundle", "web", "--server-side", "--cluster", lisbon + "," + boston}, "2 clusters ("+boston+", "+lisbon+"): 1 changed, 3 unchanged")
	same := w.files(namespace, settings("one", "1"), deployment("web"), password("first"))
	w.said(w.cli.Run(w.ctx, "diff", same, "--bundle", "web", "--server-side", "-l", "site="+lisbon), 0, "4 unchanged")
	w.refused(2, []string{"diff", good, "--bundle", "web", "--server-side", "--cluster", tokyo}, "the cluster is not connected")
	w.refused(2, []string{"diff", good, "--bundle", "web", "--server-side", "--cluster", "nowhere"}, "nowhere")

	// Over REST.
	file := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(namespace+"---\n"+settings("one", "4"), "NS", w.id)))
	body := `{"publication":{"bundle":"web","dryRun":true,"trial":{"clusters":["` + lisbon + `"]}}}` + "\n" + `{"file":{"path":"all.yaml","data":"` + file + `"}}` + "\n"
	answer.Trial.Parts = nil
	if code := w.rest(&answer, http.MethodPost, "/v1/publish", body); code != 200 || len(answer.Trial.Parts) != 1 || answer.Trial.Parts[0].Result.Changed != 1 {
		t.Errorf("over REST: %d %+v", code, answer)
	}

	if after := w.versions(lisbon, boston); !maps.Equal(before, after) {
		t.Errorf("objects are not what they were:\n%v\n%v", before, after)
	}
	w.must(w.absent(lisbon, definitions, "ships."+w.id+".example.com"))
	if now := w.written("web"); now != hub {
		t.Errorf("the bundle is not what it was:\n%s\n%s", hub, now)
	}
	w.published("publish", good, "--bundle", "web")
	w.eventuallyHolds(boston, "one", "3")
}
