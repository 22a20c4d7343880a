package customize

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// patchSeeds are what patches do that people write, and what others try.
var patchSeeds = []string{
	"spec: {replicas: 5}",
	"spec: {template: {spec: {containers: [{name: side, $patch: delete}, {$patch: replace}, {name: x, ports: [{containerPort: 1}]}]}}}",
	"spec: {template: {spec: {volumes: [{$retainKeys: [name], name: data}], $setElementOrder/containers: [{name: side}, {name: web}]}}}",
	"metadata: {$deleteFromPrimitiveList/finalizers: [a], labels: {$patch: replace, a: '${name} ${labels.a:-b}'}}",
	"metadata: {finalizers: [b, a, b], annotations: {yardarm.dev/substitute: 'false'}}",
	"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: prod}, $patch: replace, spec: null}",
	`[{"op": "add", "path": "/spec/x", "value": {"a": ["${vars.v | int}"]}}, {"op": "copy", "from": "/spec", "path": "/spec/x/a/0"}]`,
	`[{"op": "move", "from": "/spec/template", "path": "/spec/template/x"}, {"op": "test", "path": "", "value": null}]`,
	`[{"op": "add", "path": "/metadata/labels/a~1b~0", "value": "c"}, {"op": "remove", "path": "/spec/template/spec/containers/-1"}]`,
	`[{"op": "replace", "path": "/spec/replicas", "value": 1e400}]`,
	"a: &a [1]\nb: [*a, *a]",
	"spec: {parts: [{name: a, $patch: delete}], mode: {$patch: delete}, big: null}",
	"null", "[]", "{}", "[null]", "- op: add\n  path: /spec/-\n  value: x",
}

// FuzzApply: whatever is said, the objects stay the ones that they are, equal arguments give equal answers, and what comes out is canonical.
func FuzzApply(f *testing.F) {
	set := parse(f, deployment, config, widget, "{apiVersion: v1, kind: ConfigMap, metadata: {name: expr}, data: {a: '${labels.a:-x}${vars.v:-1}'}}")
	for _, seed := range patchSeeds {
		f.Add(seed, "", "", "${name}")
		f.Add(seed, "Deployment", "w*", "7")
		f.Add(seed, "Widget", "", "\"}\n${name")
	}
	f.Fuzz(func(t *testing.T, text, kind, name, value string) {
		c := &yardarmv1.Customization{Substitute: true, Variables: map[string]string{"v": value}, Patches: []*yardarmv1.Patch{
			{Patch: text, Target: &yardarmv1.ObjectSelector{Kind: kind, Name: name}},
		}}
		if kind == "" {
			c.Patches[0].Target = nil
		}
		out, err := apply(t, set, c, Values{Name: "edge", Labels: map[string]string{"a": value}})
		if err == nil && !slices.Equal(out.Refs(), set.Refs()) {
			t.Errorf("the objects were %v and are %v", set.Refs(), out.Refs())
		}
		for ref, object := range out.All() {
			if before, _ := set.Get(ref); before.APIVersion() != object.APIVersion() {
				t.Errorf("%s was %s and is %s", ref, before.APIVersion(), object.APIVersion())
			}
		}
		Labels(c)
	})
}

// FuzzTokens: a text is split without loss, and what refers to labels is found in canonical bytes as well.
func FuzzTokens(f *testing.F) {
	for _, seed := range []string{"${name}", "a${labels.b/c:-d | int}e", "$${name}", "$$${vars.x}", "${labels.x", "${facts.nodes}${", "${name:-${name}}", "$", "${name |bool}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var whole strings.Builder
		keys := map[string]bool{}
		for _, token := range tokens(s) {
			whole.WriteString(token.text)
			if e := token.expression; e != nil {
				if again, message := parseExpression(token.text); message != "" || *again != *e {
					t.Errorf("%q is %v, and %v", token.text, e, again)
				}
				if e.source == sourceLabels {
					keys[e.key] = true
				}
			}
		}
		if got := whole.String(); got != s && !strings.Contains(s, "$${") {
			t.Errorf("got %q of %q", got, s)
		}
		set, err := manifest.NewSet([]manifest.Object{{"apiVersion": "v1", "kind": "A", "metadata": map[string]any{"name": "a"}, "v": s}}, manifest.Limits{})
		if err != nil {
			return
		}
		found := LabelsIn(set.Canonical())
		for key := range keys {
			if !slices.Contains(found, key) {
				t.Errorf("label %s of %q is not among %q", key, s, found)
			}
		}
	})
}

// FuzzMergePatch: kinds that are not built in take patches as RFC 7386 has it, as far as no directive and no null in a list is used: Kubernetes drops
// those.
func FuzzMergePatch(f *testing.F) {
	for _, seed := range patchSeeds {
		f.Add(seed)
	}
	f.Add("spec: {parts: {a: {b: null, c: 1}}, mode: [1, {a: b}], new: {a: {b: null}}}")
	set := parse(f, widget)
	f.Fuzz(func(t *testing.T, text string) {
		value, err := manifest.ParseValue([]byte(text), maxPatch)
		patch, isMap := value.(map[string]any)
		if err != nil || !isMap || nestedDirective(patch) || nullInList(patch, false) {
			return
		}
		out, err := Apply(set, one(target("Widget", ""), text), Values{})
		if err != nil {
			return
		}
		data, err := json.Marshal(patch)
		if err != nil {
			t.Fatal(err)
		}
		merged, err := jsonpatch.MergePatch(set.Objects()[0].JSON(), data)
		if err != nil {
			t.Fatal(err)
		}
		object, err := manifest.ObjectFromJSON(merged)
		if err != nil {
			t.Fatal(err)
		}
		want, err := manifest.NewSet([]manifest.Object{object}, manifest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Canonical(), want.Canonical()) {
			t.Errorf("got  %s\nwant %s", out.Canonical(), want.Canonical())
		}
	})
}

func nullInList(v any, inList bool) bool {
	switch v := v.(type) {
	case nil:
		return inList
	case map[string]any:
		for _, item := range v {
			if nullInList(item, inList) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return nullInList(item, true) })
	}
	return false
}
