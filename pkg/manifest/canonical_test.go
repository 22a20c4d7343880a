package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// Digests are stored and compared between versions: this one must never change.
func TestCanonicalFormIsFrozen(t *testing.T) {
	const text = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: prod, labels: {b: "2", a: "1"}}
spec: {f: 1.50, i: 9007199254740993, e: 1e-9, n: null, t: yes, s: "<é\u2028\t\"\\>\x07", l: [], m: {}}
`
	s := mustParse(t, text)
	const want = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"a":"1","b":"2"},"name":"web","namespace":"prod"},` +
		`"spec":{"e":1e-9,"f":1.5,"false":null,"i":9007199254740993,"l":[],"m":{},"s":"<é\u2028\t\"\\>\u0007","t":true}}` + "\n"
	if got := string(s.Canonical()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := s.Digest(), Digest("sha256:6aa62fe2c5396d86fce15845a7777d6822a109a20684dc01438bdd86be825154"); got != want {
		t.Errorf("digest is %s, want %s", got, want)
	}
}

func TestEqualContentHasEqualBytes(t *testing.T) {
	base := mustParse(t, fixture(30)).Canonical()
	docs := strings.Split(fixture(30), "---\n")
	slices.Reverse(docs)

	var files []File
	for i, doc := range docs {
		files = append(files, File{Path: string(rune('a'+i%26)) + ".yaml", Data: []byte("# comment\n" + doc + "\n# more\n---\n")})
	}
	variants := map[string][]File{
		"files":   files,
		"windows": {{"x.yaml", []byte(strings.ReplaceAll(strings.Join(docs, "---\n"), "\n", "\r\n"))}},
	}
	var list []any
	for _, obj := range mustParse(t, fixture(30)).Objects() {
		list = append(list, map[string]any(obj))
	}
	slices.Reverse(list)
	indented, err := json.MarshalIndent(map[string]any{"apiVersion": "v1", "kind": "List", "items": list}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	variants["json list"] = []File{{"x.json", indented}}

	for name, files := range variants {
		s, err := Parse(files, Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(s.Canonical(), base) {
			t.Errorf("%s: other bytes", name)
		}
	}
	other := mustParse(t, strings.Replace(fixture(30), "replicas: ", "replicas: 1", 1))
	if bytes.Equal(other.Canonical(), base) || other.Digest() == DigestOf(base) {
		t.Error("different content has equal bytes")
	}
}

// marshal is encoding/json without HTML escaping.
func marshal(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestEncodingAgreesWithEncodingJSON(t *testing.T) {
	var all strings.Builder
	for r := range rune(0x2100) {
		all.WriteRune(r)
	}
	all.WriteString("😀\U0010FFFF\uFFFD")
	floats := []any{0.5, -0.5, 1e-6, 9.99e-7, 1e-7, 1e-10, 1.5e300, -1e21, 1e20, 1e21, 1.2345678901234567e+22, math.MaxFloat64, math.SmallestNonzeroFloat64, 9223372036854775808.0, 0.1, 1.0 / 3}
	m := map[string]any{}
	for _, key := range strings.Fields("z y x w v u t s r q p o n m l k j i h g f e d c b a B A é aa a-b a.b 10 9") {
		m[key] = key
	}
	for _, v := range []any{all.String(), "", nil, true, false, int64(0), int64(math.MaxInt64), int64(math.MinInt64), floats, []any{}, map[string]any{}, m,
		map[string]any{"a": []any{map[string]any{"\n": nil}, "b"}}} {
		if got, want := string(appendValue(nil, v)), marshal(t, v); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestFloatsThatAreIntegers(t *testing.T) {
	for f, want := range map[float64]string{1: "1", -3: "-3", 1e15: "1000000000000000", math.Copysign(0, -1): "0", 4.6744073709551616e16: "46744073709551620", -(1 << 63): "-9223372036854776000"} {
		if got := string(appendValue(nil, f)); got != want {
			t.Errorf("%v is written %s, want %s", f, got, want)
		}
	}
}

func TestDecodeIsTheInverse(t *testing.T) {
	for _, text := range []string{"", "# none", fixture(1), fixture(50), "{apiVersion: v1, kind: X, metadata: {name: a}, f: [1.5, 1e30, -0.0, 18446744073709551616, {}], u: \"\\u2028é\"}"} {
		s := mustParse(t, text)
		again, err := Decode(s.Canonical(), Limits{})
		if err != nil {
			t.Errorf("decode: %v", err)
			continue
		}
		if !bytes.Equal(again.Canonical(), s.Canonical()) || !slices.Equal(again.Refs(), s.Refs()) {
			t.Error("decoding gives another set")
		}
		for ref, obj := range s.All() {
			other, ok := again.Get(ref)
			if got, want := string(appendObject(nil, other)), string(appendObject(nil, obj)); !ok || got != want {
				t.Errorf("%s became %s, was %s", ref, got, want)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const a = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}` + "\n"
	const b = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}` + "\n"
	if s, err := Decode([]byte(a+b), Limits{}); err != nil || s.Len() != 2 {
		t.Fatalf("what the cases below are made from is refused: %v", err)
	}
	with := func(field string) string { return strings.Replace(a, `,"kind"`, `,`+field+`,"kind"`, 1) }
	if _, err := Decode([]byte(with(`"d":1.5`)), Limits{}); err != nil {
		t.Fatalf("a number is refused: %v", err)
	}
	tests := []struct {
		name, text string
		limits     Limits
		want       error
	}{
		{"no newline at the end", strings.TrimSpace(a), Limits{}, ErrNotCanonical},
		{"empty line", a + "\n" + b, Limits{}, ErrNotCanonical},
		{"only a newline", "\n", Limits{}, ErrNotCanonical},
		{"order", b + a, Limits{}, ErrNotCanonical},
		{"twice", a + a, Limits{}, ErrNotCanonical},
		{"windows", strings.ReplaceAll(a, "\n", "\r\n"), Limits{}, ErrNotCanonical},
		{"space", strings.ReplaceAll(a, ":", ": "), Limits{}, ErrNotCanonical},
		{"order of keys", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}` + "\n", Limits{}, ErrNotCanonical},
		{"duplicate key", with(`"apiVersion":"v1"`), Limits{}, ErrNotCanonical},
		{"escape", strings.Replace(a, `"a"`, `"\u0061"`, 1), Limits{}, ErrNotCanonical},
		{"html escape", with(`"d":"\u003c"`), Limits{}, ErrNotCanonical},
		{"line separator that is not escaped", with("\"d\":\"\u2028\""), Limits{}, ErrNotCanonical},
		{"invalid utf-8", with("\"d\":\"\xff\""), Limits{}, ErrNotCanonical},
		{"lone surrogate", with(`"d":"\ud800"`), Limits{}, ErrNotCanonical},
		{"float that is an integer", with(`"d":1.0`), Limits{}, ErrNotCanonical},
		{"exponent", with(`"d":1e2`), Limits{}, ErrNotCanonical},
		{"negative zero", with(`"d":-0`), Limits{}, ErrNotCanonical},
		{"digits that are lost", with(`"d":18446744073709551615`), Limits{}, ErrNotCanonical},
		{"float with too many digits", with(`"d":0.30000000000000000001`), Limits{}, ErrNotCanonical},
		{"number out of range", with(`"d":1e999`), Limits{}, ErrNotCanonical},
		{"status", strings.Replace(a, "}}", `},"status":{}}`, 1), Limits{}, ErrNotCanonical},
		{"uid", strings.Replace(a, "}}", `,"uid":"x"}}`, 1), Limits{}, ErrNotCanonical},
		{"empty labels", strings.Replace(a, `"name"`, `"labels":{},"name"`, 1), Limits{}, ErrNotCanonical},
		{"empty namespace", strings.Replace(a, `"a"`, `"a","namespace":""`, 1), Limits{}, ErrNotCanonical},
		{"no name", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}` + "\n", Limits{}, ErrNotCanonical},
		{"no object", "[]\n", Limits{}, ErrNotCanonical},
		{"null", "null\n", Limits{}, ErrNotCanonical},
		{"two values", strings.TrimSpace(a) + b, Limits{}, ErrNotCanonical},
		{"garbage", "{\n", Limits{}, ErrNotCanonical},
		{"too deep", with(`"d":` + strings.Repeat("[", 64) + strings.Repeat("]", 64)), Limits{}, ErrTooDeep},
		{"far too deep", with(`"d":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), Limits{}, ErrNotCanonical},
		{"too many objects", a + b, Limits{Objects: 1}, ErrTooManyObjects},
		{"too large", a + b, Limits{Bytes: len(a+b) - 1}, ErrArtifactTooLarge},
		{"object too large", a + b, Limits{ObjectBytes: len(a) - 2}, ErrObjectTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Decode([]byte(test.text), test.limits)
			if s != nil || !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			t.Log(err)
		})
	}
	if _, err := Decode([]byte(a+b), Limits{Objects: 2, Bytes: len(a + b), ObjectBytes: len(a) - 1}); err != nil {
		t.Errorf("just within the limits: %v", err)
	}
}
