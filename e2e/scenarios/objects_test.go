package scenarios

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// objects reads and writes a kind of a cluster as its administrator, in the test's namespace.
func (w *world) objects(cluster string, kind schema.GroupVersionResource) dynamic.ResourceInterface {
	w.t.Helper()
	if kind == namespaces || kind == definitions {
		return w.everywhere(cluster, kind)
	}
	return w.everywhere(cluster, kind).Namespace(w.id)
}

// everywhere is objects in all namespaces, or in none.
func (w *world) everywhere(cluster string, kind schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	w.t.Helper()
	config, err := clientcmd.RESTConfigFromKubeConfig(clusters.Cluster(cluster).Kubeconfig())
	w.must(err)
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	w.must(err)
	return client.Resource(kind)
}

// value answers one key of a config map in a cluster.
func (w *world) value(cluster, name, key string) (string, error) {
	o, err := w.objects(cluster, configMaps).Get(w.ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	value, _, err := unstructured.NestedString(o.Object, "data", key)
	return value, err
}

// holds fails unless a config map in each of the clusters has a value.
func (w *world) holds(name, key, want string, in ...string) {
	w.t.Helper()
	for _, cluster := range in {
		got, err := w.value(cluster, name, key)
		if err == nil && got != want {
			err = fmt.Errorf("%s is %q, want %q", key, got, want)
		}
		if err != nil {
			w.t.Errorf("config map %s in %s: %v", name, cluster, err)
		}
	}
}

// gone waits until an object is not in a cluster any more.
func (w *world) gone(cluster string, kind schema.GroupVersionResource, name string) {
	w.t.Helper()
	w.eventually(name+" is gone from "+cluster, func() error { return w.absent(cluster, kind, name) })
}

func (w *world) absent(cluster string, kind schema.GroupVersionResource, name string) error {
	_, err := w.objects(cluster, kind).Get(w.ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		return errors.New("it is still there")
	case apierrors.IsNotFound(err):
		return nil
	}
	return err
}

// namespace and settings are the manifests that most tests are content with.
const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS}\n"

func settings(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: NS}\ndata: {value: \"" + value + "\"}\n"
}

// eventuallyHolds waits until a config map has a value.
func (w *world) eventuallyHolds(cluster, name, want string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s in %s is %s", name, cluster, want), func() error {
		got, err := w.value(cluster, name, "value")
		if err == nil && got != want {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
}

// edit changes a config map behind the spoke's back.
func (w *world) edit(cluster, name, value string) {
	w.t.Helper()
	_, err := w.objects(cluster, configMaps).Patch(w.ctx, name, types.MergePatchType,
		[]byte(fmt.Sprintf(`{"data":{"value":%q}}`, value)), metav1.PatchOptions{FieldManager: "somebody"})
	w.must(err)
}

// objectUID tells a config map from one of the same name that was made later.
func (w *world) objectUID(cluster, name string) types.UID {
	w.t.Helper()
	o, err := w.objects(cluster, configMaps).Get(w.ctx, name, metav1.GetOptions{})
	w.must(err)
	return o.GetUID()
}
