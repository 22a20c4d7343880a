package customize

import (
	"reflect"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const drifting = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app.kubernetes.io/name: web}}
spec:
  replicas: 3
  template:
    metadata: {annotations: {team: "${labels.team}"}}
    spec:
      nodeSelector: {disk: ssd, zone: a}
      containers:
      - {name: web, image: "web:1", args: [a, b], ports: [{containerPort: 80}], env: [{name: A, value: x}]}
      - {name: log, image: "log:1"}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w, namespace: shop}
spec: {size: 1, parts: [{name: a, n: 1}]}
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec: {ports: [{name: tcp, port: 53, protocol: TCP, targetPort: 53}, {name: udp, port: 53, protocol: UDP, targetPort: 53}]}
`

func driftingSet(t *testing.T) *manifest.Set {
	t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "a.yaml", Data: []byte(drifting)}}, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var (
	shopWeb    = manifest.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	shopWidget = manifest.Ref{Group: "example.com", Kind: "Widget", Namespace: "shop", Name: "w"}
	shopDNS    = manifest.Ref{Kind: "Service", Namespace: "shop", Name: "dns"}
)

// A patch of a field changes it, and nothing else.
func TestFieldIsSetAlone(t *testing.T) {
	set := driftingSet(t)
	values := Values{Name: "edge-1", Labels: map[string]string{"team": "pay"}}
	for _, test := range []struct {
		ref   manifest.Ref
		path  string
		value any
		patch string
	}{
		{shopWeb, "spec.replicas", int64(5), `{"spec":{"replicas":5}}`},
		{shopWeb, "metadata.labels[app.kubernetes.io/name]", "other", `{"metadata":{"labels":{"app.kubernetes.io/name":"other"}}}`},
		{shopWeb, "spec.template.spec.containers[name=web].image", "web:2", `{"spec":{"template":{"spec":{"containers":[{"image":"web:2","name":"web"}]}}}}`},
		{shopWeb, "spec.template.spec.containers[name=web].args", []any{"c"}, `{"spec":{"template":{"spec":{"containers":[{"args":["c"],"name":"web"}]}}}}`},
		{shopWeb, "spec.template.spec.containers[name=web].ports[containerPort=80,protocol=TCP].hostPort", nil, ""},
		{shopWeb, "spec.template.spec.containers[name=web].env[name=A].value", "<&>", `{"spec":{"template":{"spec":{"containers":[{"env":[{"name":"A","value":"<&>"}],"name":"web"}]}}}}`},
		{shopWeb, "spec.template.spec.containers[name=log]", nil, `{"spec":{"template":{"spec":{"containers":[{"$patch":"delete","name":"log"}]}}}}`},
		{shopWeb, "spec.template.spec.nodeSelector", map[string]any{"zone": "b"}, `{"spec":{"template":{"spec":{"nodeSelector":{"$patch":"replace","zone":"b"}}}}}`},
		{shopWeb, "spec.template.spec.nodeSelector.disk", nil, `{"spec":{"template":{"spec":{"nodeSelector":{"disk":null}}}}}`},
		{shopWeb, "spec.template.metadata.annotations.team", "${name} of ${labels.x}, $$", `{"spec":{"template":{"metadata":{"annotations":{"team":"$${name} of $${labels.x}, $$"}}}}}`},
		{shopWidget, "spec.size", int64(2), `{"spec":{"size":2}}`},
		{shopWidget, "spec.parts", []any{}, `{"spec":{"parts":[]}}`},
		{shopWidget, "spec.parts[name=a].n", int64(2), ""},
		{shopWidget, "spec.parts[0]", nil, ""},
		{shopWidget, "spec.none", int64(2), ""},
		{shopWidget, "spec.size.none", int64(2), ""},
		{shopWidget, "", int64(2), ""},
		{shopDNS, "spec.ports[port=53,protocol=UDP].targetPort", int64(5353), ""},
		{shopDNS, "spec.ports[port=53,protocol=TCP].targetPort", int64(5353), ""},
		{shopWidget, "[", int64(2), ""},
	} {
		before, err := Apply(set, &yardarmv1.Customization{Substitute: true}, values)
		if err != nil {
			t.Fatal(err)
		}
		object, _ := before.Get(test.ref)
		field, err := FieldAt(object, test.path)
		if test.patch == "" {
			if err == nil {
				t.Errorf("%s: found", test.path)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		patch := field.Remove()
		if test.value != nil {
			patch = field.Set(test.value, true)
		}
		if patch.Patch != test.patch {
			t.Errorf("%s: patch %s, want %s", test.path, patch.Patch, test.patch)
		}
		if !field.Changed(patch) || field.Changed(&yardarmv1.Patch{Patch: `{"spec":{"other":1}}`}) {
			t.Errorf("%s: its own patch is not known again, or another is", test.path)
		}
		after, err := Apply(set, &yardarmv1.Customization{Substitute: true, Patches: []*yardarmv1.Patch{patch}}, values)
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		next, _ := after.Get(test.ref)
		if got, there := field.In(next); there != (test.value != nil) || !reflect.DeepEqual(got, test.value) {
			t.Errorf("%s: comes to %v", test.path, got)
		}
		if !reflect.DeepEqual(field.Without(next), field.Without(object)) {
			t.Errorf("%s: something else has changed", test.path)
		}
		for _, ref := range set.Refs() {
			x, _ := before.Get(ref)
			y, _ := after.Get(ref)
			if ref != test.ref && !reflect.DeepEqual(x, y) {
				t.Errorf("%s: %s has changed", test.path, ref)
			}
		}
	}
}

// Whatever a path is, nothing panics, and what is found can be patched.
func FuzzFieldAt(f *testing.F) {
	set, err := manifest.Parse([]manifest.File{{Path: "a.yaml", Data: []byte(drifting)}}, manifest.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	object, _ := set.Get(shopWeb)
	for _, path := range []string{"spec.replicas", "spec.template.spec.containers[name=web].image", "[[]].", "metadata.labels[a/b]", "spec.template.spec.containers[=x]"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		field, err := FieldAt(object, path)
		if err != nil {
			return
		}
		if _, there := field.In(object); !there {
			t.Errorf("%q was found, and is not there", path)
		}
		field.Without(object)
		if patch := field.Set("x", true); field.steps[len(field.steps)-1].item == nil && !field.Changed(patch) {
			t.Errorf("%q: %s is not known again", path, patch.Patch)
		}
		if patch := field.Remove(); !field.Changed(patch) {
			t.Errorf("%q: %s is not known again", path, patch.Patch)
		}
	})
}
