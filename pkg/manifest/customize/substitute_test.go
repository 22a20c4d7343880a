package customize

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

var edge = Values{
	Name:   "edge-1",
	Labels: map[string]string{"region": "eu", "example.com/tier": "gold", "replicas": "3", "empty": "", "quote": "a\"b'\n${name}: {x"},
	Facts:  &yardarmv1.Facts{KubernetesVersion: "v1.36.3", Nodes: 4, Region: "eu-central-1"},
}

func substituted(variables map[string]string) *yardarmv1.Customization {
	return &yardarmv1.Customization{Substitute: true, Variables: variables}
}

func TestSubstitute(t *testing.T) {
	variables := map[string]string{
		"host": "${name}.${labels.region:-nowhere}.example.com", "n": "9007199254740993", "yes": "true", "ratio": "0.25", "none": "",
		"inject": "x\"}\n- ${labels.quote}",
	}
	for _, c := range []struct {
		text string
		want any
	}{
		{"${name}", "edge-1"},
		{"a ${name} b ${name}", "a edge-1 b edge-1"},
		{"${labels.region}", "eu"},
		{"${labels.example.com/tier}", "gold"},
		{"${labels.missing:-other}", "other"},
		{"${labels.missing:-}", ""},
		{"${labels.empty}", ""},
		{"${labels.empty:-other}", "other"},
		{"${labels.region:-other}", "eu"},
		{"${name:-other}", "edge-1"},
		{"${facts.nodes}", "4"},
		{"${facts.nodes | int}", int64(4)},
		{"${facts.region}/${facts.kubernetesVersion}", "eu-central-1/v1.36.3"},
		{"${facts.provider:-bare}", "bare"},
		{"${vars.host}", "edge-1.eu.example.com"},
		{"${vars.n | int}", int64(9007199254740993)},
		{"${vars.n}", "9007199254740993"},
		{"${vars.yes | bool}", true},
		{"${vars.ratio | float}", 0.25},
		{"${vars.n|int}", int64(9007199254740993)},
		{"${vars.missing:-3 | int}", int64(3)},
		{"${vars.missing:-a b }", "a b "},
		{"${labels.replicas | float}", int64(3)}, // canonical form does not tell 3 from 3.0
		// A value is inserted, and never looked at again.
		{"${labels.quote}", "a\"b'\n${name}: {x"},
		{"${vars.inject}", "x\"}\n- a\"b'\n${name}: {x"},
		// Everything else is text.
		{"$${labels.region}", "${labels.region}"},
		{"$$${name}", "$${name}"},
		{"$${HOME} ${HOME} $HOME $(HOME) $ $$ ${}", "$${HOME} ${HOME} $HOME $(HOME) $ $$ ${}"},
		{"${name%%.*} ${names} ${name/a/b} ${label.x} ${Name}", "${name%%.*} ${names} ${name/a/b} ${label.x} ${Name}"},
		{"{{ .Values.x }} ${{ matrix.x }}", "{{ .Values.x }} ${{ matrix.x }}"},
		{"for f in ${name}; do echo \"${f}\"; done", "for f in edge-1; do echo \"${f}\"; done"},
	} {
		t.Run(c.text, func(t *testing.T) {
			object := manifest.Object{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "w"},
				"spec": map[string]any{"v": c.text, "${name}": "a key is left alone", "list": []any{c.text}}}
			want := object.Clone()
			want["spec"] = map[string]any{"v": c.want, "${name}": "a key is left alone", "list": []any{c.want}}
			set, err := manifest.NewSet([]manifest.Object{object}, manifest.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			out, err := apply(t, set, substituted(variables), edge)
			if err != nil {
				t.Fatal(err)
			}
			if got := out.Canonical(); !bytes.Equal(got, append(want.JSON(), '\n')) {
				t.Errorf("got  %s\nwant %s", got, want.JSON())
			}
		})
	}
}

func TestSubstituteRefuses(t *testing.T) {
	const secret = "s3cret"
	object := func(name, annotations, value string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %q, namespace: prod, annotations: {%s}}\ndata: {k: %q}", name, annotations, value)
	}
	long := map[string]string{"a": strings.Repeat("x", maxVariable)}
	for _, c := range []struct {
		name, manifest string
		c              *yardarmv1.Customization
		want           []string
	}{
		{"a missing label", object("a", "", "x ${labels.zone}"), substituted(nil),
			[]string{"ConfigMap prod/a", "data.k", "${labels.zone}", "no label zone", "${labels.zone:-"}},
		{"a missing fact", object("a", "", "${facts.provider}"), substituted(nil), []string{"ConfigMap prod/a", "${facts.provider}", "not known"}},
		{"no such fact", object("a", "", "${facts.zone}"), substituted(nil), []string{"no fact", "region"}},
		{"a missing variable", object("a", "", "${vars.x}"), substituted(nil), []string{"ConfigMap prod/a", "no variable x"}},
		{"a variable's label is missing", object("a", "", "${vars.x}"), substituted(map[string]string{"x": "${labels.zone}"}),
			[]string{"ConfigMap prod/a", "${vars.x}", "in variable x", "no label zone"}},
		{"variables in variables", object("a", "", "x"), substituted(map[string]string{"x": "${vars.y}"}), []string{"variables[x]", "must not refer"}},
		{"a filter in a variable", object("a", "", "x"), substituted(map[string]string{"x": "${name | int}"}), []string{"variables[x]", "where the variable is used"}},
		{"no integer", object("a", "", "${vars.x | int}"), substituted(map[string]string{"x": secret}), []string{"data.k", "no integer"}},
		{"a wide integer", object("a", "", "${vars.x | int}"), substituted(map[string]string{"x": "9223372036854775808"}), []string{"no integer"}},
		{"no number", object("a", "", "${vars.x | float}"), substituted(map[string]string{"x": "NaN"}), []string{"no number"}},
		{"an endless number", object("a", "", "${vars.x | float}"), substituted(map[string]string{"x": "1e999"}), []string{"no number"}},
		{"no boolean", object("a", "", "${vars.x | bool}"), substituted(map[string]string{"x": "yes"}), []string{"neither true nor false"}},
		{"no such filter", object("a", "", "${vars.x | integer}"), substituted(map[string]string{"x": "1"}), []string{"none of int, float and bool"}},
		{"a filter inside of text", object("a", "", "n: ${vars.x | int}"), substituted(map[string]string{"x": "1"}), []string{"the whole value"}},
		{"no expression", object("a", "", "${labels.a b}"), substituted(nil), []string{"is no expression", "$${"}},
		{"no end", object("a", "", "${labels.a"), substituted(nil), []string{"no closing brace"}},
		{"an expression inside", object("a", "", "${labels.a:-${name}}"), substituted(nil), []string{"expression inside"}},
		{"in the object's name", object("a-${name}", "", "x"), substituted(nil), []string{"metadata.name", "the same in all clusters"}},
		{"a number where a text must be", object("a", `x: "${vars.n | int}"`, "x"), substituted(map[string]string{"n": "1"}),
			[]string{"ConfigMap prod/a", "metadata.annotations.x", "must be a string"}},
		{"a bad annotation", object("a", `yardarm.dev/substitute: "no"`, "${name}"), substituted(nil), []string{"metadata.annotations[yardarm.dev/substitute]", "true"}},
		{"a large result", object("a", "", strings.Repeat("${vars.a}", 1000)), substituted(long), []string{"ConfigMap prod/a", "makes the object larger"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := apply(t, parse(t, c.manifest, object("good", "", "${name}")), c.c, edge)
			if err == nil {
				t.Fatalf("got\n%s", out.Canonical())
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "prod/good") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

// TestSubstituteOnlyWhereAsked: neither without being asked, nor in objects that opt out; and in what patches bring along.
func TestSubstituteOnlyWhereAsked(t *testing.T) {
	object := func(annotation, value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {" + annotation + "}}\ndata: {k: '" + value + "'}"
	}
	opted := `yardarm.dev/substitute: "false"`
	for _, c := range []struct {
		name     string
		manifest string
		c        *yardarmv1.Customization
		want     string
	}{
		{"not asked", object("a: b", "${name}"), &yardarmv1.Customization{Variables: map[string]string{"a": "b"}}, object("a: b", "${name}")},
		{"opted out", object(opted, "${name}"), substituted(nil), object(opted, "${name}")},
		{"opted in", object(`yardarm.dev/substitute: "true"`, "${name}"), substituted(nil), object(`yardarm.dev/substitute: "true"`, "edge-1")},
		{"opted out by a patch", object("a: b", "${name}"), &yardarmv1.Customization{Substitute: true, Patches: []*yardarmv1.Patch{
			{Target: target("ConfigMap", ""), Patch: "metadata: {annotations: {a: null, " + opted + "}}"}}}, object(opted, "${name}")},
		{"in a patch", object("a: b", "x"), &yardarmv1.Customization{Substitute: true, Patches: []*yardarmv1.Patch{
			{Target: target("ConfigMap", ""), Patch: "data: {k: '${labels.region}'}"}}}, object("a: b", "eu")},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := apply(t, parse(t, c.manifest), c.c, edge)
			if err != nil {
				t.Fatal(err)
			}
			if want := parse(t, c.want); out.Digest() != want.Digest() {
				t.Errorf("got  %s\nwant %s", out.Canonical(), want.Canonical())
			}
		})
	}
}

// TestProblemsAreBounded: a set in which nothing fits still answers something that a report can hold.
func TestProblemsAreBounded(t *testing.T) {
	var manifests []string
	for i := range 100 {
		manifests = append(manifests, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c%03d}, data: {k: '${labels.zone}'}}", i))
	}
	_, err := apply(t, parse(t, manifests...), substituted(nil), edge)
	problems, ok := err.(*Problems)
	if !ok || len(problems.Entries) != maxProblems || problems.More != 80 || problems.Entries[0].Object.Name != "c000" {
		t.Errorf("got %v", err)
	}
}

// TestFacts: whoever adds a fact of one value decides whether expressions may read it, which is a new version of the language.
func TestFacts(t *testing.T) {
	fields := (&yardarmv1.Facts{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if known := factOf[f.JSONName()] != nil; known == (f.IsList() || f.IsMap()) {
			t.Errorf("fact %s: an expression may read it: %v", f.JSONName(), known)
		}
	}
	if len(factNames) != len(factOf) {
		t.Errorf("%d facts are named and %d are known", len(factNames), len(factOf))
	}
}
