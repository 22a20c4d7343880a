package customize

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: prod, labels: {app: web}, finalizers: [a]}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: web
        image: web:1
        env: [{name: A, value: "1"}, {name: B, value: "2"}]
        ports: [{containerPort: 80, name: http}]
      - {name: side, image: side:1}
      volumes: [{name: data, emptyDir: {}}]
      tolerations: [{key: a, operator: Exists}]
`

const widget = `
apiVersion: example.com/v1
kind: Widget
metadata: {name: w, namespace: prod}
spec: {size: 1, parts: [{name: a, n: 1}, {name: b, n: 2}], mode: {fast: {}}, big: 9007199254740993, ratio: 0.1}
`

const config = `
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, namespace: prod, labels: {app: web}}
data: {a: "1"}
`

func parse(t testing.TB, manifests ...string) *manifest.Set {
	t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "m.yaml", Data: []byte(strings.Join(manifests, "\n---\n"))}}, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A part of a bundle is customized by the patches that are for it, and is told whether a cluster's values matter to it.
func TestPart(t *testing.T) {
	set := parse(t, config)
	elsewhere := &yardarmv1.Patch{Target: target("Deployment", "web"), Patch: "spec: {replicas: \"${labels.n | int}\"}"}
	for name, tc := range map[string]struct {
		c      *yardarmv1.Customization
		want   string
		varies bool
	}{
		"patches of others": {&yardarmv1.Customization{Substitute: true, Patches: []*yardarmv1.Patch{elsewhere}}, `"a":"1"`, false},
		"a value":           {&yardarmv1.Customization{Substitute: true, Patches: []*yardarmv1.Patch{elsewhere, {Target: target("ConfigMap", ""), Patch: "data: {a: \"${labels.a}\"}"}}}, `"a":"oslo"`, true},
		"no substitution":   {&yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: target("ConfigMap", ""), Patch: "data: {a: \"${labels.a}\"}"}}}, `"a":"${labels.a}"`, false},
	} {
		out, varies, err := Part(set, tc.c, Values{Labels: map[string]string{"a": "oslo"}})
		if err != nil || varies != tc.varies || !strings.Contains(string(out.Canonical()), tc.want) {
			t.Errorf("%s: varies %v, %v, %s", name, varies, err, out.Canonical())
		}
	}
	if _, varies, err := Part(set, one(target("ConfigMap", ""), "- {op: remove, path: /nothing}"), Values{}); err == nil || varies {
		t.Errorf("what does not fit: %v", err)
	}
}

func target(kind, name string) *yardarmv1.ObjectSelector {
	return &yardarmv1.ObjectSelector{Kind: kind, Name: name}
}

func patched(patches ...*yardarmv1.Patch) *yardarmv1.Customization {
	return &yardarmv1.Customization{Patches: patches}
}

func one(selector *yardarmv1.ObjectSelector, text string) *yardarmv1.Customization {
	return patched(&yardarmv1.Patch{Target: selector, Patch: text})
}

// apply runs Apply as everybody should see it: twice with the same result, and without a trace in its arguments.
func apply(t testing.TB, set *manifest.Set, c *yardarmv1.Customization, v Values) (*manifest.Set, error) {
	t.Helper()
	before, said := bytes.Clone(set.Canonical()), proto.Clone(c)
	out, err := Apply(set, c, v)
	again, errAgain := Apply(set, c, v)
	if out.Digest() != again.Digest() || fmt.Sprint(err) != fmt.Sprint(errAgain) {
		t.Errorf("twice is not the same:\n%s\n%s\n%v\n%v", out.Canonical(), again.Canonical(), err, errAgain)
	}
	rebuilt, errRebuilt := manifest.NewSet(clones(set), manifest.Limits{})
	if errRebuilt != nil || !bytes.Equal(rebuilt.Canonical(), before) || !proto.Equal(c, said) {
		t.Error("an argument was changed")
	}
	if err == nil {
		if _, err := manifest.Decode(out.Canonical(), manifest.Limits{}); err != nil {
			t.Errorf("the result is not canonical: %v", err)
		}
	}
	return out, err
}

func clones(set *manifest.Set) []manifest.Object {
	objects := set.Objects()
	for i := range objects {
		objects[i] = objects[i].Clone()
	}
	return objects
}

// TestPatches compares with the manifest that should come out.
func TestPatches(t *testing.T) {
	web := target("Deployment", "web")
	replace := func(old, new string) string {
		if !strings.Contains(deployment, old) {
			t.Fatalf("%q is not in the deployment", old)
		}
		return strings.Replace(deployment, old, new, 1)
	}
	for _, c := range []struct {
		name string
		c    *yardarmv1.Customization
		want []string
	}{
		{"nothing said", nil, []string{deployment}},
		{"a field", one(web, "spec: {replicas: 5}"), []string{replace("replicas: 2", "replicas: 5")}},
		{"the patch names its object", one(nil, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: prod}, spec: {replicas: 5}}"),
			[]string{replace("replicas: 2", "replicas: 5")}},
		{"null takes a field away", one(web, "spec: {replicas: null}"), []string{replace("  replicas: 2\n", "")}},
		{"a container by its name", one(web, "spec: {template: {spec: {containers: [{name: side, image: side:2}]}}}"),
			[]string{replace("{name: side, image: side:1}", "{name: side, image: side:2}")}},
		{"env by its name", one(web, `spec: {template: {spec: {containers: [{name: web, env: [{name: B, value: "3"}]}]}}}`),
			[]string{replace(`{name: B, value: "2"}`, `{name: B, value: "3"}`)}},
		{"a port by its number", one(web, `spec: {template: {spec: {containers: [{name: web, ports: [{containerPort: 80, name: web}]}]}}}`),
			[]string{replace("name: http", "name: web")}},
		{"a volume by its name, another source", one(web, "spec: {template: {spec: {volumes: [{$retainKeys: [name, hostPath], name: data, hostPath: {path: /x}}]}}}"),
			[]string{replace("{name: data, emptyDir: {}}", "{name: data, hostPath: {path: /x}}")}},
		{"delete in a list", one(web, "spec: {template: {spec: {containers: [{name: side, $patch: delete}]}}}"),
			[]string{replace("      - {name: side, image: side:1}\n", "")}},
		{"replace a list", one(web, "spec: {template: {spec: {containers: [{$patch: replace}, {name: only, image: x}]}}}"),
			[]string{replace(deployment[strings.Index(deployment, "      - name: web"):strings.Index(deployment, "      volumes")], "      - {name: only, image: x}\n")}},
		{"replace a map", one(web, "metadata: {labels: {$patch: replace, b: c}}"), []string{replace("labels: {app: web}", "labels: {b: c}")}},
		{"delete a map", one(web, "metadata: {labels: {$patch: delete}}"), []string{replace(", labels: {app: web}", "")}},
		{"directives where nothing is", one(web, "spec: {strategy: {$patch: replace, type: Recreate}, selector: {$patch: delete}}"),
			[]string{replace("replicas: 2", "replicas: 2\n  strategy: {type: Recreate}")}},
		{"retained keys where nothing is", one(web, "spec: {strategy: {$retainKeys: [type], type: Recreate}}"),
			[]string{replace("replicas: 2", "replicas: 2\n  strategy: {type: Recreate}")}},
		{"a list without merge key is replaced", one(web, "spec: {template: {spec: {tolerations: [{key: b}]}}}"),
			[]string{replace("{key: a, operator: Exists}", "{key: b}")}},
		{"a list of single values is merged", one(web, "metadata: {$deleteFromPrimitiveList/finalizers: [a]}"), []string{replace("finalizers: [a]", "finalizers: []")}},
		{"order of elements", one(web, "spec: {template: {spec: {$setElementOrder/containers: [{name: side}, {name: web}]}}}"),
			[]string{strings.Replace(replace("      - {name: side, image: side:1}\n", ""), "containers:\n", "containers:\n      - {name: side, image: side:1}\n", 1)}},
		{"another kind's lists are replaced", one(target("Widget", ""), "spec: {parts: [{name: b, n: 3}], mode: {fast: null, slow: {}}}"),
			[]string{strings.NewReplacer("[{name: a, n: 1}, {name: b, n: 2}]", "[{name: b, n: 3}]", "fast", "slow").Replace(widget)}},
		{"numbers stay what they are", one(target("Widget", ""), "spec: {extra: 9007199254740993, tiny: 0.30000000000000004}"),
			[]string{strings.Replace(widget, "ratio", "extra: 9007199254740993, tiny: 0.30000000000000004, ratio", 1)}},
		{"JSON patch keeps numbers", one(target("Widget", ""), `[{op: add, path: /spec/extra, value: 9007199254740993}, {op: copy, from: /spec/ratio, path: /spec/tiny}]`),
			[]string{strings.Replace(widget, "ratio", "extra: 9007199254740993, tiny: 0.1, ratio", 1)}},
		{"JSON patch", one(web, `[
			{"op": "test", "path": "/kind", "value": "Deployment"},
			{"op": "replace", "path": "/spec/replicas", "value": 4},
			{"op": "remove", "path": "/spec/template/spec/containers/1"},
			{"op": "add", "path": "/metadata/labels/example.com~1x", "value": "z"}]`),
			[]string{strings.NewReplacer("replicas: 2", "replicas: 4", "      - {name: side, image: side:1}\n", "", "{app: web}", "{app: web, example.com/x: z}").Replace(deployment)}},
		{"one after the other", patched(
			&yardarmv1.Patch{Target: web, Patch: "metadata: {labels: {tier: front}}"},
			&yardarmv1.Patch{Target: &yardarmv1.ObjectSelector{Labels: "tier=front"}, Patch: "spec: {replicas: 7}"},
		), []string{strings.NewReplacer("{app: web}", "{app: web, tier: front}", "replicas: 2", "replicas: 7").Replace(deployment)}},
		{"several objects, by star and label", one(&yardarmv1.ObjectSelector{Name: "*", Labels: "app in (web)", Namespace: "pr*"}, "metadata: {annotations: {a: b}}"),
			[]string{strings.Replace(deployment, "{name: web, ", "{name: web, annotations: {a: b}, ", 1), strings.Replace(config, "{name: conf, ", "{name: conf, annotations: {a: b}, ", 1)}},
		{"by group and version", one(&yardarmv1.ObjectSelector{Group: "apps", Version: "v1"}, "spec: {replicas: 5}"), []string{replace("replicas: 2", "replicas: 5")}},
		{"fields of the server are dropped", one(web, "{metadata: {uid: x}, status: {replicas: 5}}"), []string{deployment}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := apply(t, parse(t, deployment, config, widget), c.c, Values{})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				for ref, object := range parse(t, want).All() {
					got, _ := out.Get(ref)
					if !bytes.Equal(got.JSON(), object.JSON()) {
						t.Errorf("got\n%s\nwant\n%s", got.JSON(), object.JSON())
					}
				}
			}
		})
	}
}

// TestRefused: what stands in the way is named, with the object and the field, and without values.
func TestRefused(t *testing.T) {
	const secret = "s3cret"
	web := target("Deployment", "web")
	container := func(c string) string { return "spec: {template: {spec: {containers: " + c + "}}}" }
	deep := strings.Repeat("{a: ", 70) + "1" + strings.Repeat("}", 70)
	copies := `[{op: add, path: /data, value: {x: "` + strings.Repeat("x", 1000) + `"}}`
	for i := range 20 {
		copies += fmt.Sprintf(", {op: copy, from: /data, path: /data/y%d}", i)
	}
	for _, c := range []struct {
		name string
		c    *yardarmv1.Customization
		want []string // in the error
	}{
		{"another name", one(web, "metadata: {name: other}"), []string{"patches[0].patch", "metadata.name"}},
		{"another name by star", one(target("Deployment", "w*"), "metadata: {name: other}"), []string{"apps/Deployment prod/web", "patches[0]", "another object"}},
		{"another kind", one(target("", "web"), "kind: StatefulSet"), []string{"apps/Deployment prod/web", "another object"}},
		{"another version", one(web, "apiVersion: apps/v1beta1"), []string{"apps/Deployment prod/web", "another object"}},
		{"another namespace", one(web, "metadata: {namespace: kube-system}"), []string{"another object"}},
		{"no name", one(web, "metadata: {name: null}"), []string{"metadata.name"}},
		{"no metadata", one(web, "metadata: null"), []string{"metadata"}},
		{"metadata as a whole", one(web, "metadata: {$patch: replace, labels: {}}"), []string{"metadata"}},
		{"the whole object", one(web, "$patch: delete"), []string{"take it out of the bundle"}},
		{"the whole object, anew", one(web, "{$patch: replace, spec: {}}"), []string{"another object"}},
		{"another name by JSON patch", one(web, "[{op: replace, path: /metadata/name, value: x}]"), []string{"/metadata/name"}},
		{"moved away by JSON patch", one(web, "[{op: move, from: /metadata, path: /spec/x}]"), []string{"/metadata"}},
		{"all by JSON patch", one(web, `[{op: replace, path: "", value: {}}]`), []string{"must stay as it is"}},
		{"JSON patch that does not fit", one(web, "[{op: remove, path: /spec/nothing}]"), []string{"apps/Deployment prod/web", "patches[0]", "/spec/nothing"}},
		{"JSON patch whose test fails", one(web, "[{op: test, path: /spec/replicas, value: 9}]"), []string{"test", "/spec/replicas"}},
		{"JSON patch of an unknown operation", one(web, "[{op: erase, path: /spec}]"), []string{"operation 0", "op must be"}},
		{"JSON patch without a target", one(nil, "[{op: remove, path: /spec}]"), []string{"patches[0].target"}},
		{"names nothing", one(nil, "spec: {}"), []string{"kind is missing", "metadata.name is missing"}},
		{"selects nothing", one(target("DaemonSet", ""), "spec: {}"), []string{"patches[0]", "selects no object"}},
		{"not YAML", one(web, "spec: {"), []string{"patches[0].patch", "line 1", "invalid YAML"}},
		{"two documents", one(web, "a: 1\n---\nb: 1"), []string{"line 3", "more than one document"}},
		{"a text", one(web, "text"), []string{"must be a map"}},
		{"empty", one(web, ""), []string{"is empty"}},
		{"a bad label selector", one(&yardarmv1.ObjectSelector{Labels: "a in ("}, "spec: {}"), []string{"patches[0].target", "labels"}},
		{"an item without its merge key", one(web, container("[{image: "+secret+"}]")), []string{"containers[0]", "has no name", "apps/Deployment prod/web"}},
		{"an item that is no map", one(web, container("["+secret+"]")), []string{"containers[0]", "must be a map"}},
		{"an item that is null", one(web, container("[null]")), []string{"containers[0]"}},
		{"a merge key that is a map", one(web, container("[{name: {a: b}}]")), []string{"containers[0]", "has no name"}},
		{"an unknown directive", one(web, container("[{name: web, $patch: "+secret+"}]")), []string{"containers[0]", "must be"}},
		{"a directive in a list that is replaced", one(web, "spec: {template: {spec: {tolerations: [{$patch: delete, key: a}]}}}"), []string{"tolerations", "replaced as a whole"}},
		{"a directive for no merged list", one(web, "spec: {$setElementOrder/x: [a]}"), []string{"x is none"}},
		{"directives in no order", one(web, "metadata: {$deleteFromPrimitiveList/finalizers: [a], finalizers: [b]}"), []string{"two patches"}},
		{"keys that cannot be retained", one(web, "spec: {$retainKeys: [{a: b}]}"), []string{"$retainKeys"}},
		{"deep", one(web, "spec: "+deep), []string{"nests deeper"}},
		{"aliases", one(web, "a: &a ["+strings.Repeat("x,", 100)+"]\nb: &b ["+strings.Repeat("*a,", 100)+"]\nc: ["+strings.Repeat("*b,", 100)+"]"), []string{"aliases"}},
		{"copies", one(target("ConfigMap", ""), copies+"]"), []string{"copies more"}},
		{"large", one(web, "x: "+strings.Repeat("x", maxPatch)), []string{"larger than"}},
		{"a label that is a number", one(web, "metadata: {labels: {a: 1}}"), []string{"apps/Deployment prod/web", "metadata.labels.a", "must be a string"}},
		{"too long a list", one(web, "metadata: {finalizers: ["+strings.Repeat("x,", maxMerged)+"]}"), []string{"metadata.finalizers", "more than"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := apply(t, parse(t, deployment, config, widget), c.c, Values{})
			if err == nil {
				t.Fatalf("got\n%s", out.Canonical())
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error quotes a value: %v", err)
			}
		})
	}
}

func TestLanguageOfTheFuture(t *testing.T) {
	if _, err := Apply(parse(t, config), &yardarmv1.Customization{Language: Language + 1}, Values{}); !errors.Is(err, ErrLanguage) {
		t.Errorf("got %v", err)
	}
}
