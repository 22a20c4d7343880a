package health

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/yardarm-dev/yardarm/pkg/healthrule"
)

var classResource = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}

// Look judges an object that has just been read, and looks around it where it does not say itself why it is not ready: at the pods of a workload,
// at the class of a claim. It costs up to two requests for an object that is not ready, and none for one that is. The judgement stands whatever
// the error, which says what could not be looked at.
func Look(ctx context.Context, client dynamic.Interface, object *unstructured.Unstructured, rules *healthrule.Rules, now time.Time) (Result, error) {
	result := Of(object, rules)
	// A status that is about an earlier generation is no reason to look at the pods, which are of that generation, too.
	if result.State == Ready || object.GetDeletionTimestamp() != nil || !observed(object) {
		return result, nil
	}
	gk := object.GroupVersionKind().GroupKind()
	ruled := rules.Has(gk.Group, gk.Kind)
	switch {
	case HasPods(gk.Group, gk.Kind):
		found, ok, err := Pods(ctx, client, object, now)
		if !ok {
			return result, err
		}
		if ruled {
			found.State = result.State // the rule decides, and the pods say why
		}
		return found, err
	case gk.Group == "" && gk.Kind == "PersistentVolumeClaim" && !ruled && result.State == Waiting:
		late, err := bindsLate(ctx, client, object)
		if late {
			return Result{}, err
		}
		return result, err
	}
	return result, nil
}

// bindsLate tells whether a claim gets its volume only when a pod uses it, and none does yet. Nothing is wrong with such a claim, and nothing
// will come of waiting for it; the workload that needs it says so itself.
func bindsLate(ctx context.Context, client dynamic.Interface, claim *unstructured.Unstructured) (bool, error) {
	if claim.GetAnnotations()["volume.kubernetes.io/selected-node"] != "" {
		return false, nil
	}
	name, _, _ := unstructured.NestedString(claim.Object, "spec", "storageClassName")
	if name == "" {
		return false, nil
	}
	class, err := client.Resource(classResource).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("read storage class %s: %w", name, err)
	}
	mode, _, _ := unstructured.NestedString(class.Object, "volumeBindingMode")
	return mode == "WaitForFirstConsumer", nil
}
