package drift

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest/ignore"
)

func TestBetween(t *testing.T) {
	const all = `{"f:data":{"f:a":{},"f:b":{}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:image":{}}}},"f:metadata":{"f:labels":{"f:example.com/it":{}}}}`
	const whole = "data: {a: x, b: v}\nspec: {containers: [{name: web, image: new}]}"
	for _, c := range []struct {
		name   string
		live   string
		owners []owns
		want   []Difference
	}{
		{"nothing", whole, []owns{ours(all)}, nil},
		{"a field that was taken and left at our value", whole,
			[]owns{ours(strings.Replace(all, `"f:a":{},`, "", 1)), {"someone", `{"f:data":{"f:a":{}}}`}}, nil},
		{"a value", "data: {a: z, b: v}\nspec: {containers: [{name: web, image: new}]}",
			[]owns{ours(strings.Replace(all, `"f:a":{},`, "", 1)), {"other", `{"f:data":{"f:b":{}}}`}, {"someone", `{"f:data":{"f:a":{}}}`}},
			[]Difference{{Path: "data.a", Desired: `"x"`, Live: `"z"`, Manager: "someone"}}},
		{"a field of a container", "data: {a: x, b: v}\nspec: {containers: [{name: proxy}, {name: web, image: old}]}",
			[]owns{ours(strings.Replace(all, `,"f:image":{}`, "", 1)), {"kubectl", `{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:image":{}}}}}`}},
			[]Difference{{Path: "spec.containers[name=web].image", Desired: `"new"`, Live: `"old"`, Manager: "kubectl (scale)"}}},
		{"what was removed is told at the top, and once", "data: {b: v}", []owns{ours(`{"f:data":{"f:b":{}},"f:metadata":{"f:labels":{"f:example.com/it":{}}}}`)},
			[]Difference{{Path: "data.a", Desired: `"x"`}, {Path: "spec", Desired: `{"containers":[{"image":"new","name":"web"}]}`}}},
		{"an object made anew", "data: {a: x}", []owns{{"someone", `{"f:data":{"f:a":{}}}`}},
			[]Difference{{Path: "data.b", Desired: `"v"`}, {Path: "spec", Desired: `{"containers":[{"image":"new","name":"web"}]}`}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			applied := object(t, whole, ours(all))
			before := object(t, c.live, c.owners...)
			if got := Between(before, applied); !slices.Equal(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if got, want := Settled(before, applied), c.name == "nothing"; got != want {
				t.Errorf("settled: %v", got)
			}
		})
	}
}

func TestSecretsAreMaskedAndValuesBounded(t *testing.T) {
	applied := object(t, "data: {a: "+strings.Repeat("é", 500)+"}", ours(`{"f:data":{"f:a":{}}}`))
	live := object(t, "data: {a: hunter2}", owns{"someone", `{"f:data":{"f:a":{}}}`})
	got := Between(live, applied)
	if len(got) != 1 || len(got[0].Desired) > maxValue || !strings.HasSuffix(got[0].Desired, "é…") || got[0].Live != `"hunter2"` {
		t.Errorf("got %+v", got)
	}
	applied.SetKind("Secret")
	got = Between(live, applied)
	if len(got) != 1 || got[0] != (Difference{Path: "data.a", Desired: masked, Live: masked, Manager: "someone"}) {
		t.Errorf("got %+v", got)
	}
	many := map[string]any{}
	fields := make([]string, 0, 100)
	for i := range 100 {
		key := strings.Repeat("k", i+1)
		many[key] = "v"
		fields = append(fields, `"f:`+key+`":{}`)
	}
	applied = object(t, "", ours(`{"f:data":{`+strings.Join(fields, ",")+`}}`))
	applied.Object["data"] = many
	if got := Between(object(t, "data: {other: x}"), applied); len(got) != maxDifferences {
		t.Errorf("%d differences", len(got))
	}
}

// FuzzOwners feeds what an object's managedFields may hold: whatever it is, objects are compared, and nothing panics.
func FuzzOwners(f *testing.F) {
	f.Add(`{"f:data":{"f:a":{}}}`, `{"f:data":{"f:a":{}}}`, "/data/a")
	f.Add(`{"f:data":{".":{},"k:{\"name\":\"a\"}":{}}}`, `{"f:data":{"v:1":{},"i:0":{}}}`, "/*/*")
	f.Add(`{"f:data":[]}`, `{"f:":{}}`, "/data")
	f.Fuzz(func(t *testing.T, mine, theirs, pointer string) {
		if !json.Valid([]byte(mine)) || !json.Valid([]byte(theirs)) {
			return // the API server sees to that
		}
		live := object(t, "data: {a: x, b: [{name: a}, 1]}", ours(mine), owns{"kube-controller-manager", theirs})
		applied := object(t, "data: {a: y, b: [{name: a}, 2]}", ours(theirs))
		if got := Between(live, applied); len(got) > maxDifferences {
			t.Errorf("%d differences", len(got))
		}
		Settled(live, applied)
		if p, err := ignore.Parse(pointer); err == nil {
			if got := Leave(applied.Object, []ignore.Pointer{p}, live); got["kind"] != "Thing" {
				t.Errorf("got %v", got)
			}
		}
	})
}
