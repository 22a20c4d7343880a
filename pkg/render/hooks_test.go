package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestHooks(t *testing.T) {
	object := func(annotation string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\n  annotations:\n    " + annotation + "\n"
	}
	const plain = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	for name, c := range map[string]struct {
		file, text string
		refused    string // how its error ends or begins; "" if it is not
		left       int    // objects, with hooks skipped; -1 if that is refused as well
		warns      bool   // when skipped
		quiet      bool   // left out without being asked
	}{
		"none":                {text: plain, left: 1},
		"helm":                {text: plain + "---\n" + object("helm.sh/hook: pre-install,pre-upgrade"), refused: "a.yaml:10: Job migrate: is a hook (helm.sh/hook: pre-install,pre-upgrade)", left: 1, warns: true},
		"argo":                {text: object("argocd.argoproj.io/hook: PreSync") + "---\n" + plain, refused: "a.yaml:6: Job migrate: is a hook (argocd.argoproj.io/hook: PreSync)", left: 1, warns: true},
		"argo skip":           {text: object("argocd.argoproj.io/hook: Skip"), warns: true, quiet: true},
		"helm test":           {text: plain + "---\n" + object("helm.sh/hook: test"), left: 1, quiet: true},
		"helm test and more":  {text: object("helm.sh/hook: test, post-install"), refused: "test, post-install", warns: true},
		"in a text":           {text: plain + "data: {a: 'helm.sh/hook: pre-install'}\n", left: 1},
		"weight alone":        {text: object("helm.sh/hook-weight: '1'"), left: 1},
		"JSON":                {file: "a.json", text: `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}` + "\n" + `{"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"migrate","annotations":{"helm.sh/hook":"pre-install"}}}`, refused: "a.json:2: Job migrate", left: 1, warns: true},
		"JSON in YAML":        {text: `{"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"migrate","annotations":{"helm.sh/hook":"pre-install"}}} {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, refused: "a.yaml:1: Job migrate", left: 1, warns: true},
		"in a list":           {text: "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(object("helm.sh/hook: pre-install")), "\n", "\n  "), refused: "a.yaml:9: Job migrate", left: -1},
		"test in a list":      {text: "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(object("helm.sh/hook: test")), "\n", "\n  "), refused: "cannot be left out", left: -1},
		"annotations aliased": {text: "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: &x {helm.sh/hook: pre-install}\n  annotations: *x\n", refused: "a.yaml:5: ConfigMap a", warns: true},
		"items are no list":   {text: object("helm.sh/hook: pre-install") + "items: 5\n", refused: "a.yaml:6: Job migrate", warns: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file == "" {
				c.file = "a.yaml"
			}
			given := func() *Output { return &Output{Files: []manifest.File{{Path: c.file, Data: []byte(c.text)}}} }
			o := given()
			err := o.sift(false)
			switch {
			case (err == nil) != (c.refused == ""), err != nil && !strings.Contains(err.Error(), c.refused):
				t.Errorf("refused: got %v, want %q", err, c.refused)
			case c.quiet && o.objects(t) != c.left:
				t.Errorf("%d objects are left, want %d", o.objects(t), c.left)
			}
			o = given()
			if err = o.sift(true); (err != nil) != (c.left < 0) {
				t.Fatalf("skipped: got %v", err)
			}
			if err != nil {
				return
			}
			if got := o.objects(t); got != c.left || len(o.Warnings) > 0 != c.warns {
				t.Errorf("%d objects are left and it is said %q, want %d and %v", got, o.Warnings, c.left, c.warns)
			}
			if lines := bytes.Count(o.Files[0].Data, []byte("\n")); lines != strings.Count(c.text, "\n") {
				t.Errorf("%d lines are left of %d", lines, strings.Count(c.text, "\n"))
			}
		})
	}
}

func (o *Output) objects(t *testing.T) int {
	t.Helper()
	set, err := manifest.Parse(o.Files, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set.Len()
}
