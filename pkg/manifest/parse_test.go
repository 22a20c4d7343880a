package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// configMap returns a small manifest.
func configMap(name, rest string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n" + rest
}

func TestParseFindsObjects(t *testing.T) {
	const a, b = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}` + "\n", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}` + "\n"
	tests := []struct {
		name  string
		files []File
		want  string
	}{
		{name: "no files"},
		{name: "nothing in them", files: []File{{"a.yaml", nil}, {"b.yaml", []byte("# only\n---\n\n---\n# comments\n...\n--- # and markers\n")}, {"c.json", []byte(" \n")}}},
		{name: "null documents", files: []File{{"a.yaml", []byte("---\nnull\n---\n~\n--- !!null\n")}, {"b.json", []byte("null null")}}},
		{name: "documents", files: []File{{"a.yaml", []byte("# c\n---\n" + configMap("b", "") + "--- # next\n" + configMap("a", "") + "---\n")}}, want: a + b},
		{name: "document end markers", files: []File{{"a.yaml", []byte(configMap("a", "") + "...\n---\n" + configMap("b", "") + "...\n")}}, want: a + b},
		{name: "content on the marker's line", files: []File{{"a.yaml", []byte("--- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n--- \n" + configMap("b", ""))}}, want: a + b},
		{name: "directives", files: []File{{"a.yaml", []byte("%YAML 1.1\n---\n" + configMap("a", ""))}}, want: a},
		{name: "several files", files: []File{{"b.yml", []byte(configMap("b", ""))}, {"a.yaml", []byte(configMap("a", ""))}}, want: a + b},
		{name: "windows", files: []File{{"a.yaml", []byte("\xef\xbb\xbf" + strings.ReplaceAll("---\n"+configMap("a", "")+"---\n"+configMap("b", ""), "\n", "\r\n"))}}, want: a + b},
		{name: "json", files: []File{{"a.json", []byte("\xef\xbb\xbf" + a + b)}}, want: a + b},
		{name: "json in yaml", files: []File{{"a.yaml", []byte(a + "---\n" + b)}, {"b.yml", []byte("# is a comment in YAML only\n" + strings.ReplaceAll(a, `"a"`, `"0a"`))}},
			want: strings.ReplaceAll(a, `"a"`, `"0a"`) + a + b},
		{name: "json one after the other in yaml", files: []File{{"a.yaml", []byte(a + b)}}, want: a + b},
		{name: "flow style", files: []File{{"a.yaml", []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: a,},}")}}, want: a},
		{name: "json escapes", files: []File{{"a.yaml", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"\ud83d\ude00\/"}}`)}},
			want: `{"apiVersion":"v1","data":{"x":"😀/"},"kind":"ConfigMap","metadata":{"name":"a"}}` + "\n"},
		{name: "list", files: []File{{"a.yaml", []byte("apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n- " +
			"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n")}}, want: a + b},
		{name: "typed list", files: []File{{"a.json", []byte(`{"kind":"ConfigMapList","apiVersion":"v1","items":[{"metadata":{"name":"b"}},` + strings.TrimSpace(a) + "]}")}}, want: a + b},
		{name: "list in list", files: []File{{"a.yaml", []byte("{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: [" + a + "]}," + b + "]}")}}, want: a + b},
		{name: "empty list", files: []File{{"a.yaml", []byte("{apiVersion: v1, kind: List, items: []}\n---\n{apiVersion: v1, kind: PodList, items: null}")}}},
		{name: "no list in spite of its kind", files: []File{{"a.yaml", []byte("{apiVersion: acme.io/v1, kind: AllowList, metadata: {name: a}, items: [x]}")}},
			want: `{"apiVersion":"acme.io/v1","items":["x"],"kind":"AllowList","metadata":{"name":"a"}}` + "\n"},
		{name: "marker inside of a text", files: []File{{"a.yaml", []byte(configMap("a", "data:\n  x: |\n    a\n    ---\n    b\n  ---y: z\n"))}},
			want: `{"apiVersion":"v1","data":{"---y":"z","x":"a\n---\nb\n"},"kind":"ConfigMap","metadata":{"name":"a"}}` + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Parse(test.files, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(s.Canonical()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestParseReportsProblems(t *testing.T) {
	label := strings.Repeat("a", 63)
	tests := []struct {
		name, file, text string
		want             []Problem // Message is a part of the message
	}{
		{name: "invalid yaml does not hide what follows", text: "# c\na: [\n---\nb: 'x\n---\nkind: X\n", want: []Problem{
			{Line: 2, Document: 1, Message: "invalid YAML: did not find expected node content"},
			{Line: 4, Document: 1, Message: "invalid YAML: found unexpected end of stream"},
			{Line: 6, Document: 1, Object: "X", Field: "apiVersion", Message: "is missing"},
			{Line: 6, Document: 1, Object: "X", Field: "metadata.name", Message: "is missing"},
		}},
		{name: "tab", text: "a: 1\n\tb: 2\n", want: []Problem{{Line: 2, Document: 1, Message: "found a tab character"}}},
		{name: "indentation", text: "\na: 1\n b: 2\n", want: []Problem{{Line: 3, Document: 1, Message: "mapping values are not allowed"}}},
		{name: "open bracket", text: "a: 1\nb: [1,\n  2\nc: 3\n", want: []Problem{{Line: 2, Document: 1, Message: "did not find expected ',' or ']'"}}},
		{name: "list item among keys", text: "a: 1\n- b\n", want: []Problem{{Line: 2, Document: 1, Message: "did not find expected key"}}},
		{name: "reserved character", text: "a: 1\nb: @x\n", want: []Problem{{Line: 2, Document: 1, Message: "cannot start any token"}}},
		{name: "control character", text: "a: 1\nb: \"\x00\"\n", want: []Problem{{Line: 2, Document: 1, Message: "control characters are not allowed"}}},
		{name: "unknown anchor", text: "a: 1\nb: *x\n", want: []Problem{{Line: 2, Document: 1, Message: "unknown anchor 'x'"}}},
		{name: "first line", text: "}", want: []Problem{{Line: 1, Document: 1, Message: "did not find expected node content"}}},
		{name: "not utf-8", text: "a: 1\nb: 'ä\xff'\n", want: []Problem{{Line: 2, Message: "is not UTF-8"}}},
		{name: "utf-16", text: "\xff\xfea\x00", want: []Problem{{Line: 1, Message: "is not UTF-8"}}},
		{name: "json literal", file: "x.json", text: "{\n\"a\":\n\nnul}", want: []Problem{{Line: 4, Document: 1, Message: "invalid JSON: invalid character"}}},
		{name: "json end", file: "x.json", text: "{\n\"a\": [1,\n\n", want: []Problem{{Line: 2, Document: 1, Message: "invalid JSON: it ends too early"}}},
		{name: "json comma", file: "x.JSON", text: "{\n\"a\": [1,\n]}", want: []Problem{{Line: 3, Document: 1, Message: "invalid JSON: invalid character ']'"}}},
		{name: "yaml in a json file", file: "x.json", text: "a: 1", want: []Problem{{Line: 1, Document: 1, Message: "invalid JSON"}}},
		{name: "json too deep", file: "x.json", text: strings.Repeat("[", 500) + strings.Repeat("]", 500), want: []Problem{{Line: 1, Document: 1, Message: "nests deeper"}}},

		{name: "duplicate key", text: configMap("a", "data:\n  x: 1\n  y: 2\n  x: 3\n"), want: []Problem{
			{Line: 8, Document: 1, Object: "ConfigMap a", Field: "data.x", Message: "is a duplicate key, first set in line 6"}}},
		{name: "duplicate key in a later document", text: "# c\n---\n\n---\n" + configMap("a", "data:\n  x: 1\n  x: 3\n"), want: []Problem{
			{Line: 11, Document: 1, Object: "ConfigMap a", Field: "data.x", Message: "is a duplicate key, first set in line 10"}}},
		{name: "duplicate key in json", file: "x.json", text: "{\"apiVersion\":\"v1\",\n\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\n\"name\":\"b\"}}", want: []Problem{
			{Line: 3, Document: 1, Object: "Pod a", Field: "metadata.name", Message: "is a duplicate key, first set in line 2"}}},
		{name: "duplicate object", text: configMap("a", "  namespace: m\n") + "---\n" + configMap("a", "  namespace: m\n"), want: []Problem{
			{Line: 7, Document: 2, Object: "ConfigMap m/a", Message: "is a duplicate of the object at x.yaml:1", Err: ErrDuplicateObject}}},
		{name: "duplicate of another version", text: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n---\n{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: a}}",
			want: []Problem{{Line: 3, Document: 2, Object: "apps/Deployment a", Message: "is a duplicate", Err: ErrDuplicateObject}}},

		{name: "no map", text: "- a\n---\ntext\n", want: []Problem{
			{Line: 1, Document: 1, Message: "an object must be a map, not a list"}, {Line: 3, Document: 2, Message: "an object must be a map, not a single value"}}},
		{name: "nothing of an object", text: "spec: {}", want: []Problem{{Line: 1, Document: 1, Field: "apiVersion", Message: "is missing"},
			{Line: 1, Document: 1, Field: "kind", Message: "is missing"}, {Line: 1, Document: 1, Field: "metadata.name", Message: "is missing"}}},
		{name: "empty and of wrong type", text: "apiVersion: ''\nkind: 1\nmetadata: []", want: []Problem{
			{Line: 1, Document: 1, Object: "1", Field: "apiVersion", Message: "is empty"}, {Line: 2, Document: 1, Object: "1", Field: "kind", Message: "must be a string, is a number"},
			{Line: 3, Document: 1, Object: "1", Field: "metadata", Message: "must be a map, is a list"}}},
		{name: "api version", text: "{apiVersion: a/b/c, kind: X, metadata: {name: a}}", want: []Problem{{Line: 1, Document: 1, Object: "a/X a", Field: "apiVersion", Message: "version may hold only"}}},
		{name: "api group", text: "{apiVersion: A/v1, kind: X, metadata: {name: a}}", want: []Problem{{Line: 1, Document: 1, Object: "A/X a", Field: "apiVersion", Message: "group must be a DNS name"}}},
		{name: "empty api group", text: "{apiVersion: /v1, kind: X, metadata: {name: a}}", want: []Problem{{Line: 1, Document: 1, Object: "X a", Field: "apiVersion", Message: "empty group"}}},
		{name: "kind", text: "{apiVersion: v1, kind: 1x, metadata: {name: a}}", want: []Problem{{Line: 1, Document: 1, Object: "1x a", Field: "kind", Message: "start with a letter"}}},
		{name: "generated name", text: "apiVersion: v1\nkind: Pod\nmetadata:\n  generateName: a-\n", want: []Problem{
			{Line: 4, Document: 1, Object: "Pod", Field: "metadata.generateName", Message: "each time it is applied"}}},
		{name: "name with slash", text: configMap("a/b", ""), want: []Problem{{Line: 4, Document: 1, Object: "ConfigMap a/b", Field: "metadata.name", Message: `must not contain "/"`}}},
		{name: "name with percent", text: configMap("a%b", ""), want: []Problem{{Line: 4, Document: 1, Object: "ConfigMap a%b", Field: "metadata.name", Message: `must not contain`}}},
		{name: "name of dots", text: configMap("..", ""), want: []Problem{{Line: 4, Document: 1, Object: "ConfigMap ..", Field: "metadata.name", Message: "must not be"}}},
		{name: "name with newline", text: configMap(`"a\nb"`, ""), want: []Problem{{Line: 4, Document: 1, Object: "ConfigMap a\nb", Field: "metadata.name", Message: "control characters"}}},
		{name: "long name", text: configMap(strings.Repeat("a", 254), ""), want: []Problem{
			{Line: 4, Document: 1, Object: "ConfigMap " + strings.Repeat("a", 80) + "…", Field: "metadata.name", Message: "longer than 253"}}},
		{name: "number as name", text: configMap("1", ""), want: []Problem{{Line: 4, Document: 1, Object: "ConfigMap 1", Field: "metadata.name", Message: "must be a string, is a number"}}},
		{name: "name of a namespace", text: "{apiVersion: v1, kind: Namespace, metadata: {name: A.b}}", want: []Problem{
			{Line: 1, Document: 1, Object: "Namespace A.b", Field: "metadata.name", Message: "lower-case letters"}}},
		{name: "namespace", text: configMap("a", "  namespace: a.b\n"), want: []Problem{{Line: 5, Document: 1, Object: "ConfigMap a.b/a", Field: "metadata.namespace", Message: "lower-case letters"}}},
		{name: "long namespace", text: configMap("a", "  namespace: "+label+"a\n"), want: []Problem{
			{Line: 5, Document: 1, Object: "ConfigMap " + label + "a/a", Field: "metadata.namespace", Message: "longer than 63"}}},
		{name: "labels", text: configMap("a", "  labels:\n    app: x\n    y: 1\n    app.kubernetes.io/b: true\n    zz:\n  annotations: [x]\n"), want: []Problem{
			{Line: 8, Document: 1, Object: "ConfigMap a", Field: "metadata.labels[app.kubernetes.io/b]", Message: "must be a string, is a boolean; put it in quotes"},
			{Line: 7, Document: 1, Object: "ConfigMap a", Field: "metadata.labels.true", Message: "must be a string, is a number; put it in quotes"},
			{Line: 9, Document: 1, Object: "ConfigMap a", Field: "metadata.labels.zz", Message: "must be a string, is null"},
			{Line: 10, Document: 1, Object: "ConfigMap a", Field: "metadata.annotations", Message: "must be a map of strings, is a list"}}},
		{name: "large integer", text: configMap("a", "spec:\n  list:\n  - x: 18446744073709551615\n"), want: []Problem{
			{Line: 7, Document: 1, Object: "ConfigMap a", Field: "spec.list[0].x", Message: "does not fit 64 bits"}}},
		{name: "too deep", text: configMap("a", "spec:\n  "+strings.Repeat("[", 64)+strings.Repeat("]", 64)), want: []Problem{
			{Line: 6, Document: 1, Object: "ConfigMap a", Field: "spec" + strings.Repeat("[0]", 63), Message: "nests deeper than 64 levels", Err: ErrTooDeep}}},
		{name: "item of a list", text: "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n    labels: {m: 1}\n- x\n", want: []Problem{
			{Line: 8, Document: 1, Object: "Pod a", Field: "metadata.labels.m", Message: "is a number"}, {Line: 9, Document: 1, Message: "must be a map"}}},
		{name: "lists in lists", text: strings.Repeat("{kind: List, items: [", 5) + strings.Repeat("]}", 5), want: []Problem{
			{Line: 1, Document: 1, Object: "List", Message: "lists nest deeper than 4 levels", Err: ErrTooDeep}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.file == "" {
				test.file = "x.yaml"
			}
			s, err := Parse([]File{{Path: test.file, Data: []byte(test.text)}}, Limits{})
			var problems *Problems
			if !errors.As(err, &problems) || s != nil {
				t.Fatalf("got %v, %v, want Problems", s, err)
			}
			for i, got := range problems.Entries {
				t.Logf("got %s", got.Error())
				if i >= len(test.want) {
					continue
				}
				want := test.want[i]
				want.File = test.file
				if !strings.Contains(got.Message, want.Message) {
					t.Errorf("problem %d: message %q, want %q in it", i, got.Message, want.Message)
				}
				if want.Message = got.Message; !equalProblem(got, want) {
					t.Errorf("problem %d: got  %+v\nwant %+v", i, got, want)
				}
			}
			if len(problems.Entries) != len(test.want) {
				t.Errorf("got %d problems, want %d", len(problems.Entries), len(test.want))
			}
		})
	}
}

func equalProblem(a, b Problem) bool {
	sameErr := errors.Is(a.Err, b.Err)
	a.Err, b.Err = nil, nil
	return sameErr && a == b
}

func TestDuplicateNamesBothFiles(t *testing.T) {
	_, err := Parse([]File{{"a.yaml", []byte("\n" + configMap("x", ""))}, {"b.yaml", []byte(configMap("z", "---\n"+configMap("x", "")))}}, Limits{})
	const want = "b.yaml:6: ConfigMap x: is a duplicate of the object at a.yaml:2"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var text strings.Builder
	for range 50 {
		text.WriteString("- x\n---\n")
	}
	_, err := Parse([]File{{"a.yaml", []byte(text.String())}}, Limits{})
	var problems *Problems
	if !errors.As(err, &problems) || len(problems.Entries) != maxProblems || problems.More != 50-maxProblems {
		t.Fatalf("got %v", err)
	}
	if !strings.HasSuffix(err.Error(), "\nand 30 more") {
		t.Errorf("the text does not say how many more: %s", err)
	}
}

// Errors travel to logs and to people who may not read the content.
func TestProblemsNeverQuoteValues(t *testing.T) {
	const secret = "hunter2"
	for _, text := range []string{
		configMap("a", "data:\n  x: !!int "+secret+"\n"), configMap("a", "data:\n  x: !!binary "+secret+"?\n"), configMap("a", "data: {x: "+secret),
		configMap("a", "data: '"+secret), configMap("a", "  labels: "+secret+"\n"), secret, "- " + secret, `{"data": "` + secret,
		configMap("a", "data:\n  x: "+secret+": x\n"),
	} {
		for _, name := range []string{"a.yaml", "a.json"} {
			_, err := Parse([]File{{name, []byte(text)}}, Limits{})
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %q: got %v", name, text, err)
			}
		}
	}
}

func TestNormalizing(t *testing.T) {
	const text = `
apiVersion: v1
kind: Pod
metadata:
  name: a
  namespace: ""
  uid: 1-2
  resourceVersion: "7"
  generation: 3
  creationTimestamp: null
  deletionTimestamp: 2001-01-01T00:00:00Z
  deletionGracePeriodSeconds: 30
  selfLink: /x
  managedFields: [{manager: x}]
  labels: {}
  annotations:
  finalizers: [a/b]
  ownerReferences: []
  unknown: kept
spec:
  creationTimestamp: null
  status: kept
  metadata: {uid: kept}
status: {phase: Running}
unknown: {kept: true}
`
	const want = `{"apiVersion":"v1","kind":"Pod","metadata":{"finalizers":["a/b"],"name":"a","ownerReferences":[],"unknown":"kept"},` +
		`"spec":{"creationTimestamp":null,"metadata":{"uid":"kept"},"status":"kept"},"unknown":{"kept":true}}` + "\n"
	if got := string(mustParse(t, text).Canonical()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseLimits(t *testing.T) {
	big := configMap("a", "data:\n  x: "+strings.Repeat("a", 1000)+"\n")
	bomb := "apiVersion: v1\nkind: X\nmetadata: {name: a}\na: &a [1,2,3,4,5,6,7,8,9]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 8), c-1)
	}
	// Shares one large text between many objects: little to parse, much to keep.
	list := "kind: List\nx: &x " + strings.Repeat("a", 1000) + "\nitems:\n"
	for i := range 100 {
		list += fmt.Sprintf("- {apiVersion: v1, kind: X, metadata: {name: n%d}, x: *x}\n", i)
	}
	tests := []struct {
		name   string
		text   string
		limits Limits
		want   error
	}{
		{"objects", configMap("a", "---\n"+configMap("b", "")), Limits{Objects: 1}, ErrTooManyObjects},
		{"object", big, Limits{ObjectBytes: 1000}, ErrObjectTooLarge},
		{"object by default", configMap("a", "data:\n  x: "+strings.Repeat("a", defaultObjectBytes)), Limits{}, ErrObjectTooLarge},
		{"document", big, Limits{DocumentBytes: 1000}, ErrDocumentTooLarge},
		{"input", big, Limits{Bytes: 1000}, ErrArtifactTooLarge},
		{"output", list, Limits{Bytes: 50_000}, ErrArtifactTooLarge},
		{"null documents", strings.Repeat("--- ~\n", 1002), Limits{Objects: 1}, ErrTooManyObjects},
		{"invalid documents", strings.Repeat("--- [\n", 1002), Limits{Objects: 1}, ErrTooManyObjects},
		{"alias bomb", bomb, Limits{}, ErrAliasBomb},
		{"alias bomb of large texts", "apiVersion: v1\nkind: X\nmetadata: {name: a}\na: &a " + strings.Repeat("a", 10_000) + "\nb: [" + strings.Repeat("*a,", 1000) + "]", Limits{}, ErrObjectTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Parse([]File{{"a.yaml", []byte(test.text)}}, test.limits)
			if s != nil || !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			t.Log(err)
		})
	}
	// Converting all of an object only to find that it is too large would cost what aliases make of it.
	_, err := Parse([]File{{"a.yaml", []byte(big)}}, Limits{ObjectBytes: 100})
	if want := "ConfigMap a: data.x: makes the object larger than 100 bytes"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Parse(make([]File, 3), Limits{Files: 2}); !errors.Is(err, ErrTooManyFiles) {
		t.Errorf("files: got %v", err)
	}
	if _, err := Parse([]File{{"a.json", []byte(strings.Repeat("null ", 1002))}}, Limits{Objects: 1}); !errors.Is(err, ErrTooManyObjects) {
		t.Errorf("null values: got %v", err)
	}
	if _, err := Parse([]File{{"a.yaml", []byte(strings.Repeat("--- ~\n", 1001))}}, Limits{Objects: 1}); err != nil {
		t.Errorf("some null documents: %v", err)
	}
	if _, err := Parse([]File{{"a.yaml", []byte(big)}}, Limits{ObjectBytes: 1100, DocumentBytes: len(big), Bytes: 1100, Objects: 1, Files: 1}); err != nil {
		t.Errorf("just within the limits: %v", err)
	}
}

// Even when 20 other problems were found before, a limit that ended parsing is listed.
func TestFatalLimitComesFirst(t *testing.T) {
	text := strings.Repeat("- x\n---\n", 30) + configMap("a", "---\n"+configMap("b", ""))
	_, err := Parse([]File{{"a.yaml", []byte(text)}}, Limits{Objects: 1})
	var problems *Problems
	if !errors.As(err, &problems) || len(problems.Entries) != maxProblems || !errors.Is(problems.Entries[0], ErrTooManyObjects) || problems.Entries[0].Line == 0 {
		t.Errorf("got %v", err)
	}
}

func TestNewSet(t *testing.T) {
	object := func(name string, more ...any) Object {
		obj := Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "uid": "x"}, "status": "x"}
		for i := 0; i+1 < len(more); i += 2 {
			obj[more[i].(string)] = more[i+1]
		}
		return obj
	}
	s, err := NewSet([]Object{object("b"), object("a", "x", []any{1.0, json.Number("2"), 0.5, map[string]any{"y": json.Number("1e2")}})}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"x":[1,2,0.5,{"y":100}]}` + "\n" + `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}` + "\n"
	if got := string(s.Canonical()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if again, err := Decode(s.Canonical(), Limits{}); err != nil || !reflect.DeepEqual(again.Objects(), s.Objects()) {
		t.Errorf("the objects are %v, decoded %v, %v", s.Objects(), again.Objects(), err)
	}
	deep := any("x")
	for range maxDepth {
		deep = []any{deep}
	}
	for name, test := range map[string]struct {
		objects []Object
		limits  Limits
		text    string
		err     error
	}{
		"duplicate":     {objects: []Object{object("a"), object("a")}, text: "ConfigMap a: is there twice", err: ErrDuplicateObject},
		"nil":           {objects: []Object{nil}, text: "apiVersion: is missing"},
		"go int":        {objects: []Object{object("a", "x", []any{1})}, text: "ConfigMap a: x[0]: has Go type int"},
		"go map":        {objects: []Object{object("a", "x", map[string]string{})}, text: "has Go type map[string]string"},
		"invalid utf-8": {objects: []Object{object("a", "x", "\xff")}, text: "x: is not valid UTF-8"},
		"invalid key":   {objects: []Object{object("a", "x", map[string]any{"\xff": nil})}, text: "x: has a key that is not valid UTF-8"},
		"infinity":      {objects: []Object{object("a", "x", math.Inf(1))}, text: "x: is not a finite number"},
		"wide integer":  {objects: []Object{object("a", "x", json.Number("18446744073709551615"))}, text: "x: is an integer that does not fit 64 bits"},
		"deep":          {objects: []Object{object("a", "x", deep)}, text: "nests deeper", err: ErrTooDeep},
		"too many":      {objects: []Object{object("a"), object("b"), object("c")}, limits: Limits{Objects: 1}, text: "too many objects: the limit is 1", err: ErrTooManyObjects},
		"too large":     {objects: []Object{object("a")}, limits: Limits{ObjectBytes: 10}, text: "the limit is 10", err: ErrObjectTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSet(test.objects, test.limits)
			if s != nil || err == nil || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "\nand") {
				t.Errorf("got %v, want %q", err, test.text)
			}
			if test.err != nil && !errors.Is(err, test.err) {
				t.Errorf("got %v, want %v", err, test.err)
			}
		})
	}
}

func TestSetKnowsFiles(t *testing.T) {
	a, b, c := Ref{Kind: "ConfigMap", Name: "a"}, Ref{Kind: "ConfigMap", Name: "b"}, Ref{Kind: "ConfigMap", Name: "c"}
	s, err := Parse([]File{{"z/two.yaml", []byte(configMap("c", "") + "---\n" + configMap("a", ""))}, {"one.json", []byte(`{"apiVersion":"v1","kind":"ConfigMapList","items":[{"metadata":{"name":"b"}}]}`)}}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[Ref]string{a: "z/two.yaml", b: "one.json", c: "z/two.yaml", {Kind: "ConfigMap", Name: "d"}: ""} {
		if got := s.File(ref); got != want {
			t.Errorf("%s is from %q, want %q", ref, got, want)
		}
	}
	again, err := Decode(s.Canonical(), Limits{})
	if err != nil || again.Digest() != s.Digest() || again.File(a) != "" || (*Set)(nil).File(a) != "" {
		t.Errorf("a decoded set has file %q and digest %s, not %s, %v", again.File(a), again.Digest(), s.Digest(), err)
	}
}

func TestSetLookups(t *testing.T) {
	s := mustParse(t, fixture(20))
	if s.Len() != 20 || len(s.Objects()) != 20 || !slices.IsSortedFunc(s.Refs(), Ref.Compare) {
		t.Fatalf("%d objects, refs %v", s.Len(), s.Refs())
	}
	n := 0
	for ref, obj := range s.All() {
		got, ok := s.Get(ref)
		if !ok || got.Ref() != ref || obj.Ref() != ref {
			t.Errorf("Get(%s) = %v, %v", ref, got.Ref(), ok)
		}
		n++
	}
	if n != 20 {
		t.Errorf("All yields %d objects", n)
	}
	for range s.All() {
		break
	}
	if _, ok := s.Get(Ref{Kind: "None"}); ok {
		t.Error("Get finds what is not there")
	}
	s.Refs()[0].Name, s.Objects()[0] = "changed", nil
	if s.Refs()[0].Name == "changed" || s.Objects()[0] == nil {
		t.Error("Refs or Objects hand out the set's own slice")
	}
	var none *Set
	if none.Len() != 0 || none.Canonical() != nil || none.Objects() != nil || none.Refs() != nil || none.Stages() != nil || none.Digest() != DigestOf(nil) {
		t.Error("the nil set is not empty")
	}
	if _, ok := none.Get(Ref{}); ok {
		t.Error("the nil set has something")
	}
}
