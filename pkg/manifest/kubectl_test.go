package manifest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	kubernetes "sigs.k8s.io/yaml"
)

// FuzzScalar compares how plain scalars are read with the library that kubectl uses.
func FuzzScalar(f *testing.F) {
	for _, s := range plainScalars {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Trim(s, "+-._:0123456789abcdefinoxyABEFINOTUXYltrusLRS~") != "" {
			t.Skip("certainly a text")
		}
		theirs, err := kubernetes.YAMLToJSON([]byte("a: " + s + "\n"))
		if err != nil || !bytes.HasPrefix(theirs, []byte(`{"a":`)) || strings.ContainsAny(string(theirs[5:6]), "{[") {
			t.Skip("not a scalar")
		}
		ours, message := convertText(t, "a: "+s+"\n")
		if message != "" {
			if !strings.Contains(message, "lose digits") {
				t.Fatalf("%q is refused: %s; kubernetes makes it %s", s, message, theirs)
			}
			return
		}
		if theirs := canonicalJSON(t, theirs); theirs != ours {
			t.Fatalf("%q: got %s, kubernetes makes it %s", s, ours, theirs)
		}
	})
}

// knownDifferences are parts of the messages with which documents are refused that kubectl takes.
var knownDifferences = []string{"lose digits", "finite number", "nests deeper", "a number but not an integer"}

// FuzzDocument compares how whole documents are read. It leaves out what differs on purpose: merge keys, which the other library gets wrong when
// they follow other keys, tags, which it ignores, and ends of lines other than newlines, of which it knows fewer.
func FuzzDocument(f *testing.F) {
	for _, seed := range manifestSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.ContainsAny(text, "!%&*\r\u0085\u2028\u2029\ufeff") {
			t.Skip()
		}
		for _, skip := range []string{"<<", "---", "..."} {
			if strings.Contains(text, skip) {
				t.Skip()
			}
		}
		// As a field of an object, so that any value will do.
		doc := "apiVersion: v1\nkind: X\nmetadata: {name: a}\nfield:\n"
		for line := range strings.Lines(text) {
			doc += " " + line
		}
		theirs, err := kubernetes.YAMLToJSONStrict([]byte(doc))
		if err != nil {
			t.Skip("not valid")
		}
		s, err := Parse([]File{{Path: "x.yaml", Data: []byte(doc)}}, Limits{})
		if err != nil {
			for _, known := range knownDifferences {
				if strings.Contains(err.Error(), known) {
					return
				}
			}
			t.Fatalf("refused: %v\n%s\nkubernetes makes it %s", err, doc, theirs)
		}
		decoder := json.NewDecoder(bytes.NewReader(theirs))
		decoder.UseNumber()
		var obj Object
		if err := decoder.Decode(&obj); err != nil {
			t.Fatal(err)
		}
		convertNumbers(map[string]any(obj))
		normalize(obj)
		if want := string(appendObject(nil, obj)) + "\n"; want != string(s.Canonical()) {
			t.Fatalf("%q:\ngot  %skubernetes makes it %s", doc, s.Canonical(), want)
		}
	})
}
