package apply

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// prune takes one config map away as the bundle of apply.
func (e *env) prune(name, uid string, keep bool) Removed {
	e.t.Helper()
	ref := manifest.Ref{Kind: "ConfigMap", Namespace: e.ns, Name: name}
	return e.applier.Prune(e.t.Context(), "web-"+e.ns, []Target{{Ref: ref, Version: "v1", UID: uid, Keep: keep}}, nil)
}

func TestPruneDeletesOnlyWhatIsTheBundles(t *testing.T) {
	e := newEnv(t)
	marked := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {yardarm.dev/bundle: web}, annotations: {yardarm.dev/owner: web-" + e.ns + "}}"
	ours := func() string {
		e.must(nil, configMap("a", "k: ours"))
		return string(e.get(configMap("a", "")).GetUID())
	}
	// anew has the object deleted, and made by somebody else.
	anew := func(object string) {
		resource, _ := e.resource(object)
		if err := resource.Delete(t.Context(), "a", deleteNow); err != nil {
			t.Fatal(err)
		}
		e.create(object)
	}
	for _, c := range []struct {
		name    string
		make    func() (uid string)
		deleted bool
	}{
		{"as it was applied", ours, true},
		{"its UID not known, as after a crash", func() string { ours(); return "" }, true},
		{"made anew by us, the answer lost", func() string {
			uid := ours()
			resource, _ := e.resource(configMap("a", ""))
			if err := resource.Delete(t.Context(), "a", deleteNow); err != nil {
				t.Fatal(err)
			}
			ours()
			return uid
		}, true},
		{"its managedFields emptied", func() string {
			uid := ours()
			e.edit(configMap("a", ""), `{"metadata":{"managedFields":[{}]}}`)
			return uid
		}, true},
		{"made anew by somebody else", func() string { uid := ours(); anew(configMap("a", "k: theirs")); return uid }, false},
		{"made anew with a copy of our marks", func() string { uid := ours(); anew(marked); return uid }, false},
		{"never ours, with a copy of our marks", func() string { e.create(marked); return "" }, false},
		{"given to another bundle", func() string {
			uid := ours()
			e.edit(configMap("a", ""), `{"metadata":{"annotations":{"yardarm.dev/owner":"another"}}}`)
			return uid
		}, false},
	} {
		uid := c.make()
		removed := e.prune("a", uid, false)
		if len(removed.Gone) != 1 || len(removed.Left)+len(removed.Problems) > 0 {
			t.Errorf("%s: %+v", c.name, removed)
		}
		left := e.get(configMap("a", ""))
		if (left == nil) != c.deleted {
			t.Errorf("%s: deleted %v, want %v", c.name, left == nil, c.deleted)
		}
		if left != nil {
			resource, _ := e.resource(configMap("a", ""))
			if err := resource.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestPruneKeeps(t *testing.T) {
	e := newEnv(t)
	for _, c := range []struct {
		name, annotations string
		keep, kept        bool
	}{
		{"unsaid", "a: b", false, false},
		{"by-bundle", "a: b", true, true},
		{"by-object", "yardarm.dev/keep: 'true'", false, true},
		{"let-go", "yardarm.dev/keep: 'false'", true, false},
	} {
		object := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + c.name + ", annotations: {" + c.annotations + "}}\ndata: {k: one}"
		e.must(nil, object)
		uid := e.get(object).GetUID()
		if removed := e.prune(c.name, string(uid), c.keep); len(removed.Gone) != 1 {
			t.Errorf("%s: %+v", c.name, removed)
		}
		after := e.get(object)
		if (after != nil) != c.kept {
			t.Errorf("%s: there is %v, want %v", c.name, after != nil, c.kept)
		}
		if after != nil && (after.GetLabels()[yardarmv1.LabelBundle] != "" || after.GetAnnotations()[yardarmv1.AnnotationOwner] != "" || field(after, "data", "k") != "one") {
			t.Errorf("%s: released as %v", c.name, after)
		}
	}
}

// An object is deleted, or let go, also when the version that it was applied in is served no more and nobody has noticed. Regression: a missing path
// was taken for a missing object, which stayed in the cluster as nobody's.
func TestRemovalInAVersionThatIsServedNoMore(t *testing.T) {
	e := newEnv(t)
	owner := "web-" + e.ns
	for _, c := range []struct {
		name  string
		do    func(Target) bool // the object was found
		there bool
	}{
		{"look", func(target Target) bool { _, exists := e.applier.Look(t.Context(), owner, target); return exists }, true},
		{"prune", func(target Target) bool {
			return len(e.applier.Prune(t.Context(), owner, []Target{target}, nil).Gone) == 1
		}, false},
		{"release", func(target Target) bool {
			return len(e.applier.Release(t.Context(), owner, []Target{target}, nil).Gone) == 1
		}, true},
	} {
		group := c.name + "." + e.ns + ".example"
		widget := func(version string) string {
			return "apiVersion: " + group + "/" + version + "\nkind: Widget\nmetadata: {name: w}"
		}
		versions := func(v1 string) string {
			schema := "schema: {openAPIV3Schema: {type: object}}"
			return "[{name: v1, served: " + v1 + ", storage: false, " + schema + "}, {name: v2, served: true, storage: true, " + schema + "}]"
		}
		definition := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets." + group + "}\nspec:\n  group: " + group +
			"\n  scope: Namespaced\n  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}\n  versions: "
		e.must(nil, definition+versions("true"))
		e.must(nil, widget("v1"))
		old, _ := e.resource(widget("v1"))
		target := Target{Ref: manifest.Ref{Group: group, Kind: "Widget", Namespace: e.ns, Name: "w"}, Version: "v1", UID: string(e.get(widget("v1")).GetUID())}
		e.must(nil, definition+versions("false"))
		e.until("v1 is served no more", func() bool { _, err := old.Get(t.Context(), "w", metav1.GetOptions{}); return unserved(err) })

		if !c.do(target) {
			t.Errorf("%s: it is not found", c.name)
		}
		left := e.get(widget("v2"))
		if (left != nil) != c.there || c.name == "release" && left.GetAnnotations()[yardarmv1.AnnotationOwner] != "" {
			t.Errorf("%s: left as %v", c.name, left)
		}
	}
}
