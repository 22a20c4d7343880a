package match

import (
	"path"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestMatches(t *testing.T) {
	object := manifest.Object{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web-front", "labels": map[string]any{"app": "web", "tier": "front"}},
	}
	for _, c := range []struct {
		name     string
		selector *yardarmv1.ObjectSelector
		want     bool
	}{
		{"nothing said", nil, true},
		{"empty", &yardarmv1.ObjectSelector{}, true},
		{"all of it", &yardarmv1.ObjectSelector{Group: "apps", Version: "v1", Kind: "Deployment", Name: "web-front", Namespace: "prod", Labels: "app=web"}, true},
		{"another group", &yardarmv1.ObjectSelector{Group: "batch"}, false},
		{"another version", &yardarmv1.ObjectSelector{Version: "v1beta1"}, false},
		{"another kind", &yardarmv1.ObjectSelector{Kind: "StatefulSet"}, false},
		{"a name in part", &yardarmv1.ObjectSelector{Name: "web"}, false},
		{"a pattern", &yardarmv1.ObjectSelector{Name: "web-*"}, true},
		{"another pattern", &yardarmv1.ObjectSelector{Name: "*-back"}, false},
		{"another namespace", &yardarmv1.ObjectSelector{Namespace: "dev*"}, false},
		{"a set of values", &yardarmv1.ObjectSelector{Labels: "tier in (front,back),!canary"}, true},
		{"a label that it lacks", &yardarmv1.ObjectSelector{Labels: "canary"}, false},
	} {
		s, err := Compile(c.selector)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := s.Matches(object, "prod"); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if _, err := Compile(&yardarmv1.ObjectSelector{Labels: "app in ("}); err == nil || !strings.Contains(err.Error(), "labels") {
		t.Errorf("a broken label selector: %v", err)
	}
}

// FuzzPattern compares with path.Match, which agrees on texts that have nothing else that is special to it.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"a*b", "ab"}, {"a*b", "aXb"}, {"*", ""}, {"**", "x"}, {"a*a", "a"}, {"*ab*ab*", "abab"}, {"x", "x"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, p, text string) {
		if p == "" || strings.ContainsAny(p+text, `?[]\/`) {
			return
		}
		want, err := path.Match(p, text)
		if err != nil {
			t.Skip()
		}
		if got := compilePattern(p).matches(text); got != want {
			t.Errorf("%q of %q: got %v, want %v", p, text, got, want)
		}
	})
}
