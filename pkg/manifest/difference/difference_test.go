package difference

import (
	"fmt"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func object(t testing.TB, text string) manifest.Object {
	t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "a.yaml", Data: []byte(text)}}, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for ref := range set.All() {
		o, _ := set.Get(ref)
		return o
	}
	t.Fatal("no object")
	return nil
}

func TestBetween(t *testing.T) {
	const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {a.b/c: x}}\nspec: "
	for _, tc := range []struct{ before, after, want string }{
		{deployment + "{replicas: 1}", deployment + "{replicas: 1}", ""},
		{deployment + "{replicas: 1}", deployment + "{replicas: 3}", "spec.replicas 1 → 3"},
		{deployment + "{replicas: 1}", deployment + "{paused: true}", "spec.paused  → true; spec.replicas 1 → "},
		{deployment + "{c: [{name: a, i: 1}, {name: b, i: 2}]}", deployment + "{c: [{name: b, i: 3}, {name: a, i: 1}]}", "spec.c[name=b].i 2 → 3"},
		{deployment + "{c: [{name: a}]}", deployment + "{c: []}", `spec.c[name=a] {"name":"a"} → `},
		{deployment + "{c: [1, 2]}", deployment + "{c: [1, 3, 4]}", "spec.c[1] 2 → 3; spec.c[2]  → 4"},
		{strings.Replace(deployment, "x}", "z}", 1) + "{}", deployment + "{}", `metadata.labels[a.b/c] "z" → "x"`},
		{"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {k: aGk=, l: aGk=}", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {k: aGo=}", "data.k (secret) → (secret); data.l (secret) → "},
	} {
		fields, more := Between(object(t, tc.before), object(t, tc.after))
		var got []string
		for _, f := range fields {
			got = append(got, fmt.Sprintf("%s %s → %s", f.Path, f.Before, f.After))
		}
		if text := strings.Join(got, "; "); text != tc.want || more != 0 {
			t.Errorf("got %s (and %d), want %s", text, more, tc.want)
		}
	}
}

func TestBetweenIsBounded(t *testing.T) {
	text := func(value string) string {
		var b strings.Builder
		b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n")
		for i := range 50 {
			fmt.Fprintf(&b, "  k%02d: %s\n", i, strings.Repeat(value, 1000))
		}
		return b.String()
	}
	fields, more := Between(object(t, text("é")), object(t, text("x")))
	if len(fields) != maxFields || more != 50-maxFields || len(fields[0].Before) > maxValue+len("…") || len(fields[0].After) > maxValue+len("…") {
		t.Errorf("%d fields, %d more, values of %d bytes", len(fields), more, len(fields[0].Before))
	}
}
