package resource

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseType(t *testing.T) {
	for _, tc := range []struct {
		words string
		want  Type
	}{
		{"cluster clusters cl Cluster", Cluster}, {"clustergroup clustergroups cg group groups ClusterGroup", Group}, {"bundle bundles b", Bundle},
		{"revision revisions rev revs", Revision}, {"assignment assignments assign as", Assignment},
	} {
		for _, word := range strings.Fields(tc.words) {
			if got, err := ParseType(word); err != nil || !got.Is(tc.want) {
				t.Errorf("%s: got %v, %v", word, got, err)
			}
		}
	}
	if _, err := ParseType("pods"); err == nil || !strings.Contains(err.Error(), "clusters, clustergroups, bundles, revisions, assignments") {
		t.Errorf("got %v, want an error that lists the types", err)
	}
	seen := make(map[string]Type)
	for _, typ := range Types() {
		for _, word := range append([]string{typ.Name, typ.Plural}, typ.Aliases...) {
			if other, ok := seen[word]; ok && !other.Is(typ) {
				t.Errorf("%s means two types", word)
			}
			seen[word] = typ
		}
	}
}

func TestParseArgs(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"clusters", "cluster[]"}, {"cluster a b a", "cluster[a b]"}, {"clusters,bundles", "cluster[] bundle[]"},
		{"cluster/a bundle/b cluster/c cluster/a", "cluster[a c] bundle[b]"},
		{"", "error: name a resource type"}, {"pods", "error: there is no resource type"}, {"cluster/", "error: \"cluster/\" is not TYPE/NAME"},
		{"cluster/a b", "error: \"b\" is not TYPE/NAME"}, {"cluster a/b", "error: \"a/b\": give either"}, {"clusters,bundles x", "error: names after several types"},
		{"cluster/a/b", "error: \"cluster/a/b\" is not TYPE/NAME"},
	} {
		got, err := ParseArgs(strings.Fields(tc.args))
		var parts []string
		for _, s := range got {
			parts = append(parts, fmt.Sprintf("%s%v", s.Type.Name, s.Names))
		}
		text := strings.Join(parts, " ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if !strings.HasPrefix(text, tc.want) || err == nil && text != tc.want {
			t.Errorf("%q: got %q, want %q", tc.args, text, tc.want)
		}
	}
	if _, err := ParseArgs([]string{"cluster", ""}); err == nil {
		t.Error("an empty name is taken")
	}
}
