package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/report"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// deadline is how long anything may take that a test waits for: far longer than it does take on a busy machine.
const deadline = 60 * time.Second

// One API server serves all tests of the package, each of which has namespaces of its own; and one with controllers and a node those that
// need workloads to run. Each starts when the first test asks for it.
var (
	fleet, full           *cluster.Fleet
	startFleet, startFull = starter(&fleet, cluster.Spec{Name: "a"}), starter(&full, cluster.Spec{Name: "a", Nodes: 1})
)

func starter(into **cluster.Fleet, spec cluster.Spec) func() error {
	return sync.OnceValue(func() error {
		var err error
		*into, err = cluster.Start(context.Background(), cluster.Config{Clusters: []cluster.Spec{spec}, Progress: os.Stderr})
		return err
	})
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range []*cluster.Fleet{fleet, full} {
		if f == nil {
			continue
		}
		if err := f.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	// Idle connections of HTTP clients outlive the spokes that opened them.
	if err := goleak.Find(goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*http2ClientConn).readLoop")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// env is a test's part of the API server.
type env struct {
	t       *testing.T
	ns      string // of the test's objects
	system  string // of the spoke's own
	config  *rest.Config
	dynamic dynamic.Interface
	state   *fakeState
	policy  *playedPolicy
	facts   func(context.Context) (*yardarmv1.Facts, error)
}

var names atomic.Int64

func newEnv(t *testing.T) *env {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real API server")
	}
	t.Parallel()
	return newEnvIn(t)
}

// newEnvIn is newEnv for a test's second part.
func newEnvIn(t *testing.T) *env {
	t.Helper()
	if err := startFleet(); err != nil {
		t.Fatal(err)
	}
	return newEnvOn(t, fleet)
}

// newFullEnv is newEnv in a cluster whose workloads run.
func newFullEnv(t *testing.T) *env {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real control plane")
	}
	t.Parallel()
	if err := startFull(); err != nil {
		t.Fatal(err)
	}
	return newEnvOn(t, full)
}

func newEnvOn(t *testing.T, fleet *cluster.Fleet) *env {
	t.Helper()
	config, err := clientcmd.RESTConfigFromKubeConfig(fleet.Cluster("a").Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	n := names.Add(1)
	e := &env{t: t, ns: fmt.Sprintf("test-%d", n), system: fmt.Sprintf("system-%d", n), config: config, dynamic: client, state: newFakeState()}
	e.policy = newPlayedPolicy(t, e.system)
	e.create(namespace(e.ns))
	return e
}

// spoke is a running reconciler.
type spoke struct {
	*env
	book    *report.Book
	heard   *heard
	writes  *writeCounter
	metrics *prometheus.Registry
	made    *Reconciler
	cancel  context.CancelFunc
	done    chan error
}

// start runs a reconciler on the env's state, until the test ends or stop.
func (e *env) start() *spoke {
	e.t.Helper()
	return e.startOn(e.state, e.policy)
}

func (e *env) startOn(held State, policy Policy) *spoke {
	e.t.Helper()
	s := &spoke{env: e, book: report.NewBook(), writes: &writeCounter{}, metrics: prometheus.NewRegistry(), done: make(chan error, 1)}
	s.heard = &heard{Book: s.book}
	config := rest.CopyConfig(e.config)
	config.Wrap(s.writes.wrap)
	client, err := kube.New(kube.Config{REST: config, Namespace: e.system})
	if err != nil {
		e.t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(e.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	r, err := New(Config{
		Client: client, State: held, Book: s.heard, Policy: policy, Facts: e.facts, FactsEvery: 50 * time.Millisecond,
		Registerer: s.metrics, Logger: logger,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.made, s.cancel = r, cancel
	go func() { s.done <- r.Run(ctx) }()
	e.t.Cleanup(s.stop)
	return s
}

// heard is a book that remembers which phases it was told.
type heard struct {
	*report.Book
	mu     sync.Mutex
	phases []string
}

func (h *heard) Set(r *yardarmv1.Report) {
	h.mu.Lock()
	h.phases = append(h.phases, r.Phase)
	h.mu.Unlock()
	h.Book.Set(r)
}

// stop ends the reconciler and waits for it.
func (s *spoke) stop() {
	s.cancel()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Errorf("Run: %v", err)
		}
		s.done <- nil
	case <-time.After(deadline):
		s.t.Error("Run does not return")
	}
}

// report answers the newest report about a bundle, or nil.
func (s *spoke) report(uid string) *yardarmv1.Report {
	for _, r := range s.book.All().Reports {
		if r.BundleUid == uid {
			return r
		}
	}
	return nil
}

// await polls until the report about a bundle's present assignment is as wanted.
func (s *spoke) await(uid, what string, ok func(*yardarmv1.Report) bool) *yardarmv1.Report {
	s.t.Helper()
	var last *yardarmv1.Report
	s.until(what, func() bool {
		hash := s.state.hash(uid)
		last = s.report(uid)
		return last != nil && string(last.AssignmentHash) == string(hash) && ok(last)
	}, func() string { return fmt.Sprintf("last report: %v", last) })
	return last
}

func (s *spoke) awaitPhase(uid, phase string) *yardarmv1.Report {
	s.t.Helper()
	return s.await(uid, uid+" "+phase, func(r *yardarmv1.Report) bool { return r.Phase == phase })
}

// until polls.
func (e *env) until(what string, ok func() bool, detail ...func() string) {
	e.t.Helper()
	end := time.Now().Add(deadline)
	for !ok() {
		if time.Now().After(end) {
			text := ""
			for _, d := range detail {
				text += "; " + d()
			}
			e.t.Fatalf("not within %v: %s%s", deadline, what, text)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// fakeState is what a session would have persisted.
type fakeState struct {
	mu       sync.Mutex
	entries  map[string]state.Entry
	contents map[string][]byte
	changed  chan struct{}
	finished []string
	failing  int // how many times Applied fails
}

func newFakeState() *fakeState {
	return &fakeState{entries: map[string]state.Entry{}, contents: map[string][]byte{}, changed: make(chan struct{}, 1)}
}

func (f *fakeState) Changed() <-chan struct{} { return f.changed }

func (f *fakeState) Entries() []state.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []state.Entry
	for _, e := range f.entries {
		_, e.HasContent = f.contents[e.Assignment.Digest]
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b state.Entry) int { return strings.Compare(a.Assignment.BundleUid, b.Assignment.BundleUid) })
	return out
}

func (f *fakeState) Content(_ context.Context, digest string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, ok := f.contents[digest]
	if !ok {
		return nil, state.ErrNoContent
	}
	return data, nil
}

func (f *fakeState) Applied(_ context.Context, uid string, applied state.Applied, beginning *spokev1.Beginning) error {
	failed := false
	f.change(func() {
		if f.failing > 0 {
			f.failing--
			failed = true
			return
		}
		if e, ok := f.entries[uid]; ok {
			e.Applied, e.Beginning = applied, beginning
			f.entries[uid] = e
		}
	})
	if failed {
		return errors.New("the state cannot be written")
	}
	return nil
}

func (f *fakeState) Begun(_ context.Context, uid string, beginning *spokev1.Beginning) error {
	f.change(func() {
		if e, ok := f.entries[uid]; ok {
			e.Beginning = beginning
			f.entries[uid] = e
		}
	})
	return nil
}

func (f *fakeState) Finished(_ context.Context, uid string) error {
	f.change(func() {
		if f.entries[uid].Removal != nil {
			delete(f.entries, uid)
			f.finished = append(f.finished, uid)
		}
	})
	return nil
}

// change edits under the lock, drops contents that nothing names, as package state does, and tells.
func (f *fakeState) change(edit func()) {
	f.mu.Lock()
	edit()
	named := map[string]bool{}
	for _, e := range f.entries {
		named[e.Assignment.Digest], named[e.Applied.Digest] = true, true
	}
	for digest := range f.contents {
		if !named[digest] {
			delete(f.contents, digest)
		}
	}
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *fakeState) hash(uid string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e, ok := f.entries[uid]; ok {
		return e.Assignment.Hash
	}
	return nil
}

func (f *fakeState) gone(uid string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.entries[uid]
	return !ok
}

// assignment is what a test assigns.
type assignment struct {
	bundle    string // also its uid
	revision  uint32
	objects   []string // YAML
	atomic    bool
	delivery  *yardarmv1.DeliveryPolicy // beside atomic and namespace
	namespace string
	accepted  []*yardarmv1.AcceptedDeletion
	customize *yardarmv1.Customization
	labels    map[string]string
	withhold  bool // the content is not there yet
}

func (e *env) set(objects ...string) *manifest.Set {
	e.t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "test.yaml", Data: []byte(strings.Join(objects, "\n---\n"))}}, manifest.Limits{})
	if err != nil {
		e.t.Fatal(err)
	}
	return set
}

// spec is an assignment as the hub would make it, and its content.
func (e *env) spec(a assignment) (*yardarmv1.AssignmentSpec, []byte) {
	e.t.Helper()
	set := e.set(a.objects...)
	namespace := a.namespace
	if namespace == "" {
		namespace = e.ns
	}
	delivery := &yardarmv1.DeliveryPolicy{}
	if a.delivery != nil {
		delivery = proto.CloneOf(a.delivery)
	}
	delivery.Atomic, delivery.Namespace = a.atomic, namespace
	spec := &yardarmv1.AssignmentSpec{
		Cluster: "c1", Bundle: a.bundle, BundleUid: a.bundle, Revision: a.revision, Digest: set.Digest().String(), Size: uint64(len(set.Canonical())),
		Delivery:          delivery,
		AcceptedDeletions: a.accepted,
		Customization:     a.customize, Labels: a.labels,
	}
	spec.Hash = holdings.AssignmentHash(spec)
	return spec, set.Canonical()
}

// assign makes several bundles' assignments known at once, as one delta does, and answers the first one's spec.
func (e *env) assign(all ...assignment) *yardarmv1.AssignmentSpec {
	e.t.Helper()
	var first *yardarmv1.AssignmentSpec
	e.state.change(func() {
		for _, a := range all {
			spec, content := e.spec(a)
			last := e.state.entries[a.bundle]
			entry := state.Entry{Assignment: spec, Applied: last.Applied}
			if last.Removal == nil {
				entry.Beginning = last.Beginning
			}
			e.state.entries[a.bundle] = entry
			if !a.withhold {
				e.state.contents[spec.Digest] = content
			}
			if first == nil {
				first = spec
			}
		}
	})
	return first
}

// tombstone asks for a bundle's removal.
func (e *env) tombstone(uid string, workloads yardarmv1.Workloads, accepted bool) {
	e.state.change(func() {
		entry := e.state.entries[uid]
		entry.Removal = &spokev1.Tombstone{Bundle: uid, BundleUid: uid, Workloads: workloads, Reason: yardarmv1.ReasonBundleDeleted, Accepted: accepted}
		e.state.entries[uid] = entry
	})
}

// Objects.

var (
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	podGVR     = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {key: " + value + "}"
}

func configMapIn(namespace, name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: " + namespace + "}\ndata: {key: " + value + "}"
}

func namespace(name string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}"
}

// several config maps, named m0, m1, …
func several(n int, value string) []string {
	var all []string
	for i := range n {
		all = append(all, configMap(fmt.Sprintf("m%d", i), value))
	}
	return all
}

// create makes an object as somebody who is no spoke.
func (e *env) create(object string) *unstructured.Unstructured {
	e.t.Helper()
	obj := &unstructured.Unstructured{Object: e.set(object).Objects()[0].Clone()}
	resource := map[string]string{"Namespace": "namespaces", "ConfigMap": "configmaps", "Pod": "pods"}[obj.GetKind()]
	gvr := schema.GroupVersionResource{Version: "v1", Resource: resource}
	var client dynamic.ResourceInterface = e.dynamic.Resource(gvr)
	if obj.GetKind() != "Namespace" {
		if obj.GetNamespace() == "" {
			obj.SetNamespace(e.ns)
		}
		client = e.dynamic.Resource(gvr).Namespace(obj.GetNamespace())
	}
	made, err := client.Create(e.t.Context(), obj, metav1.CreateOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

// get reads a config map of the test's namespace; nil if there is none.
func (e *env) get(name string) *unstructured.Unstructured {
	e.t.Helper()
	obj, err := e.dynamic.Resource(configMaps).Namespace(e.ns).Get(context.Background(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return obj
}

func value(obj *unstructured.Unstructured) string {
	if obj == nil {
		return "(none)"
	}
	v, _, _ := unstructured.NestedString(obj.Object, "data", "key")
	return v
}

// edit patches a config map of the test's namespace, as somebody who is no spoke.
func (e *env) edit(name, patch string) *unstructured.Unstructured {
	e.t.Helper()
	obj, err := e.dynamic.Resource(configMaps).Namespace(e.ns).Patch(e.t.Context(), name, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: "someone"})
	if err != nil {
		e.t.Fatal(err)
	}
	return obj
}

func (e *env) delete(name string) {
	e.t.Helper()
	err := e.dynamic.Resource(configMaps).Namespace(e.ns).Delete(e.t.Context(), name, metav1.DeleteOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
}

// want fails the test unless the objects are there, or not.
func (e *env) want(there bool, objects ...string) {
	e.t.Helper()
	for _, name := range objects {
		if got := e.get(name) != nil; got != there {
			e.t.Errorf("config map %s: there is %v, want %v", name, got, there)
		}
	}
}

// problem answers the report's line about an object whose name ends so.
func problemOf(r *yardarmv1.Report, suffix string) *yardarmv1.ObjectProblem {
	for _, p := range r.Problems {
		if strings.HasSuffix(p.Object, suffix) {
			return p
		}
	}
	return nil
}

// reassign hands the reconciler an entry that differs in a field which affects nothing, so that a whole pass is made.
func (e *env) reassign(uid string) {
	e.state.change(func() {
		entry := e.state.entries[uid]
		spec := proto.CloneOf(entry.Assignment)
		spec.AcceptedDeletions = append(spec.AcceptedDeletions, &yardarmv1.AcceptedDeletion{FromDigest: fmt.Sprint(len(spec.AcceptedDeletions))})
		spec.Hash = holdings.AssignmentHash(spec)
		entry.Assignment = spec
		e.state.entries[uid] = entry
	})
}
