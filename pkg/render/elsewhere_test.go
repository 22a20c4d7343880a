package render

import (
	"errors"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// TestElsewhere renders until all bases are there, as whoever may fetch them does.
func TestElsewhere(t *testing.T) {
	source := tree(map[string]string{"prod/kustomization.yaml": "buildMetadata: [managedByLabel]\nnamePrefix: prod-\nresources:\n- https://me:secret@git.example.com/team/base.git//web?ref=v1&token=secret\n- ../own\n",
		"own/kustomization.yaml": "resources: [own.yaml]\ncomponents:\n- https://git.example.com/team/extras//x?ref=v1\n", "own/own.yaml": strings.Replace(configMap, "name: a", "name: own", 1)})
	there := map[string]Base{
		"https://me:secret@git.example.com/team/base.git//web?ref=v1&token=secret": {Name: "git.example.com/team/base.git@0123abcd", Dir: "web",
			FS: tree(map[string]string{"web/kustomization.yaml": "resources: [../shared]\n", "shared/kustomization.yaml": "resources: [a.yaml]\n", "shared/a.yaml": configMap})},
		"https://git.example.com/team/extras//x?ref=v1": {Name: "git.example.com/team/extras@0123abcd", Dir: "x",
			FS: tree(map[string]string{"x/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -x\n"})},
	}
	in := Input{FS: source, Path: "prod", Bases: map[string]Base{}}
	for range 2 {
		_, err := Render(t.Context(), in)
		var away *Elsewhere
		var problem manifest.Problem
		if !errors.As(err, &away) || !errors.As(err, &problem) || !errors.Is(err, ErrElsewhere) || strings.Contains(err.Error(), "secret") || problem.Line == 0 || there[away.Ref].FS == nil {
			t.Fatalf("got %v", err)
		}
		in.Bases[away.Ref] = there[away.Ref]
	}
	first, out := set(t, in)
	if got := text(out); !strings.Contains(got, "name: prod-a\n") || !strings.Contains(got, "name: prod-own-x\n") || !strings.Contains(got, "# .elsewhere/base-git.example.com-team-base-git@0123abcd/shared/a.yaml") {
		t.Errorf("got\n%s", got)
	}
	if again, _ := set(t, in); again.Digest() != first.Digest() {
		t.Error("the second time it is something else")
	}
}

// What a base refers to is in it, in the source, or nowhere.
func TestElsewhereIsContained(t *testing.T) {
	for name, c := range map[string]struct{ reference, want string }{
		"files of the source": {"resources: [../../../a.yaml]", "a.yaml"},
		"out of all":          {"resources: [../../../../../etc]", "etc"},
	} {
		source := tree(map[string]string{"kustomization.yaml": "resources: ['https://git.example.com/base?ref=v1']\n", "a.yaml": configMap})
		_, err := Render(t.Context(), Input{FS: source, Bases: map[string]Base{"https://git.example.com/base?ref=v1": {Name: "base", FS: tree(map[string]string{"kustomization.yaml": c.reference + "\n"})}}})
		var problem manifest.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Files elsewhere are fetched by nobody: only directories with a kustomization are bases.
func TestElsewhereFiles(t *testing.T) {
	for _, field := range []string{"crds", "configurations", "generators", "transformers"} {
		_, err := Render(t.Context(), Input{FS: tree(map[string]string{"kustomization.yaml": field + ": ['https://git.example.com/x//a?ref=v1']\n"})})
		var away *Elsewhere
		if errors.As(err, &away) || !errors.Is(err, ErrElsewhere) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
