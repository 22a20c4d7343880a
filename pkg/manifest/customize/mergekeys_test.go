package customize

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

var update = flag.Bool("update", false, "write mergekeys.txt anew")

// TestMergeKeys generates the table from the struct tags of k8s.io/api and compares. After an update of that module: go test -run TestMergeKeys -update.
func TestMergeKeys(t *testing.T) {
	want := newGenerator(t).table()
	if *update {
		if err := os.WriteFile("mergekeys.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if mergeKeys != want && !*update {
		t.Error("mergekeys.txt is not what k8s.io/api says: go test ./pkg/manifest/customize -run TestMergeKeys -update")
	}
}

// generator finds the types that merge lists in any way, or lead to some that do.
type generator struct {
	t *testing.T
	// merging tells of a struct whether it is among them; one that is being looked at is taken for none, which ends recursion.
	merging map[reflect.Type]bool
	kinds   map[schema.GroupVersionKind]reflect.Type
}

func newGenerator(t *testing.T) *generator {
	g := &generator{t: t, merging: map[reflect.Type]bool{}, kinds: map[schema.GroupVersionKind]reflect.Type{}}
	for gvk, typ := range scheme.Scheme.AllKnownTypes() {
		if f, ok := typ.FieldByName("ObjectMeta"); ok && f.Type == reflect.TypeFor[metav1.ObjectMeta]() && gvk.Version != "__internal" {
			g.kinds[gvk] = typ
		}
	}
	return g
}

func (g *generator) table() string {
	var b strings.Builder
	b.WriteString("# Generated from the struct tags of k8s.io/api by TestMergeKeys; do not edit.\n")
	gvks := make([]schema.GroupVersionKind, 0, len(g.kinds))
	for gvk := range g.kinds {
		gvks = append(gvks, gvk)
	}
	slices.SortFunc(gvks, func(a, b schema.GroupVersionKind) int { return strings.Compare(kindKey(a), kindKey(b)) })
	types := map[reflect.Type]bool{}
	for _, gvk := range gvks {
		fmt.Fprintf(&b, "kind %s %s\n", kindKey(gvk), typeName(g.kinds[gvk]))
		g.collect(g.kinds[gvk], types)
	}
	sorted := make([]reflect.Type, 0, len(types))
	for typ := range types {
		sorted = append(sorted, typ)
	}
	slices.SortFunc(sorted, func(a, b reflect.Type) int { return strings.Compare(typeName(a), typeName(b)) })
	for _, typ := range sorted {
		fmt.Fprintf(&b, "type %s\n", typeName(typ))
		for _, f := range g.fields(typ) {
			b.WriteString(f.line())
		}
	}
	return b.String()
}

func kindKey(gvk schema.GroupVersionKind) string {
	return gvk.GroupVersion().String() + "/" + gvk.Kind
}

// typeName is a type's name, with the last two parts of its package's path, which tell all of them apart.
func typeName(typ reflect.Type) string {
	dir, version := path.Split(typ.PkgPath())
	return path.Base(dir) + "/" + version + "." + typ.Name()
}

// field is a line of the table.
type field struct {
	name       string
	typ        reflect.Type // of the values that matter, nil if none
	strategies string
	key        string
}

func (f field) line() string {
	name := "-"
	if f.typ != nil {
		name = typeName(f.typ)
	}
	return strings.TrimRight(fmt.Sprintf("\t%s %s %s %s", f.name, name, f.strategies, f.key), " ") + "\n"
}

func (g *generator) collect(typ reflect.Type, into map[reflect.Type]bool) {
	if into[typ] {
		return
	}
	into[typ] = true
	for _, f := range g.fields(typ) {
		if f.typ != nil {
			g.collect(f.typ, into)
		}
	}
}

// merges tells whether there is anything to say of a struct.
func (g *generator) merges(typ reflect.Type) bool {
	known, ok := g.merging[typ]
	if !ok {
		g.merging[typ] = false
		known = len(g.fields(typ)) > 0
		g.merging[typ] = known
	}
	return known
}

// fields are those of a struct, and of the structs that it embeds, that merge lists or lead to some that do.
func (g *generator) fields(typ reflect.Type) []field {
	var out []field
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		elem := f.Type
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
			elem = elem.Elem()
		}
		if name == "" && f.Anonymous && elem.Kind() == reflect.Struct {
			out = append(out, g.fields(elem)...)
			continue
		}
		line := field{name: name, strategies: f.Tag.Get("patchStrategy"), key: f.Tag.Get("patchMergeKey")}
		switch {
		case name == "" || name == "-" || name == "status": // bundles hold no status
			continue
		case elem.Kind() == reflect.Struct && g.merges(elem):
			line.typ = elem
		case elem.Kind() == reflect.Map && elem.Elem().Kind() == reflect.Struct && g.merges(elem.Elem()):
			g.t.Errorf("%s.%s is a map of structs that merge lists, for which the table has no form", typ, f.Name)
		}
		if line.key != "" && line.strategies == "" {
			line.key = "" // a key without a strategy has no effect
		}
		if line.typ != nil || line.strategies != "" {
			out = append(out, line)
		}
	}
	slices.SortFunc(out, func(a, b field) int { return cmp.Compare(a.name, b.name) })
	return out
}
