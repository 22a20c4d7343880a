package ignore

import (
	"slices"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Pointer{
		"/spec/replicas":                        {"spec", "replicas"},
		"/spec/containers/*/image":              {"spec", "containers", Any, "image"},
		"/metadata/annotations/example.com~1it": {"metadata", "annotations", "example.com/it"},
		"/data/a~01":                            {"data", "a~1"},
		"/data/":                                {"data", ""},
	} {
		got, err := Parse(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                               "the whole object",
		"/":                              "the whole object",
		"spec/replicas":                  "begin with a slash",
		"/data/a~":                       "~0 for a tilde",
		"/data/a~2":                      "~0 for a tilde",
		"/" + strings.Repeat("a", 1<<12): "the limit is 1024",
		strings.Repeat("/a", 65):         "the limit is 64",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}

func TestRules(t *testing.T) {
	rules, err := Compile([]*yardarmv1.IgnoreRule{
		{Target: &yardarmv1.ObjectSelector{Kind: "Deployment"}, Paths: []string{"/spec/replicas"}},
		{Paths: []string{"/metadata/annotations"}},
		{Target: &yardarmv1.ObjectSelector{Namespace: "dev"}, Paths: []string{"/spec/paused"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	object := manifest.Object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web"}}
	got := rules.Of(object, "prod")
	if len(got) != 2 || got[0].String() != "/spec/replicas" || got[1].String() != "/metadata/annotations" {
		t.Errorf("got %v", got)
	}
	if Hash(got) == 0 || Hash(got) == Hash(got[:1]) || Hash(nil) != 0 {
		t.Error("pointers are not told apart")
	}
	for want, r := range map[string]*yardarmv1.IgnoreRule{
		"ignore[0].target.labels: ": {Target: &yardarmv1.ObjectSelector{Labels: "a in"}, Paths: []string{"/spec"}},
		"ignore[0].paths[1]: ":      {Paths: []string{"/spec", "spec"}},
		"there are 0; ":             {},
		"there are 65; ":            {Paths: slices.Repeat([]string{"/spec"}, 65)},
	} {
		if _, err := Compile([]*yardarmv1.IgnoreRule{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"/spec/replicas", "/a~1b/~0/*", "/~01", "", "/", "//", "/~"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if p.String() != text {
			t.Fatalf("%q is written as %q", text, p.String())
		}
	})
}
