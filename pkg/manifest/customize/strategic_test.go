package customize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// TestMergesAsKubectl compares with what kubectl does, which has the types and not the table.
func TestMergesAsKubectl(t *testing.T) {
	const service = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80, name: a}, {port: 81, name: b}], externalIPs: [1.1.1.1]}}"
	const webhook = `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: w},
		webhooks: [{name: a, rules: [{operations: [CREATE]}]}, {name: b, matchConditions: [{name: x, expression: "1"}]}]}`
	const set = "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: d}, spec: {template: {spec: {initContainers: [{name: a}], imagePullSecrets: [{name: x}]}}, volumeClaimTemplates: [{metadata: {name: v}}]}}"
	pods := func(spec string) string { return "spec: {template: {spec: {" + spec + "}}}" }
	for _, c := range []struct{ object, patch string }{
		{deployment, pods("containers: [{name: new, image: x}, {name: web, env: [{name: C, value: d}, {name: A, $patch: delete}], command: [a, b]}]")},
		{deployment, pods("containers: [{name: web, $patch: replace, image: x}]")},
		{deployment, pods("containers: [{name: web, ports: [{containerPort: 81}, {containerPort: 80, $patch: delete}], volumeMounts: [{mountPath: /x, name: data}]}]")},
		{deployment, pods("volumes: [{name: data, emptyDir: null, secret: {secretName: s}}, {name: more, emptyDir: {}}]")},
		{deployment, pods("$setElementOrder/containers: [{name: side}, {name: web}, {name: new}], containers: [{name: new, image: n}]")},
		{deployment, "metadata: {finalizers: [c, a], ownerReferences: [{uid: u, name: n}], labels: {app: null, x: z}}"},
		{service, "spec: {ports: [{port: 81, name: c}, {port: 82, name: d}], externalIPs: [2.2.2.2]}"},
		{webhook, "webhooks: [{name: b, matchConditions: [{name: y, expression: '2'}, {name: x, $patch: delete}]}, {name: c}]"},
		{set, "spec: {template: {spec: {initContainers: [{name: b}, {name: a, image: i}], imagePullSecrets: [{name: y}]}}, volumeClaimTemplates: [{metadata: {name: w}}]}"},
	} {
		original := parse(t, c.object)
		object := original.Objects()[0]
		value, err := manifest.ParseValue([]byte(c.patch), maxPatch)
		if err != nil {
			t.Fatal(err)
		}
		patch, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		typed, err := scheme.Scheme.New(schema.FromAPIVersionAndKind(object.APIVersion(), object.Kind()))
		if err != nil {
			t.Fatal(err)
		}
		merged, err := strategicpatch.StrategicMergePatch(object.JSON(), patch, typed)
		if err != nil {
			t.Fatal(err)
		}
		want, err := manifest.ObjectFromJSON(merged)
		if err != nil {
			t.Fatal(err)
		}
		out, err := apply(t, original, one(target("", ""), c.patch), Values{})
		if err != nil {
			t.Errorf("%s: %v", c.patch, err)
			continue
		}
		if got := out.Objects()[0]; !bytes.Equal(got.JSON(), want.JSON()) {
			t.Errorf("%s:\ngot  %s\nwant %s", c.patch, got.JSON(), want.JSON())
		}
	}
}

// TestWorkIsBounded: what takes long by itself, or by being many, ends with a problem. The whole of the work takes some ten seconds.
func TestWorkIsBounded(t *testing.T) {
	list := func(n int) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf("f%d", i)
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	manifests := make([]string, 100)
	for i := range manifests {
		manifests[i] = fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d, finalizers: %s}}", i, list(2500))
	}
	set := parse(t, manifests...)
	quadratic := "metadata: {finalizers: " + list(2000) + "}"
	inserts := "[" + strings.Repeat(`{op: add, path: /metadata/finalizers/0, value: x},`, maxOperations-1) + `{op: add, path: /metadata/finalizers/0, value: x}]`
	for name, text := range map[string]string{"merged lists": quadratic, "insertions": inserts} {
		var patches []*yardarmv1.Patch
		for range 18 {
			patches = append(patches, &yardarmv1.Patch{Target: target("ConfigMap", ""), Patch: text})
		}
		if len(Check(patched(patches...))) > 0 {
			t.Fatalf("%s: %v", name, Check(patched(patches...)))
		}
		_, err := applyWithin(maxWork/64, set, patched(patches...), Values{})
		if err == nil || !strings.Contains(err.Error(), "too much work") {
			t.Errorf("%s: got %.200v", name, err)
		}
	}
}
