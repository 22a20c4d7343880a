package selector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text, want string // want is the canonical text
	}{
		{"", ""},
		{" \t\n", ""},
		{"a", "a"},
		{" ! a ", "!a"},
		{"a=b", "a=b"},
		{"a == b", "a=b"},
		{"a!=b", "a!=b"},
		{"a in (b)", "a=b"},
		{"a notin(b)", "a!=b"},
		{"a in (c, b,c)", "a in (b,c)"},
		{"a notin ( c ,b )", "a notin (b,c)"},
		{"a=", "a="},
		{"a=,b", "a=,b"},
		{"a in ()", "a="},
		{"a in (,)", "a="},
		{"a in (b,)", "a in (,b)"},
		{"a in (,,b)", "a in (,b)"},
		{"z,a,!m", "a,!m,z"},
		{"a,a", "a"},
		{"a=b,a=b,a=c", "a=b,a=c"},
		{"in in (in,notin)", "in in (in,notin)"},
		{"in", "in"},
		{"notin=in", "notin=in"},
		{"example.com/a_b.c in (x)", "example.com/a_b.c=x"},
		{"env=prod,region in (eu,us),!legacy", "env=prod,!legacy,region in (eu,us)"},
		{"a\n=\r\nb", "a=b"},
	}
	for _, test := range tests {
		s, err := Parse(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if got := s.String(); got != test.want {
			t.Errorf("%q is %q, want %q", test.text, got, test.want)
		}
		if again, err := Parse(s.String()); err != nil || again.String() != s.String() {
			t.Errorf("%q: canonical text reads back as %q, %v", test.text, again, err)
		}
		if s.Empty() != (test.want == "") {
			t.Errorf("%q: Empty() = %v", test.text, s.Empty())
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{",", `column 1: found ",", expected a label key`},
		{"a,", `column 3: found the end, expected a label key`},
		{"a,,b", `column 3: found ",", expected a label key`},
		{"!", `column 2: found the end, expected a label key`},
		{"!!a", `column 2: found "!", expected a label key`},
		{"!a=b", `column 3: found "=", expected "," or the end`},
		{"a b", `column 3: found "b", expected one of`},
		{"a=b c", `column 5: found "c", expected "," or the end`},
		{"a=(b)", `column 3: found "(", expected a label value`},
		{"a===b", `column 4: found "=", expected a label value`},
		{"a in", `column 5: found the end, expected "("`},
		{"a in b", `column 6: found "b", expected "("`},
		{"a in ()x", `column 8: found "x", expected "," or the end`},
		{"a in ((", `column 7: found "(", expected "," or ")"`},
		{"a=\x00", `label value "\x00"`},
		{"a in (b", `column 8: found the end, expected "," or ")"`},
		{"a in (b c)", `column 9: found "c", expected "," or ")"`},
		{"a in (b),", `column 10: found the end`},
		{"a > 1", `column 3: ">" is not supported in selectors; use an expression`},
		{"a < 1", `"<" is not supported`},
		{"a/b/c", `label key "a/b/c"`},
		{"-a", `label key "-a"`},
		{"/a", `label key "/a": its prefix`},
		{"A.com/a", `its prefix must be a DNS name`},
		{"a=-b", `label "a": label value "-b"`},
		{"a=" + strings.Repeat("b", 64), `must be at most 63`},
		{"a in (b,ä)", `label value "ä"`},
		{strings.Repeat("a", 64), `label key`},
	}
	for _, test := range tests {
		s, err := Parse(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %q, %v, want %s", test.text, s, err, test.want)
		}
	}
	long := strings.Repeat("a,", MaxText/2) + "a"
	if _, err := Parse(long); !errors.Is(err, ErrTooLong) {
		t.Errorf("%d bytes: got %v", len(long), err)
	}
	if _, err := Parse(long[2:]); err != nil {
		t.Errorf("%d bytes: got %v", len(long)-2, err)
	}
}

func TestMatches(t *testing.T) {
	sets := map[string]map[string]string{
		"none":  nil,
		"prod":  {"env": "prod", "region": "eu"},
		"test":  {"env": "test", "legacy": ""},
		"empty": {"env": ""},
	}
	tests := []struct {
		selector string
		want     string // names of the sets that match, sorted
	}{
		{"", "empty none prod test"},
		{"env", "empty prod test"},
		{"!env", "none"},
		{"env=prod", "prod"},
		{"env!=prod", "empty none test"},
		{"env=", "empty"},
		{"env!=", "none prod test"},
		{"env in (prod,test)", "prod test"},
		{"env notin (prod,test)", "empty none"},
		{"env,!legacy,env!=prod", "empty"},
		{"env=prod,env=test", ""},
		{"Env", ""},
	}
	for _, test := range tests {
		s, err := Parse(test.selector)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, set := range sets {
			if s.Matches(set) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != test.want {
			t.Errorf("%q matches %v, want %s", test.selector, got, test.want)
		}
	}
	if (Requirement{Key: "env", Operator: "Other"}).Matches(sets["prod"]) {
		t.Error("an unknown operator matches")
	}
}

func TestNew(t *testing.T) {
	values := []string{"us", "eu", "us"}
	s, err := New(map[string]string{"env": "prod", "a": ""}, []Requirement{
		{"region", In, values}, {"tier", NotIn, []string{"x"}}, {"legacy", DoesNotExist, nil}, {"app", Exists, nil}, {"env", In, []string{"prod"}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "a=,app,env=prod,!legacy,region in (eu,us),tier!=x"
	if s.String() != want {
		t.Errorf("got %s, want %s", s, want)
	}
	if !slices.Equal(values, []string{"us", "eu", "us"}) {
		t.Errorf("the argument was changed to %v", values)
	}
	values[0] = "changed"
	requirements := s.Requirements()
	requirements[0].Key, requirements[4].Values[0] = "changed", "changed"
	if s.String() != want {
		t.Errorf("changing arguments or results changed it to %s", s)
	}
	var texts []string
	for _, r := range s.Requirements() {
		texts = append(texts, r.String())
	}
	if strings.Join(texts, ",") != want {
		t.Errorf("requirements are %v", texts)
	}
	if zero := (Selector{}); !zero.Matches(nil) || !zero.Empty() || zero.String() != "" {
		t.Error("the zero Selector does not match everything")
	}

	for _, r := range []Requirement{
		{"", Exists, nil}, {"a", In, nil}, {"a", NotIn, nil}, {"a", Exists, []string{"x"}}, {"a", DoesNotExist, []string{""}}, {"a", "", nil}, {"a", "in", []string{"x"}},
		{"a", In, []string{"ok", "not ok"}}, {"a b", Exists, nil},
	} {
		if s, err := New(nil, []Requirement{r}); err == nil {
			t.Errorf("%+v is accepted as %s", r, s)
		}
	}
	_, err = New(map[string]string{"a b": "x"}, []Requirement{{"c", "Near", nil}})
	if err == nil || !strings.Contains(err.Error(), `"a b"`) || !strings.Contains(err.Error(), `"Near"`) {
		t.Errorf("the error does not name every part: %v", err)
	}
	long := Requirement{Key: "a", Operator: In}
	for i := range MaxText / 4 {
		long.Values = append(long.Values, fmt.Sprintf("%04d", i))
	}
	if _, err := New(nil, []Requirement{long}); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, name := range []string{"a", "0", "a-b", long} {
		if err := ValidateName(name); err != nil {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, name := range []string{"", "A", "-a", "a-", "a.b", "a_b", "ä", long + "a", "a\n"} {
		if err := ValidateName(name); err == nil {
			t.Errorf("name %q is accepted", name)
		}
	}
	if err := ValidateLabels(map[string]string{"a": "", "example.com/" + long: long, "A_b.c": "x.y_Z-0"}); err != nil {
		t.Error(err)
	}
	if err := ValidateLabels(nil); err != nil {
		t.Error(err)
	}
	err := ValidateLabels(map[string]string{"b ": "x", "a": "-", "c": "ok"})
	if err == nil || !strings.Contains(err.Error(), `label "a": label value "-"`) || !strings.Contains(err.Error(), `label key "b "`) || strings.Contains(err.Error(), "ok") {
		t.Errorf("got %v", err)
	}
}

// compareWithKubernetes checks that text is accepted if and only if Kubernetes accepts it, and then means the same.
func compareWithKubernetes(t *testing.T, text string) {
	t.Helper()
	ours, err := Parse(text)
	theirs, theirErr := labels.Parse(text)
	if theirErr == nil {
		requirements, _ := theirs.Requirements()
		for _, r := range requirements {
			if r.Operator() == selection.GreaterThan || r.Operator() == selection.LessThan {
				return // left out on purpose
			}
		}
	}
	if (err == nil) != (theirErr == nil) {
		t.Fatalf("%q: %v, kubernetes: %v", text, err, theirErr)
	}
	if err != nil {
		return
	}
	if again, err := Parse(ours.String()); err != nil || again.String() != ours.String() {
		t.Fatalf("%q: %q reads back as %q, %v", text, ours, again, err)
	}
	canonical, err := labels.Parse(ours.String())
	if err != nil {
		t.Fatalf("%q: kubernetes refuses the canonical text %q: %v", text, ours, err)
	}
	// Label sets around the selector's own keys and values.
	sets := []labels.Set{nil, {"other": "x"}}
	for _, r := range ours.Requirements() {
		sets = append(sets, labels.Set{r.Key: ""}, labels.Set{r.Key: "other"})
		for _, value := range r.Values {
			sets = append(sets, labels.Set{r.Key: value})
		}
	}
	all, last := labels.Set{}, labels.Set{}
	for _, r := range ours.Requirements() {
		all[r.Key], last[r.Key] = "", ""
		if len(r.Values) > 0 {
			all[r.Key], last[r.Key] = r.Values[0], r.Values[len(r.Values)-1]
		}
	}
	for _, set := range append(sets, all, last) {
		if got, want := ours.Matches(set), theirs.Matches(set); got != want || canonical.Matches(set) != want {
			t.Fatalf("%q matches %v: %v, kubernetes: %v, as %q: %v", text, set, got, want, ours, canonical.Matches(set))
		}
	}
}

var selectorSeeds = []string{
	"", "a", "!a", "a=b", "a==b", "a!=b", "a in (b,c)", "a notin (b,c)", "a in ()", "a in (,)", "a in (b,)", "a=,b!=", "a , !b , c in ( d ,e )", "in in (in)", "notin",
	"a>1", "a<1", "a=b=c", "a,,b", "a b", "!a=b", "a!b", "a=!b", "a in b", "a in (b", "x.io/a in (b)", "a=-", "!!a", "a=\x00", "a\t=\r\nb", "ä=b", "a in (b))", "(a)",
	"env=prod,region in (eu,us),!legacy",
}

func FuzzParse(f *testing.F) {
	for _, seed := range selectorSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// Kubernetes' lexer takes a NUL for the end; here it is a character that no label has.
		if len(text) <= MaxText && !strings.Contains(text, "\x00") {
			compareWithKubernetes(t, text)
		}
	})
}

func FuzzValidate(f *testing.F) {
	for _, seed := range append([]string{"example.com/a", "a/b/c", "A.b/c", "/", "a/", strings.Repeat("a", 64), strings.Repeat("a.", 126) + "a/x", strings.Repeat("a", 254) + "/x"}, selectorSeeds...) {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		_, theirs := labels.NewRequirement(key, selection.In, []string{value})
		ours := errors.Join(ValidateKey(key), ValidateValue(value))
		if (ours == nil) != (theirs == nil) {
			t.Fatalf("%q=%q: %v, kubernetes: %v", key, value, ours, theirs)
		}
	})
}
