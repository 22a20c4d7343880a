package resource

import (
	"reflect"
	"strings"
	"testing"
)

const shop = "apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: web}\nspec:\n  source:\n    git: {url: https://git.example.com/shop}\n    rendering:\n      helm:\n        values: "

// The values of a chart are whatever it takes, null among them, and are written as they were read.
func TestFreeValues(t *testing.T) {
	documents, err := Decode([]File{{Path: "a.yaml", Data: []byte(shop + "&v {image: {tag: 1.10, port: 0x10}, list: [1, [a], {b: null}], off: false, none: null, day: 2026-01-31, text: '1', fields: {a: b}, kept: 1234567890123}\n" +
		"    variants: [{name: a, values: *v}]\n")}})
	if err != nil {
		t.Fatal(err)
	}
	bundle := documents[0].Resource.GetBundle()
	want := map[string]any{"image": map[string]any{"tag": 1.1, "port": 16.0}, "list": []any{1.0, []any{"a"}, map[string]any{"b": nil}}, "off": false, "none": nil,
		"day": "2026-01-31", "text": "1", "fields": map[string]any{"a": "b"}, "kept": 1234567890123.0}
	if got := bundle.Spec.Source.Rendering.Helm.Values.AsMap(); !reflect.DeepEqual(got, want) {
		t.Errorf("read as %v", got)
	}
	if got := bundle.Spec.Source.Variants[0].Values.AsMap(); !reflect.DeepEqual(got, want) {
		t.Errorf("by an alias read as %v", got)
	}
	value, err := Value(bundle)
	if err != nil {
		t.Fatal(err)
	}
	text, err := YAML(value)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode([]File{{Path: "a.yaml", Data: text}})
	if err != nil || !reflect.DeepEqual(again[0].Resource.GetBundle().Spec.Source.Rendering.Helm.Values.AsMap(), want) {
		t.Errorf("read again, %v:\n%s", err, text)
	}
}

func TestFreeProblems(t *testing.T) {
	for text, want := range map[string]string{
		"[a]":               "a.yaml:9: Bundle web: spec.source.rendering.helm.values: must be a mapping, is a list",
		"{a: {<<: {b: 1}}}": `values.a: merges are not taken`,
		"{a: .inf}":         `values.a: is no number that JSON has`,
		"{a: 1, a: 2}":      `values.a: is there twice`,
	} {
		if _, err := Decode([]File{{Path: "a.yaml", Data: []byte(shop + text + "\n")}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	deep := shop + strings.Repeat("{a: ", 70) + "1" + strings.Repeat("}", 70) + "\n"
	if _, err := Decode([]File{{Path: "a.yaml", Data: []byte(deep)}}); err == nil || !strings.Contains(err.Error(), "nested deeper than 64") {
		t.Errorf("nested 70 times: %v", err)
	}
}
