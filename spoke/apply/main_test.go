package apply

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// deadline is how long anything may take that a test waits for: far longer than it does take on a busy machine.
const deadline = 60 * time.Second

// One API server serves all tests of the package, each of which has a namespace of its own.
var fleet *cluster.Fleet

// startFleet starts it when the first test asks.
var startFleet = sync.OnceValue(func() error {
	var err error
	fleet, err = cluster.Start(context.Background(), cluster.Config{Clusters: []cluster.Spec{{Name: "a"}}, Progress: os.Stderr})
	return err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if fleet != nil {
		if err := fleet.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// env is a test's part of the API server: a namespace, and an applier that counts its requests.
type env struct {
	t       testing.TB
	ns      string
	client  *kube.Client // of the test, not counted
	applier *Applier
	mapper  *kube.Mapper
	counter *counter
}

var names atomic.Int64

func newEnv(t *testing.T) *env {
	t.Helper()
	t.Parallel()
	return newEnvOf(t)
}

func newEnvOf(t testing.TB) *env {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real API server")
	}
	if err := startFleet(); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(fleet.Cluster("a").Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	e := &env{t: t, ns: fmt.Sprintf("test-%d", names.Add(1)), counter: &counter{}}
	if e.client, err = kube.New(kube.Config{REST: config}); err != nil {
		t.Fatal(err)
	}
	counted := rest.CopyConfig(config)
	counted.Wrap(e.counter.wrap)
	client, err := kube.New(kube.Config{REST: counted})
	if err != nil {
		t.Fatal(err)
	}
	e.mapper = client.Mapper
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	if e.applier, err = New(Config{Dynamic: client.Dynamic, Metadata: client.Metadata, Mapper: client.Mapper, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	e.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + e.ns + "}")
	return e
}

// counter notes the requests that write or read objects; questions for kinds are left out.
type counter struct {
	mu   sync.Mutex
	seen []string // method and path
	// afterDryRun is called once, after a dry run was answered.
	afterDryRun func()
}

func (c *counter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.Count(r.URL.Path, "/") > 3 {
			c.mu.Lock()
			c.seen = append(c.seen, r.Method+" "+r.URL.Path)
			c.mu.Unlock()
		}
		answer, err := next.RoundTrip(r)
		if r.URL.Query().Has("dryRun") {
			c.mu.Lock()
			then := c.afterDryRun
			c.afterDryRun = nil
			c.mu.Unlock()
			if then != nil {
				then()
			}
		}
		return answer, err
	})
}

// take answers the requests since the last call.
func (c *counter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	return seen
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// render makes items of YAML, all of them fresh.
func (e *env) render(policy *yardarmv1.DeliveryPolicy, objects ...string) *Rendered {
	e.t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "test.yaml", Data: []byte(strings.Join(objects, "\n---\n"))}}, manifest.Limits{})
	if err != nil {
		e.t.Fatal(err)
	}
	rendered, err := Render(e.t.Context(), e.mapper, set, Bundle{Name: "web", UID: "web-" + e.ns, Namespace: e.ns, Delivery: policy})
	if err != nil {
		e.t.Fatal(err)
	}
	if len(rendered.Problems) > 0 {
		e.t.Fatal(rendered.Problems)
	}
	for i := range rendered.Items {
		rendered.Items[i].Fresh = true
	}
	return rendered
}

// apply renders and applies.
func (e *env) apply(policy *yardarmv1.DeliveryPolicy, objects ...string) ChangeSet {
	e.t.Helper()
	return e.applier.Apply(e.t.Context(), e.render(policy, objects...).Items, Options{})
}

// must apply without a problem.
func (e *env) must(policy *yardarmv1.DeliveryPolicy, objects ...string) {
	e.t.Helper()
	set := e.apply(policy, objects...)
	if len(set.Problems) > 0 || len(set.Applied) != len(objects) {
		e.t.Fatalf("applied %v, problems %v", set.Applied, set.Problems)
	}
}

// refused applies one object that must be refused for a reason, in a message with all of the parts.
func (e *env) refused(policy *yardarmv1.DeliveryPolicy, object, reason string, parts ...string) *Problem {
	e.t.Helper()
	set := e.apply(policy, object)
	if len(set.Problems) != 1 || len(set.Applied) > 0 {
		e.t.Fatalf("applied %v, problems %v; want one of %s", set.Applied, set.Problems, reason)
	}
	wantProblem(e.t, set.Problems[0], reason, parts...)
	return set.Problems[0]
}

func wantProblem(t testing.TB, p *Problem, reason string, parts ...string) {
	t.Helper()
	if p.Reason != reason {
		t.Errorf("got %v, want %s", p, reason)
	}
	for _, part := range parts {
		if !strings.Contains(p.Message, part) {
			t.Errorf("message %q lacks %q", p.Message, part)
		}
	}
	if strings.Contains(p.Message, "s3cret") {
		t.Errorf("message %q has a value", p.Message)
	}
}

// resource is the test's own way to an object.
func (e *env) resource(object string) (dynamic.ResourceInterface, *unstructured.Unstructured) {
	e.t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "test.yaml", Data: []byte(object)}}, manifest.Limits{})
	if err != nil {
		e.t.Fatal(err)
	}
	o := &unstructured.Unstructured{Object: set.Objects()[0].Clone()}
	gvk := o.GroupVersionKind()
	kind, err := e.client.Mapper.Kind(e.t.Context(), gvk.Group, gvk.Version, gvk.Kind)
	if err != nil {
		e.t.Fatal(err)
	}
	if kind.Namespaced {
		return e.client.Dynamic.Resource(kind.GVR()).Namespace(e.ns), o
	}
	return e.client.Dynamic.Resource(kind.GVR()), o
}

// create makes an object as somebody who is no spoke.
func (e *env) create(object string) *unstructured.Unstructured {
	e.t.Helper()
	resource, o := e.resource(object)
	made, err := resource.Create(e.t.Context(), o, metav1.CreateOptions{FieldManager: "someone"})
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

// get reads an object; nil if there is none.
func (e *env) get(object string) *unstructured.Unstructured {
	e.t.Helper()
	resource, o := e.resource(object)
	found, err := resource.Get(e.t.Context(), o.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return found
}

// edit patches an object as somebody who is no spoke.
func (e *env) edit(object, patch string) *unstructured.Unstructured {
	e.t.Helper()
	resource, o := e.resource(object)
	edited, err := resource.Patch(e.t.Context(), o.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "someone"})
	if err != nil {
		e.t.Fatal(err)
	}
	return edited
}

// until polls.
func (e *env) until(what string, ok func() bool) {
	e.t.Helper()
	end := time.Now().Add(deadline)
	for !ok() {
		if time.Now().After(end) {
			e.t.Fatalf("not within %v: %s", deadline, what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// untouched fails the test unless an object is as it was.
func (e *env) untouched(before *unstructured.Unstructured) {
	e.t.Helper()
	data, err := before.MarshalJSON()
	if err != nil {
		e.t.Fatal(err)
	}
	after := e.get(string(data))
	if after == nil || after.GetUID() != before.GetUID() || after.GetResourceVersion() != before.GetResourceVersion() {
		e.t.Errorf("the object was touched: %v", after)
	}
}

func field(o *unstructured.Unstructured, path ...string) string {
	if o == nil {
		return "(none)"
	}
	value, found, _ := unstructured.NestedFieldNoCopy(o.Object, path...)
	if !found {
		return "(unset)"
	}
	return fmt.Sprint(value)
}

func configMap(name, data string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {" + data + "}"
}

// managersOf answers who has an object's fields, sorted.
func managersOf(o *unstructured.Unstructured) []string {
	var all []string
	for _, entry := range o.GetManagedFields() {
		all = append(all, string(entry.Operation)+" "+entry.Manager)
	}
	slices.Sort(all)
	return all
}

var (
	createNow = metav1.CreateOptions{FieldManager: "someone"}
	deleteNow = metav1.DeleteOptions{}
)
