package scenarios

import (
	"encoding/json"
	"strings"
	"testing"
)

// Manifests that cannot be right are refused before anything is published, with the file, the line and the object.
func TestBadManifests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--max-artifact-size", "20000")
	w.group("all")
	w.do("enroll", "x", "-l", "test=yes", "--no-wait")
	one := settings("one", "1")
	for _, test := range []struct {
		name  string
		files []string
		words []string
	}{
		{"invalid YAML", []string{one, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: [\n"}, []string{"01.yaml:4", "invalid YAML"}},
		{"duplicate object", []string{one, settings("two", "1"), settings("one", "2")}, []string{"02.yaml:1", "ConfigMap", "one", "duplicate", "00.yaml:1"}},
		{"no name", []string{one, "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: a}\n"}, []string{"01.yaml:3", "ConfigMap", "metadata.name", "is missing"}},
		{"no kind", []string{one, "apiVersion: v1\nmetadata: {name: a}\n"}, []string{"01.yaml", "kind"}},
		{"over the limit", []string{settings("one", strings.Repeat("x", 20000))}, []string{"larger than 20000 bytes", "split the bundle"}},
		{"no object at all", []string{"# nothing\n"}, []string{"no object"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := *w
			v.t = t
			v.refused(2, []string{"publish", v.files(test.files...), "--bundle", "web", "--to", "all"}, test.words...)
		})
	}
	w.refused(2, []string{"publish", w.files(one), "--bundle", "web", "--to", "nobody"}, "nobody")
	if out := w.do("get", "bundles", "-o", "name"); out != "" {
		t.Errorf("bundles were made: %s", out)
	}

	// Two bundles that claim one object in one cluster would undo each other for ever.
	w.publish("web", "all", one, settings("two", "1"))
	r := w.cli.Run(w.ctx, "publish", w.files(settings("two", "2"), settings("three", "1")), "--bundle", "other", "--to", "all")
	w.said(r, 1, "two", "web", "other")
	if out := w.do("get", "bundles", "-o", "name"); strings.TrimSpace(out) != "bundle/web" {
		t.Errorf("bundles are %s", out)
	}
}

// Resources that cannot be right are refused as a whole, with the line and the field.
func TestBadResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group("all")
	const head = "apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata:\n  name: g\nspec:\n"
	for _, test := range []struct {
		name  string
		text  string
		words []string
	}{
		{"unknown field", head + "  selector: {}\n  selectro: {}\n", []string{"standard input:7", "spec.selectro", "did you mean selector"}},
		{"bad operator", head + "  selector: {matchExpressions: [{key: a, operator: Is, values: [b]}]}\n", []string{"matchExpressions[0]", "Is", "NotIn"}},
		{"expression that ends", head + "  selector: {}\n  expression: facts.nodes >\n", []string{"spec.expression"}},
		{"unknown variable", head + "  selector: {}\n  expression: fact.nodes > 3\n", []string{"spec.expression", "fact"}},
		{"not a bool", head + "  selector: {}\n  expression: name\n", []string{"spec.expression", "bool"}},
		{"facts without a boundary", head + "  expression: facts.nodes > 3\n", []string{"spec", "selector"}},
		{"unknown kind", "apiVersion: yardarm.dev/v1\nkind: Fleet\nmetadata: {name: g}\n", []string{"standard input", "Fleet"}},
		{"unknown group", "apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: b}\nspec: {targets: [{group: nobody}]}\n", []string{"nobody"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := *w
			v.t = t
			// Beside something that would do: all of it is done, or nothing.
			good := "apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: good}\nspec: {selector: {}}\n"
			v.said(v.cli.RunWith(v.ctx, test.text+"---\n"+good, "apply", "-f", "-"), 2, test.words...)
		})
	}
	w.refused(2, []string{"get", "clusters", "-l", "a in ("}, "column")
	if out := w.do("get", "clustergroups", "-o", "name"); strings.TrimSpace(out) != "clustergroup/all" {
		t.Errorf("groups are %s", out)
	}

	var group struct {
		Metadata struct{ ResourceVersion string }
	}
	w.must(json.Unmarshal([]byte(w.do("get", "clustergroup", "all", "-o", "json")), &group))
	change := func(site string) string {
		return "apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: all, resourceVersion: \"" + group.Metadata.ResourceVersion +
			"\"}\nspec: {selector: {matchLabels: {site: " + site + "}}}\n"
	}
	w.apply(change("a"))
	w.said(w.cli.RunWith(w.ctx, change("b"), "apply", "-f", "-"), 1, "has changed since", "read it again")
	if out := w.do("get", "clustergroup", "all", "-o", "yaml"); !strings.Contains(out, "site: a") {
		t.Errorf("the stale change was made: %s", out)
	}
}
