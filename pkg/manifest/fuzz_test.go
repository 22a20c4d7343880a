package manifest

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// manifestSeeds are what parsers stumble over.
var manifestSeeds = []string{
	"",
	"---\n---\n# c\n...\n",
	configMap("a", "data: {x: yes, n: 010, o: 1_000, t: 2001-01-01, f: 1.50, e: .5e-7, i: 9007199254740993, h: 0x1F}\n"),
	configMap("a", "data:\n  i: 18446744073709551615\n  j: 18446744073709551616\n  k: 1e999\n  l: .inf\n  m: -0.0\n"),
	configMap("a", "") + "---\n" + configMap("b", "  namespace: n\n") + "---\n" + configMap("a", ""),
	configMap("a", "data:\n  x: 1\n  x: 2\n"),
	configMap("a", "x: &x {b: [1, 2]}\ny: *x\nz: {<<: *x, c: 1}\nw: [*x, *x]\n"),
	configMap("a", "x: &x [*x]\n"),
	configMap("a", "x: {<<: [{a: 1}, {b: 2}], <<: 3}\n"),
	configMap("a", "x: |\n    text\n  more: >-\n   folded\n   text\n\n   ---\n"),
	configMap("a", "x: !!binary aGk=\ny: !!str 1\nz: !env HOME\n? [k]\n: v\n1.5: x\nyes: y\n"),
	"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: a}}, null, 1, {kind: List, items: []}]}",
	`{"apiVersion":"v1","kind":"ConfigMapList","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"},"data":{"x":"\ud83d\ude00\u2028<"}}]}`,
	`{"apiVersion":"v1","kind":"X","metadata":{"name":"a","name":"b"},"n":[1.0,1e2,-0,1e400]}` + "\n{}",
	"apiVersion: v1\nkind: Pod\nmetadata:\n  generateName: x-\n  labels: {a: 1}\n  managedFields: [{}]\nstatus: {}\n",
	strings.ReplaceAll("\ufeff---\n"+configMap("a", "data:\n  x: |\n    1\n    2\n"), "\n", "\r\n"),
	"a: 1\n\tb: 2\n\t- c",
	"%YAML 1.1\n%TAG ! tag:x,2000:\n---\n" + configMap("a", "") + "--- # c\n--- >\n  x\n",
	"apiVersion: v1\nkind: X\nmetadata: {name: \"a\\nb\"}\nx: \"\\xff\\u2029\\0\"\n",
	"a: '\xff\xfe'\n",
	"\xff\xfea\x00:\x00",
	configMap("a", "x: "+strings.Repeat("[", 70)+strings.Repeat("]", 70)),
	configMap("a", "x: "+strings.Repeat("{a: ", 62)+"1"+strings.Repeat("}", 62)),
}

// fuzzLimits are small enough for the fuzzer to reach.
var fuzzLimits = Limits{Objects: 20, ObjectBytes: 4 << 10, DocumentBytes: 32 << 10, Bytes: 64 << 10}

func FuzzParse(f *testing.F) {
	for _, seed := range manifestSeeds {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, json bool) {
		name := "x.yaml"
		if json {
			name = "x.json"
		}
		s, err := Parse([]File{{Path: name, Data: data}}, fuzzLimits)
		if err != nil {
			checkProblems(t, err, lines(string(data)))
			return
		}
		canonical := s.Canonical()
		if s.Len() > fuzzLimits.Objects || len(canonical) > fuzzLimits.Bytes || bytes.Count(canonical, []byte("\n")) != s.Len() {
			t.Fatalf("%d objects in %d bytes", s.Len(), len(canonical))
		}
		again, err := Decode(canonical, fuzzLimits)
		if err != nil {
			t.Fatalf("decode: %v\n%s", err, canonical)
		}
		if !bytes.Equal(again.Canonical(), canonical) || !reflect.DeepEqual(again.Objects(), s.Objects()) {
			t.Fatalf("decoding gives another set\n%s", canonical)
		}
		for ref := range s.All() {
			if got, err := ParseKey(ref.Key()); err != nil || got != ref {
				t.Fatalf("key %q: %v, %v", ref.Key(), got, err)
			}
			if got, err := ParseRef(ref.String()); err != nil || got != ref {
				t.Fatalf("text %q: %v, %v", ref, got, err)
			}
		}
		// Canonical form is JSON, and so YAML, of the same objects.
		for _, name := range []string{"x.json", "x.yaml"} {
			again, err := Parse([]File{{Path: name, Data: canonical}}, Limits{})
			if err != nil || !bytes.Equal(again.Canonical(), canonical) {
				t.Fatalf("parsing canonical form as %s: %v\n%s", name, err, canonical)
			}
		}
	})
}

func checkProblems(t *testing.T, err error, lines int) {
	t.Helper()
	var problems *Problems
	if !errors.As(err, &problems) || len(problems.Entries) == 0 || len(problems.Entries) > maxProblems {
		t.Fatalf("error is no Problems: %v", err)
	}
	for _, p := range problems.Entries {
		if p.Line < 1 || p.Line > lines || p.Message == "" || len(p.Message) > 300 || !utf8.ValidString(p.Error()) {
			t.Fatalf("problem %+v in %d lines", p, lines)
		}
	}
}

// lines counts lines as YAML 1.1 does, which knows more ends of lines than "\n".
func lines(text string) int {
	n := 1
	for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
		n += strings.Count(text, end)
	}
	return n
}

func FuzzDecode(f *testing.F) {
	for _, seed := range manifestSeeds {
		f.Add([]byte(seed))
		if s, err := Parse([]File{{Path: "x.yaml", Data: []byte(seed)}}, Limits{}); err == nil {
			f.Add(s.Canonical())
			f.Add(bytes.TrimSpace(s.Canonical()))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data, fuzzLimits)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Canonical(), data) {
			t.Fatal("decoding changes the bytes")
		}
		// What Decode accepts is what NewSet makes of the same objects.
		var objects []Object
		for _, obj := range s.All() {
			objects = append(objects, obj.Clone())
		}
		slices.Reverse(objects)
		again, err := NewSet(objects, fuzzLimits)
		if err != nil || !bytes.Equal(again.Canonical(), data) || !reflect.DeepEqual(again.Objects(), s.Objects()) {
			t.Fatalf("the same objects make another set: %v", err)
		}
	})
}

func FuzzDelta(f *testing.F) {
	artifact := mustParse(f, fixture(6)).Canonical()
	delta, err := EncodeDelta(artifact, change(f, append(artifact, artifact...)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil), []byte(nil), []byte(nil), 0)
	f.Add(artifact, change(f, append(artifact, artifact...)), delta, 2*len(artifact))
	f.Add([]byte("base"), []byte("target"), Compress([]byte("target")), 6)
	f.Add([]byte("12345678"), []byte("1234567812345678"), bytes.Repeat(Compress(nil), 3), 1)
	f.Fuzz(func(t *testing.T, base, target, hostile []byte, size int) {
		delta, err := EncodeDelta(base, target)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ApplyDelta(base, delta, len(target))
		if err != nil || !bytes.Equal(got, target) {
			t.Fatalf("delta: got %d bytes, %v, want %d", len(got), err, len(target))
		}
		got, err = Decompress(Compress(target), len(target))
		if err != nil || !bytes.Equal(got, target) {
			t.Fatalf("whole: got %d bytes, %v, want %d", len(got), err, len(target))
		}
		if got, err := ApplyDelta(base, hostile, size); err == nil && len(got) != size || err != nil && got != nil {
			t.Fatalf("hostile delta: %d bytes for %d, %v", len(got), size, err)
		}
		if got, err := Decompress(hostile, size); err == nil && len(got) != size || err != nil && got != nil {
			t.Fatalf("hostile frame: %d bytes for %d, %v", len(got), size, err)
		}
	})
}
