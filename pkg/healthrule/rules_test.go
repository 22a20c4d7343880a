package healthrule

import (
	"encoding/json"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

const conditions = `object.status.conditions.exists(c, c.type == "Synced" && c.status == "True")`

func TestCompile(t *testing.T) {
	for name, c := range map[string]struct {
		rule  *yardarmv1.HealthRule
		field string // of the violation; empty for none
		says  string
	}{
		"all three":         {&yardarmv1.HealthRule{Group: "x.example", Kind: "Widget", Ready: conditions, Failing: "object.status.failed", Message: "object.status.message"}, "", ""},
		"core kind":         {&yardarmv1.HealthRule{Kind: "ConfigMap", Ready: "true"}, "", ""},
		"no kind":           {&yardarmv1.HealthRule{Group: "x.example", Ready: "true"}, "[0].kind", "missing"},
		"long kind":         {&yardarmv1.HealthRule{Kind: strings.Repeat("K", 254), Ready: "true"}, "[0].kind", "longer"},
		"long group":        {&yardarmv1.HealthRule{Group: strings.Repeat("g", 254), Kind: "K", Ready: "true"}, "[0].group", "longer"},
		"no ready":          {&yardarmv1.HealthRule{Kind: "Widget", Failing: "true"}, "[0].ready", "missing"},
		"bad syntax":        {&yardarmv1.HealthRule{Kind: "Widget", Ready: "object.status ="}, "[0].ready", "1:"},
		"unknown variable":  {&yardarmv1.HealthRule{Kind: "Widget", Ready: "self.status.ok"}, "[0].ready", "self"},
		"not a bool":        {&yardarmv1.HealthRule{Kind: "Widget", Ready: `"yes"`}, "[0].ready", "not bool"},
		"failing no bool":   {&yardarmv1.HealthRule{Kind: "Widget", Ready: "true", Failing: "1"}, "[0].failing", "not bool"},
		"message no string": {&yardarmv1.HealthRule{Kind: "Widget", Ready: "true", Message: "true"}, "[0].message", "not string"},
		"too long":          {&yardarmv1.HealthRule{Kind: "Widget", Ready: "true" + strings.Repeat(" ", MaxText)}, "[0].ready", "longer"},
		"bad regex":         {&yardarmv1.HealthRule{Kind: "Widget", Ready: `object.a.matches("(")`}, "[0].ready", "1:"},
		"huge regex":        {&yardarmv1.HealthRule{Kind: "Widget", Ready: `object.a.matches("(a{999}){9}")`}, "[0].ready", ""},
		"secret":            {&yardarmv1.HealthRule{Kind: "Secret", Ready: "true", Message: "object.data.password"}, "[0].kind", "Secrets"},
		"another's secret":  {&yardarmv1.HealthRule{Group: "x.example", Kind: "Secret", Ready: "true"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, found := Compile([]*yardarmv1.HealthRule{c.rule})
			if c.field == "" {
				if len(found) > 0 {
					t.Errorf("violations: %v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Field != c.field || !strings.Contains(found[0].Message, c.says) {
				t.Errorf("violations: %v, want one of %s that says %q", found, c.field, c.says)
			}
		})
	}
}

func TestCompileCountsRules(t *testing.T) {
	var many []*yardarmv1.HealthRule
	for range MaxRules + 1 {
		many = append(many, &yardarmv1.HealthRule{Kind: "Widget", Ready: "true"})
	}
	if _, found := Compile(many[:MaxRules]); len(found) > 0 {
		t.Errorf("violations: %v", found)
	}
	if _, found := Compile(many); len(found) != 1 || found[0].Field != "" {
		t.Errorf("violations: %v", found)
	}
}

func TestFirstRuleForAKindCounts(t *testing.T) {
	rules, _ := Compile([]*yardarmv1.HealthRule{{Kind: "Widget", Ready: "true"}, {Kind: "Widget", Ready: "false"}})
	if j := rules.Judge("", "Widget", nil); !j.Ready {
		t.Errorf("%+v", j)
	}
}

func TestHas(t *testing.T) {
	var none *Rules
	if none.Has("", "Widget") {
		t.Error("no rules have one")
	}
	rules, _ := Compile([]*yardarmv1.HealthRule{{Group: "x.example", Kind: "Widget", Ready: "true"}, {Kind: "Secret", Ready: "true"}})
	if !rules.Has("x.example", "Widget") || rules.Has("", "Widget") || rules.Has("", "Secret") {
		t.Error("rules are found by group and kind, and none is for Secrets")
	}
}

func TestJudge(t *testing.T) {
	const widget = `{"metadata":{"generation":3},"spec":{"size":2},"status":{"size":2,"ratio":0.5,"phase":"Warm","conditions":[{"type":"Synced","status":"True"}]}}`
	for name, c := range map[string]struct {
		rule   *yardarmv1.HealthRule
		object string
		want   Judgement // Message: what it contains
	}{
		"ready":                {&yardarmv1.HealthRule{Ready: conditions}, widget, Judgement{Ready: true}},
		"numbers":              {&yardarmv1.HealthRule{Ready: "object.status.size == object.spec.size && object.status.ratio < 1.0"}, widget, Judgement{Ready: true}},
		"not ready":            {&yardarmv1.HealthRule{Ready: `object.status.phase == "Hot"`}, widget, Judgement{Message: "is not ready"}},
		"missing status":       {&yardarmv1.HealthRule{Ready: conditions}, `{}`, Judgement{Message: `"ready" cannot be evaluated: no such key: status`}},
		"asked for":            {&yardarmv1.HealthRule{Ready: "has(object.status) && object.status.ok"}, `{}`, Judgement{Message: "is not ready"}},
		"one side is missing":  {&yardarmv1.HealthRule{Ready: `object.status.none == 1 || object.status.phase == "Warm"`}, widget, Judgement{Ready: true}},
		"not a bool":           {&yardarmv1.HealthRule{Ready: "object.status.phase"}, widget, Judgement{Message: "does not come to a bool"}},
		"wrong type":           {&yardarmv1.HealthRule{Ready: "object.status.phase > 1"}, widget, Judgement{Message: "another type"}},
		"past the end":         {&yardarmv1.HealthRule{Ready: "object.status.conditions[7].type == 'x'"}, widget, Judgement{Message: "past the end"}},
		"failing":              {&yardarmv1.HealthRule{Ready: "false", Failing: `object.status.phase == "Warm"`}, widget, Judgement{Failing: true, Message: "fails"}},
		"ready and failing":    {&yardarmv1.HealthRule{Ready: "true", Failing: "true"}, widget, Judgement{Ready: true}},
		"failing not known":    {&yardarmv1.HealthRule{Ready: "false", Failing: "object.nowhere"}, widget, Judgement{Message: `"failing" cannot be evaluated: no such key: nowhere`}},
		"message":              {&yardarmv1.HealthRule{Ready: "false", Message: `"it is " + object.status.phase`}, widget, Judgement{Message: "it is Warm"}},
		"message of a failure": {&yardarmv1.HealthRule{Ready: "false", Failing: "true", Message: `"burnt"`}, widget, Judgement{Failing: true, Message: "burnt"}},
		"message not known":    {&yardarmv1.HealthRule{Ready: "false", Message: "object.nowhere"}, widget, Judgement{Message: `"message" cannot be evaluated`}},
		"message in lines":     {&yardarmv1.HealthRule{Ready: "false", Message: `"a\n\tb"`}, widget, Judgement{Message: "a b"}},
		"broken":               {&yardarmv1.HealthRule{Ready: "object ="}, widget, Judgement{Broken: true, Message: "ready: 1:"}},
		"too expensive":        {&yardarmv1.HealthRule{Ready: expensive}, widget, Judgement{Message: "costs too much"}},
		"value in an error":    {&yardarmv1.HealthRule{Ready: "int(object.status.phase) == 1"}, widget, Judgement{Message: "on a value of the object"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.rule.Kind = "Widget"
			rules, _ := Compile([]*yardarmv1.HealthRule{c.rule})
			got := rules.Judge("", "Widget", object(t, c.object))
			if got.Ready != c.want.Ready || got.Failing != c.want.Failing || got.Broken != c.want.Broken || !strings.Contains(got.Message, c.want.Message) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if strings.Contains(got.Message, "Warm") && !strings.Contains(c.want.Message, "Warm") {
				t.Errorf("it says a value that nobody asked for: %s", got.Message)
			}
		})
	}
}

// expensive is short, and costs a thousand million steps if nothing ends it.
const expensive = "[1,2,3,4,5,6,7,8,9,0].all(a, [1,2,3,4,5,6,7,8,9,0].all(b, [1,2,3,4,5,6,7,8,9,0].all(c, [1,2,3,4,5,6,7,8,9,0].all(d, " +
	"[1,2,3,4,5,6,7,8,9,0].all(e, [1,2,3,4,5,6,7,8,9,0].all(f, [1,2,3,4,5,6,7,8,9,0].all(g, [1,2,3,4,5,6,7,8,9,0].all(h, " +
	"[1,2,3,4,5,6,7,8,9,0].all(i, object.spec.size > 0)))))))))"

// BenchmarkCostLimit is what the worst evaluation costs.
func BenchmarkCostLimit(b *testing.B) {
	rules, _ := Compile([]*yardarmv1.HealthRule{{Kind: "Widget", Ready: expensive}})
	o := object(b, `{"spec":{"size":2}}`)
	for b.Loop() {
		rules.Judge("", "Widget", o)
	}
}

// BenchmarkJudge is what a usual one costs.
func BenchmarkJudge(b *testing.B) {
	rules, _ := Compile([]*yardarmv1.HealthRule{{Kind: "Widget", Ready: conditions}})
	o := object(b, `{"status":{"conditions":[{"type":"A","status":"True"},{"type":"B","status":"True"},{"type":"Synced","status":"True"}]}}`)
	for b.Loop() {
		rules.Judge("", "Widget", o)
	}
}

// FuzzRule: whatever a hub sends and an object holds, a judgement comes of it, of bounded size.
func FuzzRule(f *testing.F) {
	f.Add(conditions, "object.status.failed", "object.status.message", `{"status":{"conditions":[{"type":"Synced"}]}}`)
	f.Add("object.a[0].b == -1 || object.c in [1.5, null]", "size(object) > 0", `string(object.a) + "x"`, `{"a":[{"b":1e99}],"c":null}`)
	f.Fuzz(func(t *testing.T, ready, failing, message, text string) {
		var o map[string]any
		if json.Unmarshal([]byte(text), &o) != nil {
			return
		}
		rules, found := Compile([]*yardarmv1.HealthRule{{Kind: "Widget", Ready: ready, Failing: failing, Message: message}})
		j := rules.Judge("", "Widget", o)
		if len(j.Message) > maxMessage+len("…") || j.Ready && j.Failing || j.Broken != (len(found) > 0) || !j.Ready && j.Message == "" {
			t.Errorf("%+v %v", j, found)
		}
	})
}
