package kube_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/spoke/enroll"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/kube/keep"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

var fleet *cluster.Fleet

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

var names atomic.Int64

// newClient connects to the shared API server, with a namespace of the test's own.
func newClient(t *testing.T) *kube.Client {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real API server")
	}
	t.Parallel()
	if err := startFleet(); err != nil {
		t.Fatal(err)
	}
	k, err := kube.New(kube.Config{Kubeconfig: fleet.Cluster("a").KubeconfigPath(), Context: "a", Namespace: fmt.Sprintf("system-%d", names.Add(1))})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var (
	secretGVR = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	nodeGVR   = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
)

func secretNames(t *testing.T, k *kube.Client) []string {
	t.Helper()
	list, err := k.Metadata.Resource(secretGVR).Namespace(k.Namespace()).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	slices.Sort(names)
	return names
}

func TestBlobs(t *testing.T) {
	k := newClient(t)
	b := k.Blobs("test")
	if _, _, err := b.Read(t.Context(), "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("read of nothing: %v", err)
	}
	v1, err := b.Write(t.Context(), "a/b", []byte("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(t.Context(), "a/b", []byte("two"), ""); !errors.Is(err, kube.ErrChanged) {
		t.Errorf("made twice: %v", err)
	}
	v2, err := b.Write(t.Context(), "a/b", []byte("two"), v1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(t.Context(), "a/b", []byte("three"), v1); !errors.Is(err, kube.ErrChanged) {
		t.Errorf("written over a newer one: %v", err)
	}
	got, version, err := b.Read(t.Context(), "a/b")
	if err != nil || string(got) != "two" || version != v2 {
		t.Errorf("read: %q %s %v", got, version, err)
	}
	if _, err := b.Write(t.Context(), "c", nil, ""); err != nil {
		t.Fatal(err)
	}
	keys, err := k.Blobs("test").List(t.Context())
	if slices.Sort(keys); err != nil || !slices.Equal(keys, []string{"a/b", "c"}) {
		t.Errorf("keys: %v %v", keys, err)
	}
	if keys, err := k.Blobs("other").List(t.Context()); err != nil || len(keys) > 0 {
		t.Errorf("keys of another class: %v %v", keys, err)
	}
	if err := b.Delete(t.Context(), "a/b", v1); !errors.Is(err, kube.ErrChanged) {
		t.Errorf("deleted in another version: %v", err)
	}
	for range 2 {
		if err := b.Delete(t.Context(), "a/b", ""); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := b.Write(t.Context(), "a/b", []byte("x"), v2); !errors.Is(err, kube.ErrChanged) {
		t.Errorf("replaced what is gone: %v", err)
	}
}

func TestLargeBlobs(t *testing.T) {
	k := newClient(t)
	b := k.Blobs("test")
	large := make([]byte, 2<<20+17)
	rand.Read(large)
	version, err := b.Write(t.Context(), "large", large, "")
	if err != nil {
		t.Fatal(err)
	}
	check := func(want []byte, secrets int) {
		t.Helper()
		got, _, err := k.Blobs("test").Read(t.Context(), "large")
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes, want %d: %v", len(got), len(want), err)
		}
		if names := secretNames(t, k); len(names) != secrets {
			t.Errorf("secrets: %v, want %d", names, secrets)
		}
	}
	check(large, 4)
	other := slices.Clone(large)
	slices.Reverse(other)
	if version, err = b.Write(t.Context(), "large", other, version); err != nil {
		t.Fatal(err)
	}
	check(other, 4)
	// A write that is refused leaves no parts behind.
	if _, err := b.Write(t.Context(), "large", large, "1"); !errors.Is(err, kube.ErrChanged) {
		t.Errorf("written over a newer one: %v", err)
	}
	check(other, 4)
	if version, err = b.Write(t.Context(), "large", []byte("small"), version); err != nil {
		t.Fatal(err)
	}
	check([]byte("small"), 1)
	if _, err = b.Write(t.Context(), "large", large, version); err != nil {
		t.Fatal(err)
	}
	// Parts that a killed process left are removed by the next one that lists.
	orphan := &unstructured.Unstructured{Object: map[string]any{"type": "yardarm.dev/state", "apiVersion": "v1", "kind": "Secret"}}
	orphan.SetName("yardarm-test.large.zzz-0")
	orphan.SetLabels(map[string]string{"yardarm.dev/state-part": "test"})
	if _, err := k.Dynamic.Resource(secretGVR).Namespace(k.Namespace()).Create(t.Context(), orphan, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Blobs("test").List(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(large, 4)
	if err := b.Delete(t.Context(), "large", ""); err != nil {
		t.Fatal(err)
	}
	if names := secretNames(t, k); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	if _, err := b.Write(t.Context(), "huge", make([]byte, kube.MaxBlob+1), ""); !errors.Is(err, kube.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestStateBackend(t *testing.T) {
	k := newClient(t)
	backend := keep.NewState(k)
	if keys, err := backend.List(t.Context()); err != nil || len(keys) > 0 {
		t.Fatalf("at first: %v %v", keys, err)
	}
	write := func(b state.Backend, changes ...state.Write) {
		t.Helper()
		if err := b.Write(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
	}
	write(backend, state.Write{Key: "holding/u1", Value: []byte("1")}, state.Write{Key: "cursor", Value: []byte("c")})
	write(backend, state.Write{Key: "holding/u1", Value: []byte("2")}, state.Write{Key: "holding/u2", Value: []byte{}})
	// Another process goes on from there.
	other := keep.NewState(k)
	write(other, state.Write{Key: "holding/u1", Value: []byte("3")}, state.Write{Key: "cursor"}, state.Write{Key: "nothing"})
	// And so may the first, if it was thought dead: the newest write counts, and enroll's claim keeps two apart.
	write(backend, state.Write{Key: "holding/u1", Value: []byte("4")})
	keys, err := other.List(t.Context())
	if slices.Sort(keys); err != nil || !slices.Equal(keys, []string{"holding/u1", "holding/u2"}) {
		t.Errorf("keys: %v %v", keys, err)
	}
	if got, err := other.Read(t.Context(), "holding/u1"); err != nil || string(got) != "4" {
		t.Errorf("read: %q %v", got, err)
	}
	if _, err := other.Read(t.Context(), "cursor"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read of a deleted key: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	k := newClient(t)
	old, young := keep.NewIdentity(k), keep.NewIdentity(k)
	if err := old.Claim(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	if kept, err := old.Load(t.Context()); err != nil || kept != nil {
		t.Fatalf("at first: %v %v", kept, err)
	}
	want := &enroll.Kept{Key: []byte("key"), Identity: &spokev1.Identity{Cluster: "c1"}, TokenID: "t1"}
	if err := old.Save(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := young.Claim(t.Context(), "young"); err != nil {
		t.Fatal(err)
	}
	got, err := young.Load(t.Context())
	if err != nil || string(got.Key) != "key" || got.Identity.GetCluster() != "c1" || got.TokenID != "t1" {
		t.Errorf("loaded: %v %v", got, err)
	}
	if err := young.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := old.Check(t.Context()); !errors.Is(err, enroll.ErrClaimed) {
		t.Errorf("check of the one before: %v", err)
	}
	if err := old.Save(t.Context(), want); !errors.Is(err, enroll.ErrClaimed) {
		t.Errorf("save of the one before: %v", err)
	}
	if err := young.Save(t.Context(), want); err != nil {
		t.Errorf("save: %v", err)
	}
}

func TestManyClaimsLeaveOne(t *testing.T) {
	k := newClient(t)
	var group sync.WaitGroup
	keeps := make([]*keep.Identity, 5)
	for i := range keeps {
		keeps[i] = keep.NewIdentity(k)
		group.Go(func() {
			if err := keeps[i].Claim(t.Context(), fmt.Sprint(i)); err != nil {
				t.Errorf("claim %d: %v", i, err)
			}
		})
	}
	group.Wait()
	holders := 0
	for _, one := range keeps {
		if one.Check(t.Context()) == nil {
			holders++
		}
	}
	if holders != 1 {
		t.Errorf("%d hold the claim", holders)
	}
}

func TestFactsAndUID(t *testing.T) {
	k := newClient(t)
	uid, err := k.UID(t.Context())
	if err != nil || len(uid) != 36 {
		t.Fatalf("uid: %q %v", uid, err)
	}
	for i := range 3 {
		node := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{"name": fmt.Sprintf("n%d", i), "labels": map[string]any{
				"topology.kubernetes.io/region": "eu-west-1", "eks.amazonaws.com/nodegroup": "g",
			}},
			"spec": map[string]any{"providerID": "aws:///eu-west-1a/i-1"},
		}}
		if _, err := k.Dynamic.Resource(nodeGVR).Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := k.Dynamic.Resource(nodeGVR).Delete(context.Background(), node.GetName(), metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
		node.Object["status"] = map[string]any{"capacity": map[string]any{"cpu": "1500m", "memory": "2Gi", "pods": "110"}}
		made, err := k.Dynamic.Resource(nodeGVR).Get(t.Context(), node.GetName(), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made.Object["status"] = node.Object["status"]
		if _, err := k.Dynamic.Resource(nodeGVR).UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	facts, err := k.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(facts.KubernetesVersion, "v1.") || facts.Distribution != "eks" || facts.Provider != "aws" ||
		facts.Region != "eu-west-1" || facts.Nodes != 3 {
		t.Errorf("facts: %v", facts)
	}
	if c := facts.Capacity; c["cpu"] != "4500m" || c["memory"] != "6Gi" || c["pods"] != "330" {
		t.Errorf("capacity: %v", c)
	}
	if !slices.Contains(facts.ApiGroups, "v1") || !slices.Contains(facts.ApiGroups, "apps/v1") || !slices.IsSorted(facts.ApiGroups) {
		t.Errorf("groups: %v", facts.ApiGroups)
	}
}

func TestMapper(t *testing.T) {
	k := newClient(t)
	deployment, err := k.Mapper.Kind(t.Context(), "apps", "v1", "Deployment")
	if want := (kube.Kind{Group: "apps", Version: "v1", Kind: "Deployment", Resource: "deployments", Namespaced: true}); err != nil || deployment != want {
		t.Errorf("deployment: %v %v", deployment, err)
	}
	namespace, err := k.Mapper.Kind(t.Context(), "", "v1", "Namespace")
	if err != nil || namespace.Namespaced || namespace.Resource != "namespaces" {
		t.Errorf("namespace: %v %v", namespace, err)
	}
	for _, c := range [][3]string{{"apps", "v1", "Widget"}, {"apps", "v9", "Deployment"}, {"example.com", "v1", "Widget"}, {"", "v1", "Scale"}} {
		if _, err := k.Mapper.Kind(t.Context(), c[0], c[1], c[2]); !errors.Is(err, kube.ErrUnknownKind) {
			t.Errorf("%v: %v", c, err)
		}
	}
	other, err := k.Mapper.AnyVersion(t.Context(), "apps", "v1beta1", "Deployment")
	if err != nil || other != deployment {
		t.Errorf("any version: %v %v", other, err)
	}
	if _, err := k.Mapper.AnyVersion(t.Context(), "apps", "v1", "Widget"); !errors.Is(err, kube.ErrUnknownKind) {
		t.Errorf("any version of nothing: %v", err)
	}
	// A definition that comes later is found, even by who asked too early.
	group := k.Namespace() + ".example"
	if _, err := k.Mapper.Kind(t.Context(), group, "v1", "Widget"); !errors.Is(err, kube.ErrUnknownKind) {
		t.Errorf("too early: %v", err)
	}
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "widgets." + group},
		"spec": map[string]any{"group": group, "scope": "Cluster", "names": map[string]any{"kind": "Widget", "plural": "widgets"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}}}}},
	}}
	crds := k.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := crds.Create(t.Context(), crd, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Minute)
	for {
		widget, err := k.Mapper.Kind(t.Context(), group, "v1", "Widget")
		if err == nil {
			if widget.Namespaced || widget.Resource != "widgets" {
				t.Errorf("widget: %v", widget)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestNoClusterIsTakenByAccident(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBECONFIG", "/nowhere")
	if _, err := kube.New(kube.Config{}); !errors.Is(err, kube.ErrNoCluster) {
		t.Errorf("got %v", err)
	}
	if _, err := kube.New(kube.Config{Kubeconfig: "/nowhere"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
