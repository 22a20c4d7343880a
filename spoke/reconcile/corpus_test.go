package reconcile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// specimen is a bundle of testdata/corpus, in two revisions.
type specimen struct {
	one, two string
	// reason and object are what the second revision is refused for; empty if it is not. The third one is its cure.
	reason, object, three string
}

// specimenOf reads a file. Its comments say how the second revision differs from the first, and what becomes of it:
//
//	# change: "OLD" => "NEW"
//	# then: REASON OBJECT
//	# cure: "OLD" => "NEW"
//
// Without a cure, a revision that is refused is taken back.
// $NS stands for the test's namespace, and $LARGE for a text that makes an object about as large as one can be.
func specimenOf(t *testing.T, path, ns string) specimen {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("$NS", ns, "$LARGE", strings.Repeat("0123456789abcdef", 60<<10)).Replace(string(data))
	changed := func(text, change string) string {
		from, to, _ := strings.Cut(strings.Trim(change, `"`), `" => "`)
		body := strings.Index(text, "apiVersion:")
		out := text[:body] + strings.ReplaceAll(text[body:], from, to)
		if out == text {
			t.Fatalf("%s: nothing is changed by %s", path, change)
		}
		return out
	}
	s := specimen{one: text, two: text, three: text}
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(strings.TrimSpace(line), "# ")
		if !ok {
			break
		}
		if change, ok := strings.CutPrefix(comment, "change: "); ok {
			s.two = changed(text, change)
		}
		if cure, ok := strings.CutPrefix(comment, "cure: "); ok {
			s.three = changed(s.two, cure)
		}
		if then, ok := strings.CutPrefix(comment, "then: "); ok {
			s.reason, s.object, _ = strings.Cut(then, " ")
		}
	}
	return s
}

// Shapes of the real world are applied, changed, left alone while nothing differs, also across a restart, and removed whole.
func TestCorpus(t *testing.T) {
	paths, err := filepath.Glob("testdata/corpus/*.yaml")
	if err != nil || len(paths) < 15 {
		t.Fatalf("%d files: %v", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			e := newFullEnv(t)
			e.liveThrough(specimenOf(t, path, e.ns))
		})
	}
}

func (e *env) liveThrough(c specimen) {
	e.t.Helper()
	const bundle = "corpus"
	quiet := func(s *spoke, what string) {
		e.t.Helper()
		if paths := s.writes.take(); len(paths) > 0 {
			e.t.Errorf("written %s: %v", what, paths)
		}
	}
	s := e.start()
	e.assign(assignment{bundle: bundle, revision: 1, objects: []string{c.one}})
	s.awaitPhase(bundle, yardarmv1.PhaseReady)
	s.writes.take()
	e.reassign(bundle)
	s.awaitPhase(bundle, yardarmv1.PhaseReady)
	quiet(s, "though nothing differs")

	e.assign(assignment{bundle: bundle, revision: 2, objects: []string{c.two}})
	if c.reason != "" {
		s.await(bundle, "the change is refused with "+c.reason, func(r *yardarmv1.Report) bool {
			p := problemOf(r, c.object)
			return p != nil && p.Reason == c.reason
		})
		e.assign(assignment{bundle: bundle, revision: 3, objects: []string{c.three}})
	}
	s.awaitPhase(bundle, yardarmv1.PhaseReady)
	s.stop()

	s = e.start()
	s.awaitPhase(bundle, yardarmv1.PhaseReady)
	e.reassign(bundle)
	s.awaitPhase(bundle, yardarmv1.PhaseReady)
	quiet(s, "after a restart")

	e.tombstone(bundle, yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.until("it is removed", func() bool { return e.state.gone(bundle) }, func() string { return fmt.Sprint(s.report(bundle)) })
	e.wantGone(c.one)
}

// wantGone fails the test if any object of a bundle is there. One that is nobody's is another: what aggregates cluster roles applies
// its rules again to a role that has just been deleted, and so makes it anew.
func (e *env) wantGone(objects string) {
	e.t.Helper()
	client, err := kube.New(kube.Config{REST: e.config})
	if err != nil {
		e.t.Fatal(err)
	}
	for ref, object := range e.set(objects).All() {
		kind, err := client.Mapper.Kind(e.t.Context(), ref.Group, object.Version(), ref.Kind)
		if err != nil {
			continue // its definition is gone, and with it all instances
		}
		resource := dynamic.ResourceInterface(client.Dynamic.Resource(kind.GVR()))
		if kind.Namespaced {
			namespace := ref.Namespace
			if namespace == "" {
				namespace = e.ns
			}
			resource = client.Dynamic.Resource(kind.GVR()).Namespace(namespace)
		}
		if live, err := resource.Get(context.Background(), ref.Name, metav1.GetOptions{}); err == nil && live.GetLabels()[yardarmv1.LabelBundle] != "" {
			e.t.Errorf("%s is still there", ref)
		}
	}
}

// What no cluster should get is refused when it is published, with the place and the reason.
func TestCorpusOfWhatIsRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a generated name", "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-}\n", "each time it is applied"},
		{"a key twice", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  a: one\n  a: two\n", "is a duplicate key, first set in line 5"},
		{"an object twice", configMap("m", "one") + "\n---\n" + configMap("m", "two"), "is a duplicate of the object at"},
		{"no UTF-8", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {latin1: 'caf\xe9'}\n", "is not UTF-8"},
		{"no UTF-8, but UTF-16", "\xff\xfea\x00:\x00", "is not UTF-8"},
		{"a template that was not rendered", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n", ""},
		{"a name too long", configMap(strings.Repeat("x", 254), "one"), "longer than 253"},
		{"labels that are no texts", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, labels: {enabled: true}}\n", "is a boolean; put it in quotes"},
		{"aliases that explode", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\na: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := manifest.Parse([]manifest.File{{Path: "corpus.yaml", Data: []byte(c.text)}}, manifest.Limits{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "corpus.yaml") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
