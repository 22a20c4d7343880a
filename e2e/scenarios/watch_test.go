package scenarios

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// generation answers an object's resource version, which changes with each write.
func (w *world) generation(cluster, name string) (string, error) {
	o, err := w.objects(cluster, configMaps).Get(w.ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return o.GetResourceVersion(), nil
}

// watchConfigMaps notes every state that a config map of the test goes through in a cluster, as name=value, until the answer
// is called.
func (w *world) watchConfigMaps(cluster string) func() []string {
	w.t.Helper()
	watch, err := w.objects(cluster, configMaps).Watch(w.ctx, metav1.ListOptions{})
	w.must(err)
	var mu sync.Mutex
	var seen []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range watch.ResultChan() {
			if o, ok := e.Object.(*unstructured.Unstructured); ok {
				value, _, _ := unstructured.NestedString(o.Object, "data", "value")
				mu.Lock()
				seen = append(seen, o.GetName()+"="+value)
				mu.Unlock()
			}
		}
	}()
	return func() []string {
		watch.Stop()
		<-done
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}
