package selector

import (
	"errors"
	"strings"
	"sync"
	"testing"
)

func TestExpression(t *testing.T) {
	labels := map[string]string{"env": "prod", "example.com/tier": "1"}
	facts := map[string]any{
		"nodes": int64(3), "load": 0.5, "version": "v1.31.2", "gpu": true, "none": nil,
		"capacity": map[string]any{"cpu": 12.0}, "groups": []any{"apps/v1", "batch/v1"},
	}
	tests := []struct {
		text       string
		want       bool
		readsFacts bool
		err        error // ErrMissingKey, ErrCostLimit
		fails      bool  // with any error
	}{
		{text: `true`, want: true},
		{text: `name == "edge-1"`, want: true},
		{text: `name.startsWith("core")`},
		{text: `labels.env == "prod" && labels["example.com/tier"] in ["1", "2"]`, want: true},
		{text: `labels.exists(k, k.startsWith("example.com/"))`, want: true},
		{text: `size(labels) == 2`, want: true},
		{text: `facts.nodes >= 3`, want: true, readsFacts: true},
		{text: `facts.nodes > 2.5`, want: true, readsFacts: true},
		{text: `facts.load < 1`, want: true, readsFacts: true},
		{text: `facts.capacity.cpu == 12`, want: true, readsFacts: true},
		{text: `facts.gpu == true`, want: true, readsFacts: true},
		{text: `facts.none == null`, want: true, readsFacts: true},
		{text: `"apps/v1" in facts.groups`, want: true, readsFacts: true},
		{text: `facts.version.matches("^v1\\.(3[0-9])\\.")`, want: true, readsFacts: true},
		{text: `.facts.nodes == 3`, want: true, readsFacts: true},
		{text: `labels.all(k, k != "" && facts.nodes == 3)`, want: true, readsFacts: true},
		{text: `has(labels.missing)`},
		{text: `"missing" in labels`},
		{text: `has(facts.missing) && facts.missing == 1`, readsFacts: true},
		{text: `labels.missing == "x"`, err: ErrMissingKey},
		{text: `labels["missing"] == "x"`, err: ErrMissingKey},
		{text: `labels.missing != "x"`, err: ErrMissingKey},
		{text: `facts.capacity.missing == 1`, readsFacts: true, err: ErrMissingKey},
		{text: `labels.missing == "x" || true`, want: true},
		{text: `facts.version > 3`, readsFacts: true, fails: true},
		{text: `facts.groups[7] == "x"`, readsFacts: true, fails: true},
		{text: `facts.nodes.cpu == 3`, readsFacts: true, err: ErrMissingKey},
		{text: `1 / (size(labels) - 2) == 0`, fails: true},
		{text: strings.Repeat(`[1,2,3,4,5,6,7,8,9].all(a, `, 5) + "true" + strings.Repeat(")", 5), err: ErrCostLimit},
	}
	for _, test := range tests {
		e, err := Compile(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if e.String() != test.text || e.ReadsFacts() != test.readsFacts {
			t.Errorf("%s: text %q, reads facts: %v", test.text, e, e.ReadsFacts())
		}
		got, err := e.Eval("edge-1", labels, facts)
		if got != test.want || (err != nil) != (test.fails || test.err != nil) {
			t.Errorf("%s: got %v, %v, want %v", test.text, got, err, test.want)
		}
		for _, sentinel := range []error{ErrMissingKey, ErrCostLimit} {
			if errors.Is(err, sentinel) != (test.err == sentinel) {
				t.Errorf("%s: error is %v, want %v", test.text, err, test.err)
			}
		}
	}
}

func TestExpressionOfNothing(t *testing.T) {
	e, err := Compile(`name == "" && labels.size() == 0 && facts.size() == 0`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Eval("", nil, nil); !got || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", `expression: 1:1: Syntax error: mismatched input '<EOF>'`},
		{`labels.env ==`, `expression: 1:14: Syntax error`},
		{"true &&\n  unknown", `expression: 2:3: undeclared reference to 'unknown'`},
		{`unknown && 1`, `1:1: undeclared reference to 'unknown'; 1:12: expected type 'bool' but found 'int'`},
		{`name`, `1:1: the result is string, not bool; compare it with something`},
		{`facts.gpu`, `1:1: the result is dyn, not bool`},
		{`name == 1`, `1:6: found no matching overload`},
		{`labels.env == 1`, `1:12: found no matching overload`},
		{`name.matches("[")`, `1:14: invalid matches argument`},
		{`name.matches("` + strings.Repeat("(a{1,100}){1,10}", 20) + `")`, `1:`},
		{`now() == name`, `undeclared reference to 'now'`},
		{strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), `1:1: expression recursion limit exceeded`},
		{strings.Repeat("(", 2000), `expression: `},
		{strings.Repeat("x+", 100) + "x", `undeclared reference to 'x'`},
	}
	for _, test := range tests {
		e, err := Compile(test.text)
		var compile *CompileError
		if e != nil || !errors.As(err, &compile) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60s: got %v, want %s", test.text, err, test.want)
			continue
		}
		if len(compile.Issues) == 0 || len(compile.Issues) > maxIssues {
			t.Errorf("%.60s: %d issues", test.text, len(compile.Issues))
		}
		for _, issue := range compile.Issues {
			if issue.Line < 1 || issue.Column < 1 || issue.Message == "" {
				t.Errorf("%.60s: issue %+v", test.text, issue)
			}
		}
	}
	long := "true" + strings.Repeat(" ", MaxText-4)
	if _, err := Compile(long); err != nil {
		t.Errorf("%d bytes: %v", len(long), err)
	}
	if _, err := Compile(long + " "); !errors.Is(err, ErrTooLong) {
		t.Errorf("%d bytes: %v", len(long)+1, err)
	}
}

// The race detector is what makes this a test.
func TestExpressionIsSafeForConcurrentUse(t *testing.T) {
	e, err := Compile(`labels.exists(k, k == name) && facts.nodes > 1 && name.matches("^e.*")`)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if _, err := Compile(`name == "x"`); err != nil {
				t.Error(err)
			}
			for range 200 {
				got, err := e.Eval("edge", map[string]string{"edge": ""}, map[string]any{"nodes": int64(i)})
				if got != (i > 1) || err != nil {
					t.Errorf("%d nodes: %v, %v", i, got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`true`, `name == "x"`, `labels.a == "b" || facts.n > 1.5`, `labels.exists(k, labels[k] == name)`, `facts.a.b[0].c in [1, "x", null]`, `has(facts.x)`,
		`name.matches("a+")`, `[1,2].map(x, x * 2).filter(x, x > 2).size() == 1`, `timestamp("2001-01-01T00:00:00Z").getFullYear() == 2001`, `b"x" == bytes("x")`,
		`duration("1h") > duration(facts.d)`, `name[0]`, `1/0 == 1`, `"` + strings.Repeat("a", 100), `((((`, `a.b.c.d`, `{"a": 1}.a == 1`, "//x\ntrue", "true\n?\nfalse\n:\ntrue",
		`facts.all(facts, facts != "")`, `type(facts) == map`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Compile(text)
		if err != nil {
			var compile *CompileError
			if !errors.As(err, &compile) && !errors.Is(err, ErrTooLong) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		facts := map[string]any{"n": int64(1), "a": map[string]any{"b": []any{"c", 1.5, nil, true}}}
		for range 2 { // the answer must not depend on what was asked before
			with, err := e.Eval("x", map[string]string{"a": "b"}, facts)
			if with && err != nil {
				t.Fatalf("%q matches in spite of %v", text, err)
			}
			without, err2 := e.Eval("x", map[string]string{"a": "b"}, nil)
			if !e.ReadsFacts() && (with != without || (err == nil) != (err2 == nil)) {
				t.Fatalf("%q says that it reads no facts, but gives %v, %v with and %v, %v without", text, with, err, without, err2)
			}
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(`labels.env == "prod" && facts.nodes >= 3`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	e, err := Compile(`labels.env == "prod" && facts.nodes >= 3`)
	if err != nil {
		b.Fatal(err)
	}
	labels, facts := map[string]string{"env": "prod"}, map[string]any{"nodes": int64(3)}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := e.Eval("edge-1", labels, facts); !ok {
			b.Fatal(err)
		}
	}
}

func BenchmarkCostLimit(b *testing.B) {
	e, err := Compile(strings.Repeat(`[1,2,3,4,5,6,7,8,9].all(a, `, 5) + "true" + strings.Repeat(")", 5))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := e.Eval("", nil, nil); !errors.Is(err, ErrCostLimit) {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatches(b *testing.B) {
	s, err := Parse("env=prod,region in (eu,us),!legacy")
	if err != nil {
		b.Fatal(err)
	}
	labels := map[string]string{"env": "prod", "region": "us"}
	b.ReportAllocs()
	for b.Loop() {
		if !s.Matches(labels) {
			b.Fatal("no match")
		}
	}
}
