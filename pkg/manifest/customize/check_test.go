package customize

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestCheck(t *testing.T) {
	many := &yardarmv1.Customization{Variables: map[string]string{}}
	for i := range maxVariables + 1 {
		many.Variables[fmt.Sprint("v", i)] = "x"
	}
	large := strings.Repeat("x", maxPatch-10)
	for _, c := range []struct {
		name string
		c    *yardarmv1.Customization
		want []string // "field: part of the message"
	}{
		{"nothing", nil, nil},
		{"all of it", &yardarmv1.Customization{
			Patches: []*yardarmv1.Patch{
				{Target: target("Deployment", "*"), Patch: "spec: {replicas: 2}"},
				{Patch: "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: '${labels.region:-eu}'}}"},
				{Target: &yardarmv1.ObjectSelector{Labels: "a,!b"}, Patch: "[{op: remove, path: /spec/x}]"},
			},
			Substitute: true, Variables: map[string]string{"a.b_c-d": "${labels.x}-${name}"},
		}, nil},
		{"many patches", patched(make([]*yardarmv1.Patch, maxPatches+1)...), []string{"patches: more than 256"}},
		{"large patches", patched(&yardarmv1.Patch{Patch: large}, &yardarmv1.Patch{Patch: large}, &yardarmv1.Patch{Patch: large}, &yardarmv1.Patch{Patch: large}, &yardarmv1.Patch{Patch: large}),
			[]string{"patches: together"}},
		{"many variables", many, []string{"variables: more than 256"}},
		{"a long variable", substituted(map[string]string{"a": strings.Repeat("x", maxVariable+1)}), []string{"variables[a]: longer"}},
		{"a long name", substituted(map[string]string{strings.Repeat("x", maxKey+1): ""}), []string{"variables[" + strings.Repeat("x", maxKey+1) + "]: is no name"}},
		{"a variable's name", substituted(map[string]string{"a b": "", "": "", "-a": ""}),
			[]string{"variables[]: no name", "variables[-a]: no name", "variables[a b]: no name"}},
		{"a variable's value", substituted(map[string]string{"a": "${labels.x", "b": "${vars.a}", "c": "${name | int}", "d": "${facts.x}"}),
			[]string{"variables[a]: closing brace", "variables[b]: must not refer", "variables[c]: where the variable", "variables[d]: no fact"}},
		{"an expression in a patch", &yardarmv1.Customization{Substitute: true, Patches: []*yardarmv1.Patch{{Target: target("A", ""), Patch: "spec: {a: ['${vars.x | str}']}"}}},
			[]string{"patches[0].patch: none of int"}},
		{"a star in a kind", one(target("*", ""), "spec: {}"), []string{"patches[0].target.kind: stands for itself"}},
		{"all violations", patched(
			&yardarmv1.Patch{Patch: "a"},
			&yardarmv1.Patch{Target: &yardarmv1.ObjectSelector{Labels: "("}, Patch: "a: 1\na: 2"},
			&yardarmv1.Patch{Target: target("A", "a"), Patch: "metadata: {name: b}"},
			&yardarmv1.Patch{Patch: "[{op: add, path: /a}]"},
		), []string{"patches[0].patch: must be a map", "patches[1].target: labels", "patches[1].patch: line 2: a: is a duplicate", "patches[2].patch: metadata.name",
			"patches[3].target: is missing", "patches[3].patch: operation 0: value is missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := Check(c.c)
			if len(found) != len(c.want) {
				t.Fatalf("got %v", found)
			}
			for i, want := range c.want {
				field, message, _ := strings.Cut(want, ": ")
				if found[i].Field != field || !strings.Contains(found[i].Message, message) {
					t.Errorf("got %q, want %q", found[i], want)
				}
			}
		})
	}
}

func TestReferences(t *testing.T) {
	c := &yardarmv1.Customization{
		Patches: []*yardarmv1.Patch{
			{Target: target("A", ""), Patch: "spec: {a: ['${labels.example.com/b:-x} ${facts.nodes}'], '${labels.key}': \"\\x24{labels.quoted}\"}"},
			{Target: target("A", ""), Patch: `[{"op": "add", "path": "/a", "value": {"b": "$${labels.escaped} ${labels.c | int}"}}]`},
		},
		Variables: map[string]string{"a": "${labels.a}${facts.region}", "b": "${labels.a}"},
	}
	if got, want := Labels(c), []string{"a", "c", "example.com/b", "quoted"}; !slices.Equal(got, want) {
		t.Errorf("labels: got %q, want %q", got, want)
	}
	if got, want := Facts(c), []string{"nodes", "region"}; !slices.Equal(got, want) {
		t.Errorf("facts: got %q, want %q", got, want)
	}
	set := parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {b: \"${labels.b}\\n\\\"${labels.example.com/a:-x}\", c: '${facts.nodes | int} ${facts.x'}}")
	if got, want := LabelsIn(set.Canonical()), []string{"b", "example.com/a"}; !slices.Equal(got, want) {
		t.Errorf("labels in objects: got %q, want %q", got, want)
	}
	if got, want := FactsIn(set.Canonical()), []string{"nodes"}; !slices.Equal(got, want) {
		t.Errorf("facts in objects: got %q, want %q", got, want)
	}
}
