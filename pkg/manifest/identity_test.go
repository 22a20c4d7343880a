package manifest

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestRefText(t *testing.T) {
	tests := []struct {
		ref       Ref
		text, key string
	}{
		{Ref{"apps", "Deployment", "prod", "web"}, "apps/Deployment prod/web", "apps/Deployment/prod/web"},
		{Ref{"", "ConfigMap", "prod", "web"}, "ConfigMap prod/web", "/ConfigMap/prod/web"},
		{Ref{"", "Namespace", "", "prod"}, "Namespace prod", "/Namespace//prod"},
		{Ref{"rbac.authorization.k8s.io", "ClusterRole", "", "system:node"}, "rbac.authorization.k8s.io/ClusterRole system:node",
			"rbac.authorization.k8s.io/ClusterRole//system:node"},
	}
	for _, test := range tests {
		if got := test.ref.String(); got != test.text {
			t.Errorf("String() = %q, want %q", got, test.text)
		}
		if got := test.ref.Key(); got != test.key {
			t.Errorf("Key() = %q, want %q", got, test.key)
		}
		if got, err := ParseKey(test.key); err != nil || got != test.ref {
			t.Errorf("ParseKey(%q) = %v, %v, want %v", test.key, got, err, test.ref)
		}
		if got, err := ParseRef(test.text); err != nil || got != test.ref {
			t.Errorf("ParseRef(%q) = %v, %v, want %v", test.text, got, err, test.ref)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for _, key := range []string{
		"", "ConfigMap", "/ConfigMap/web", "/ConfigMap/prod/web/more", "//prod/web", "/ConfigMap/prod/", "Apps/Deployment/prod/web",
		"apps//prod/web", "/1Map/prod/web", "/Config Map/prod/web", "/ConfigMap/Prod/web", "/ConfigMap/prod/..", "/ConfigMap/prod/a%2Fb",
		"/ConfigMap/prod/a\nb", "/ConfigMap/prod/\xff", "/Namespace//Prod", "/ConfigMap/prod/" + strings.Repeat("a", 254),
		strings.Repeat("a.", 127) + "a/Kind/ns/name",
	} {
		if ref, err := ParseKey(key); err == nil {
			t.Errorf("ParseKey(%q) = %v, want an error", key, ref)
		}
	}
}

func TestParseRefRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "ConfigMap", "ConfigMap ", "ConfigMap /web", "/ConfigMap web", "ConfigMap prod/", "ConfigMap prod/web/more", "prod/web",
		"a/b/Kind web", "Apps/Deployment prod/web", "apps/ prod/web", "ConfigMap Prod/web", "ConfigMap prod/..", "ConfigMap prod/a\nb", "ConfigMap prod/\xff",
	} {
		if ref, err := ParseRef(text); err == nil {
			t.Errorf("ParseRef(%q) = %v, want an error", text, ref)
		}
	}
}

func TestRefCompare(t *testing.T) {
	want := []Ref{
		{"", "ConfigMap", "", "z"},
		{"", "ConfigMap", "a", "b"},
		{"", "ConfigMap", "b", "a"},
		{"", "Secret", "a", "a"},
		{"apps", "ControllerRevision", "a", "a"},
		{"apps", "Deployment", "a", "a"},
		{"batch", "CronJob", "a", "a"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Ref.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("sorted to %v, want %v", got, want)
	}
	if c := want[0].Compare(want[0]); c != 0 {
		t.Errorf("Compare with itself = %d", c)
	}
}

func TestObjectAccessors(t *testing.T) {
	obj := Object{
		"apiVersion": "apps/v1",
		"kind":       "Deployment",
		"metadata": map[string]any{
			"name": "web", "namespace": "prod",
			"labels":      map[string]any{"app": "web", "bad": int64(1)},
			"annotations": map[string]any{"note": "x"},
		},
	}
	if obj.Group() != "apps" || obj.Version() != "v1" || obj.APIVersion() != "apps/v1" || obj.Kind() != "Deployment" {
		t.Errorf("type is %q %q %q %q", obj.Group(), obj.Version(), obj.APIVersion(), obj.Kind())
	}
	if got, want := obj.Ref(), (Ref{"apps", "Deployment", "prod", "web"}); got != want {
		t.Errorf("Ref() = %v, want %v", got, want)
	}
	if obj.Name() != "web" || obj.Namespace() != "prod" {
		t.Errorf("name is %q in %q", obj.Name(), obj.Namespace())
	}
	if labels := obj.Labels(); len(labels) != 1 || labels["app"] != "web" {
		t.Errorf("Labels() = %v", labels)
	}
	if annotations := obj.Annotations(); len(annotations) != 1 || annotations["note"] != "x" {
		t.Errorf("Annotations() = %v", annotations)
	}
	if value, ok := obj.Annotation("note"); !ok || value != "x" {
		t.Errorf("Annotation(note) = %q, %v", value, ok)
	}
	if _, ok := obj.Annotation("none"); ok {
		t.Error("Annotation(none) is there")
	}
	core := Object{"apiVersion": "v1"}
	if core.Group() != "" || core.Version() != "v1" {
		t.Errorf("core group: %q %q", core.Group(), core.Version())
	}
}

func TestObjectAccessorsSurviveAnything(t *testing.T) {
	for _, obj := range []Object{nil, {}, {"metadata": "x", "kind": int64(1)}, {"metadata": map[string]any{"labels": "x", "name": nil}}} {
		if obj.Ref() != (Ref{}) || obj.Labels() != nil || obj.Annotations() != nil {
			t.Errorf("%v: Ref() = %v", obj, obj.Ref())
		}
	}
}

func TestObjectCloneIsIndependent(t *testing.T) {
	obj := Object{"a": map[string]any{"b": []any{map[string]any{"c": "old"}}}}
	clone := obj.Clone()
	clone["a"].(map[string]any)["b"].([]any)[0].(map[string]any)["c"] = "new"
	clone["d"] = true
	if got := string(appendObject(nil, obj)); got != `{"a":{"b":[{"c":"old"}]}}` {
		t.Errorf("the original became %s", got)
	}
	if got := string(appendObject(nil, clone)); got != `{"a":{"b":[{"c":"new"}]},"d":true}` {
		t.Errorf("the clone is %s", got)
	}
	if Object(nil).Clone() != nil {
		t.Error("the clone of nil is not nil")
	}
}

func TestDigest(t *testing.T) {
	const empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	d := DigestOf(nil)
	if d != empty {
		t.Fatalf("DigestOf(nil) = %s, want %s", d, empty)
	}
	if got, err := ParseDigest(empty); err != nil || got != d {
		t.Errorf("ParseDigest = %s, %v", got, err)
	}
	if err := d.Verify(nil); err != nil {
		t.Errorf("Verify of the right content: %v", err)
	}
	if err := d.Verify([]byte("x")); !errors.Is(err, ErrDigestMismatch) {
		t.Errorf("Verify of other content: %v, want ErrDigestMismatch", err)
	}
	if err := Digest("").Verify(nil); !errors.Is(err, ErrDigestMismatch) {
		t.Errorf("Verify of the zero Digest: %v, want ErrDigestMismatch", err)
	}
	if d.Short() != "e3b0c44298fc" || Digest("").Short() != "" {
		t.Errorf("Short() = %q and %q", d.Short(), Digest("").Short())
	}
	for _, s := range []string{"", "sha256:", empty[7:], empty[:70], empty + "0", strings.ToUpper(empty), "sha512:" + empty[7:], empty[:70] + "g"} {
		if got, err := ParseDigest(s); err == nil {
			t.Errorf("ParseDigest(%q) = %s, want an error", s, got)
		}
	}
}
