package manifest

import (
	"encoding/json"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	kubernetes "sigs.k8s.io/yaml"
)

// plainScalars are spellings at the borders between types.
var plainScalars = []string{
	"~", "null", "Null", "NULL", "nUll", "y", "Y", "n", "N", "yes", "Yes", "YES", "yEs", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
	"true", "True", "TRUE", "tRue", "false", "False", "FALSE", "t", "f",
	"0", "-0", "+0", "00", "07", "08", "010", "-010", "0o10", "0x1F", "0X1f", "-0x1f", "0b101", "-0b101", "+0b1", "0b2", "0b-1", "0b+1", "-0b-1", "0x", "0xg", "1_000", "_1", "1_", "1__0",
	"0_7", "+12", "-12", "--1", "+-1", "1e3", "1E3", "1e+3", "1e-3", "1.0", "1.", ".5", "-.5", "+.5", ".5e1", "1.5e300", "1e999", "-1e999", ".", "..", "...x",
	"1.2.3", "1:30", "190:20:30", "1,000", "12e03", "0.1", "0.30000000000000004", "1e21", "1e20", "123456789012345678",
	"9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615", "18446744073709551616",
	"2001-01-01", "2001-01-01T00:00:00Z", "2001-12-14 21:59:43.10", "2001-1-1", "2001-13-45", "=", "<", "a", "1a", "0x1p4", "Infinity", "NaN", "inf", "+.", "-.", "0.0", "-0.0",
	"1e6", "1e-7", "4.35", "100000000000000000000", "12345678901234567890", "4.6744073709551616e16", "-4.6744073709551616e16", "9.223372036854775e18", "046744073709551616", "089",
}

// lossy are integers that Kubernetes rounds and this package refuses.
var lossy = map[string]bool{"18446744073709551615": true, "12345678901234567890": true, "046744073709551616": true}

// TestScalarsAgreeWithKubernetes compares with the library that kubectl reads YAML with.
func TestScalarsAgreeWithKubernetes(t *testing.T) {
	for _, s := range plainScalars {
		compareScalar(t, s)
	}
}

// compareScalar checks one plain scalar against sigs.k8s.io/yaml.
func compareScalar(t *testing.T, s string) {
	t.Helper()
	doc := "a: " + s + "\n"
	theirs, err := kubernetes.YAMLToJSON([]byte(doc))
	if err != nil {
		t.Errorf("%q: kubernetes: %v", s, err)
		return
	}
	ours, message := convertText(t, doc)
	if lossy[s] {
		if !strings.Contains(message, "lose digits") {
			t.Errorf("%q: got %s %s, want it to be refused", s, ours, message)
		}
		return
	}
	if message != "" {
		t.Errorf("%q: refused: %s; kubernetes makes it %s", s, message, theirs)
		return
	}
	// Both go through Kubernetes' rule for numbers in JSON: an int64 if it can be, else a float64.
	if canonicalJSON(t, theirs) != ours {
		t.Errorf("%q: got %s, kubernetes makes it %s", s, ours, theirs)
	}
}

// convertText returns the canonical form of a YAML document that need not be an object of Kubernetes, and messages about it.
func convertText(t *testing.T, text string) (canonical, messages string) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	var found []string
	c := &converter{objectMax: 1 << 20, report: func(_ int, path fieldPath, message string, _ error) {
		found = append(found, strings.TrimSpace(path.String()+" "+message))
	}}
	obj, _ := c.object(doc.Content[0])
	return string(appendObject(nil, obj)), strings.Join(found, "; ")
}

func canonicalJSON(t *testing.T, data []byte) string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	var v map[string]any
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if !convertNumbers(v) {
		t.Fatalf("number out of range in %s", data)
	}
	return string(appendObject(nil, v))
}

func TestConvert(t *testing.T) {
	deep := func(n int) string { return "a: " + strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, text string
		want       string
		message    string // part of it; "" if there must be none
	}{
		{name: "quoted", text: `{a: "yes", b: '1', c: "~", d: ""}`, want: `{"a":"yes","b":"1","c":"~","d":""}`},
		{name: "blocks", text: "a: |\n  1\nb: >-\n  yes\n", want: `{"a":"1\n","b":"yes"}`},
		{name: "tags", text: `{a: !!str 1, b: !!int "3", c: !!float 2, d: !!bool yes, e: !!null "", f: !!binary aGk=, g: !!str ~, h: !!timestamp 2001-01-01}`,
			want: `{"a":"1","b":3,"c":2,"d":true,"e":null,"f":"hi","g":"~","h":"2001-01-01"}`},
		{name: "collection tags", text: "!!map {a: !!seq [1]}", want: `{"a":[1]}`},
		{name: "tag mismatch", text: "a: !!int x", message: "a does not have the form that its tag !!int asks for"},
		{name: "float is no int", text: "a: !!int 1.5", message: "tag !!int"},
		{name: "own tag", text: "a: !env HOME", message: "a has the tag !env"},
		{name: "own collection tag", text: "a: !env [1]", message: "a has the tag !env"},
		{name: "set tag", text: "a: !!set {x}", message: "a has the tag !!set"},
		{name: "binary that is no text", text: "a: !!binary /w==", message: "not UTF-8"},
		{name: "binary that is no base64", text: "a: !!binary '?'", message: "base64"},
		{name: "infinity", text: "a: .inf", message: "finite"},
		{name: "not a number", text: "a: .NaN", message: "finite"},
		{name: "keys", text: "{1: a, yes: b, '1.50': c, 0x1_0: d, 'null': e}", want: `{"1":"a","1.50":"c","16":"d","null":"e","true":"b"}`},
		{name: "float as key", text: "{1.30: a}", message: "has a key that is a number but not an integer; put it in quotes"},
		{name: "exponent as key", text: "{1e3: a}", message: "has a key that is a number but not an integer"},
		{name: "keys that become equal", text: "{1: a, '1': b}", message: "1 is a duplicate key, first set in line 1"},
		{name: "null key", text: "{~: a}", message: "has a key that is null"},
		{name: "map as key", text: "{{a: b}: c}", message: "has a key that is not a string"},
		{name: "duplicate key", text: "b:\n  a: 1\n  c: 2\n  a: 3", message: "b.a is a duplicate key, first set in line 2"},
		{name: "alias", text: "{a: &x {b: 1}, c: *x, d: [*x]}", want: `{"a":{"b":1},"c":{"b":1},"d":[{"b":1}]}`},
		{name: "alias as key", text: "{a: &x b, *x : c}", want: `{"a":"b","b":"c"}`},
		{name: "anchor redefined", text: "[&x 1]: 0", message: "not a string"},
		{name: "merge", text: "{a: &x {b: 1, c: 2}, d: {c: 3, <<: *x}, e: {<<: *x, c: 4}}", want: `{"a":{"b":1,"c":2},"d":{"b":1,"c":3},"e":{"b":1,"c":4}}`},
		{name: "merge of several", text: "{a: {<<: [{b: 1}, {b: 2, c: 3}]}}", want: `{"a":{"b":1,"c":3}}`},
		{name: "merge in merge", text: "{a: {<<: {<<: {b: 1}}}}", want: `{"a":{"b":1}}`},
		{name: "merge of no map", text: "{a: {<<: 1}}", message: `"<<" must be a map`},
		{name: "two merges", text: "{a: {<<: {b: 1}, <<: {c: 1}}}", message: "a[<<] is a duplicate key"},
		{name: "quoted merge key", text: `{a: {"<<": 1}}`, want: `{"a":{"<<":1}}`},
		{name: "self reference", text: "a: &x [*x]", message: "inside of itself"},
		{name: "self merge", text: "a: &x {<<: *x}", message: "inside of itself"},
		{name: "deep enough", text: deep(maxDepth - 1), want: `{"a":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + "}"},
		{name: "too deep", text: deep(maxDepth), message: "nests deeper than 64 levels"},
		{name: "too deep in merges", text: strings.Repeat("{<<: ", 200) + "{}" + strings.Repeat("}", 200), message: "nests deeper than 64 levels"},
		{name: "too deep in lists of merges", text: "<<: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), message: "nests deeper than 64 levels"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, message := convertText(t, test.text)
			switch {
			case test.message == "" && (message != "" || got != test.want):
				t.Errorf("got %s (%s), want %s", got, message, test.want)
			case test.message != "" && !strings.Contains(message, test.message):
				t.Errorf("message is %q, want %q in it", message, test.message)
			}
		})
	}
}

func TestJSONNumbers(t *testing.T) {
	tests := []struct{ in, want string }{
		{"0", "0"}, {"-0", "0"}, {"-0.0", "0"}, {"1.0", "1"}, {"1e2", "100"}, {"1.5", "1.5"}, {"1E-7", "1e-7"}, {"1e21", "1e+21"}, {"1e20", "100000000000000000000"},
		{"9223372036854775807", "9223372036854775807"}, {"-9223372036854775808", "-9223372036854775808"},
		{"4.6744073709551616e16", "46744073709551620"}, {"-9.223372036854775808e18", "-9223372036854776000"}, {"9.223372036854775e18", "9223372036854775000"},
		{"9007199254740993", "9007199254740993"}, // more than float64 can tell
		{"9223372036854775808", "9223372036854776000"}, {"18446744073709551616", "18446744073709552000"}, {"18446744073709552000", "18446744073709552000"},
		{"18446744073709551615", ""}, {"9223372036854775809", ""}, {"1e999", ""}, {"-1e999", ""},
	}
	for _, test := range tests {
		v, message := parseNumber(test.in)
		if test.want == "" {
			if message == "" {
				t.Errorf("%s became %v, want it to be refused", test.in, v)
			}
			continue
		}
		if got := string(appendValue(nil, v)); message != "" || got != test.want {
			t.Errorf("%s became %s (%s), want %s", test.in, got, message, test.want)
		}
	}
}
