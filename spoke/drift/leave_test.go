package drift

import (
	"reflect"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestLeave(t *testing.T) {
	const containers = `"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:image":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:hostPort":{}}}}}`
	for _, c := range []struct {
		name     string
		manifest string
		live     string
		owners   []owns
		pointers []string
		want     string
	}{
		{"a field that somebody else has is not sent",
			"spec: {replicas: 1, paused: true}", "spec: {replicas: 5, paused: true}",
			[]owns{ours(`{"f:spec":{"f:paused":{}}}`), {"someone", `{"f:spec":{"f:replicas":{}}}`}},
			[]string{"/spec/replicas"}, "spec: {paused: true}"},
		{"a field that others have too is not sent",
			"spec: {replicas: 1, paused: true}", "spec: {replicas: 1, paused: true}",
			[]owns{ours(`{"f:spec":{"f:paused":{},"f:replicas":{}}}`), {"someone", `{"f:spec":{"f:replicas":{}}}`}},
			[]string{"/spec/replicas"}, "spec: {paused: true}"},
		{"a field that we alone have keeps its live value",
			"spec: {replicas: 2}", "spec: {replicas: 1}",
			[]owns{ours(`{"f:spec":{"f:replicas":{}}}`)},
			[]string{"/spec/replicas"}, "spec: {replicas: 1}"},
		{"a field that somebody removed stays away",
			"data: {a: x, b: v}", "data: {b: v}",
			[]owns{ours(`{"f:data":{"f:b":{}}}`)},
			[]string{"/data/a"}, "data: {b: v}"},
		{"what is left of a map is nothing, so the map is not sent",
			"data: {a: x}\nspec: {b: v}", "data: {a: z}\nspec: {b: v}",
			[]owns{ours(`{"f:spec":{"f:b":{}}}`), {"someone", `{"f:data":{"f:a":{}}}`}},
			[]string{"/data"}, "spec: {b: v}"},
		{"every key of a map, each as it is",
			"data: {a: new, b: new, c: new}", "data: {a: theirs, b: ours, d: other}",
			[]owns{ours(`{"f:data":{"f:b":{}}}`), {"someone", `{"f:data":{"f:a":{},"f:d":{}}}`}},
			[]string{"/data/*"}, "data: {b: ours}"},
		{"a field of a container, wherever the live list has it",
			"spec: {containers: [{name: web, image: new, ports: [{containerPort: 80, hostPort: 1}]}]}",
			"spec: {containers: [{name: proxy, image: x}, {name: web, image: theirs, ports: [{containerPort: 80, protocol: TCP, hostPort: 1}]}]}",
			[]owns{ours(`{"f:spec":{` + containers + `}}`), {"someone", `{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:image":{}}}}}`}},
			[]string{"/spec/containers/0/image"},
			"spec: {containers: [{name: web, ports: [{containerPort: 80, hostPort: 1}]}]}"},
		{"a new container is sent whole",
			"spec: {containers: [{name: web, image: new}, {name: extra, image: new}]}", "spec: {containers: [{name: web, image: ours}]}",
			[]owns{ours(`{"f:spec":{` + containers + `}}`)},
			[]string{"/spec/containers/*/image"},
			"spec: {containers: [{name: web, image: ours}, {name: extra, image: new}]}"},
		{"a port, whose key the API server completed",
			"spec: {containers: [{name: web, image: i, ports: [{containerPort: 80, hostPort: 1}]}]}",
			"spec: {containers: [{name: web, image: i, ports: [{containerPort: 80, protocol: TCP, hostPort: 9}]}]}",
			[]owns{ours(`{"f:spec":{` + containers + `}}`)},
			[]string{"/spec/containers/*/ports/*/hostPort"},
			"spec: {containers: [{name: web, image: i, ports: [{containerPort: 80, protocol: TCP, hostPort: 9}]}]}"},
		{"a whole container of which somebody has a part",
			"spec: {containers: [{name: web, image: new}], paused: true}", "spec: {containers: [{name: web, image: theirs, tty: true}], paused: true}",
			[]owns{ours(`{"f:spec":{"f:paused":{},"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:name":{}}}}}`), {"someone", `{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:image":{}}}}}`}},
			[]string{"/spec/containers"}, "spec: {containers: [{name: web}], paused: true}"},
		{"an item of a list that is replaced whole",
			"spec: {args: [a, b, c]}", "spec: {args: [x, b, z]}",
			[]owns{{"someone", `{"f:spec":{"f:args":{}}}`}},
			[]string{"/spec/args/0"}, "spec: {args: [x, b, c]}"},
		{"the only change of a list that is replaced whole",
			"spec: {args: [a, b], b: v}", "spec: {args: [x, b], b: v}",
			[]owns{ours(`{"f:spec":{"f:b":{}}}`), {"someone", `{"f:spec":{"f:args":{}}}`}},
			[]string{"/spec/args/0"}, "spec: {b: v}"},
		{"an entry of a set",
			"spec: {finalizers: [a, b]}", "spec: {finalizers: [b, c]}",
			[]owns{ours(`{"f:spec":{"f:finalizers":{"v:\"b\"":{}}}}`), {"someone", `{"f:spec":{"f:finalizers":{"v:\"c\"":{}}}}`}},
			[]string{"/spec/finalizers"}, "spec: {finalizers: [b]}"},
		{"within what the live object lacks",
			"spec: {template: {a: x}, b: v}", "spec: {b: v}",
			[]owns{ours(`{"f:spec":{"f:b":{}}}`)},
			[]string{"/spec/template/a"}, "spec: {template: {a: x}, b: v}"},
		{"replicas that an autoscaler has, with no rule",
			"spec: {replicas: 1, paused: true}", "spec: {replicas: 5, paused: true}",
			[]owns{ours(`{"f:spec":{"f:paused":{}}}`), {"kube-controller-manager", `{"f:spec":{"f:replicas":{}}}`}},
			nil, "spec: {paused: true}"},
		{"replicas that a person has set",
			"spec: {replicas: 1, paused: true}", "spec: {replicas: 5, paused: true}",
			[]owns{ours(`{"f:spec":{"f:paused":{}}}`), {"kubectl", `{"f:spec":{"f:replicas":{}}}`}},
			nil, "spec: {replicas: 1, paused: true}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			object, found := values(t, c.manifest), object(t, c.live, c.owners...)
			before := [2]any{manifest.Object(object).Clone(), found.DeepCopy()}
			got := Leave(object, pointers(t, c.pointers...), found)
			if want := values(t, c.want); !reflect.DeepEqual(map[string]any(got), want) {
				t.Errorf("got\n%swant\n%s", yamlOf(t, got), yamlOf(t, want))
			}
			if !reflect.DeepEqual(before, [2]any{manifest.Object(object), found}) {
				t.Error("an argument was changed")
			}
		})
	}
}

func TestIdentityIsNotLeft(t *testing.T) {
	marked := manifest.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
		"name": "x", "namespace": "prod", "labels": map[string]any{"yardarm.dev/bundle": "web", "app": "web"},
		"annotations": map[string]any{"yardarm.dev/owner": "u1"},
	}}
	got := Leave(marked, pointers(t, "/*", "/metadata/*", "/metadata/labels/*", "/kind"), object(t, "data: {}"))
	want := manifest.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
		"name": "x", "namespace": "prod", "labels": map[string]any{"yardarm.dev/bundle": "web"},
		"annotations": map[string]any{"yardarm.dev/owner": "u1"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}
