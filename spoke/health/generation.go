package health

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// revisionAnnotation numbers the revisions of a Deployment, on it and on its ReplicaSets.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// none is a generation that no pod has.
const none = "(none)"

var replicaSetResource = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}

// generationOf answers which revision of its workload a pod is of.
func generationOf(pod *unstructured.Unstructured) string {
	labels := pod.GetLabels()
	if hash := labels["pod-template-hash"]; hash != "" {
		return hash
	}
	return labels["controller-revision-hash"]
}

// current answers the generation that a workload is being brought to. While it is rolled out, pods of the one before say nothing about it: a
// good revision that replaces a bad one must not be taken for bad by the pods that it is about to end.
func current(ctx context.Context, client dynamic.Interface, workload *unstructured.Unstructured, selector string, pods []unstructured.Unstructured) (string, error) {
	switch workload.GetKind() {
	case "StatefulSet":
		if revision, _, _ := unstructured.NestedString(workload.Object, "status", "updateRevision"); revision != "" {
			return revision, nil
		}
	case "Deployment", "DaemonSet":
		if made(workload) == 0 {
			return none, nil
		}
		if workload.GetKind() == "Deployment" && mixed(pods) {
			generation, err := replicaSet(ctx, client, workload, selector)
			if generation != "" {
				return generation, nil
			}
			return newest(pods), err
		}
	}
	return newest(pods), nil
}

// made counts the pods of the newest generation, by the workload's own word; -1 if its controller has not said anything yet.
func made(workload *unstructured.Unstructured) int64 {
	if _, ok, _ := unstructured.NestedInt64(workload.Object, "status", "observedGeneration"); !ok {
		return -1
	}
	field := "updatedReplicas"
	if workload.GetKind() == "DaemonSet" {
		field = "updatedNumberScheduled"
	}
	n, _, _ := unstructured.NestedInt64(workload.Object, "status", field)
	return n
}

// mixed tells whether pods are of several generations.
func mixed(pods []unstructured.Unstructured) bool {
	for i := range pods {
		if generationOf(&pods[i]) != generationOf(&pods[0]) {
			return true
		}
	}
	return false
}

// replicaSet answers the generation of a Deployment's present ReplicaSet, which after a return to an earlier revision is not the one made last.
func replicaSet(ctx context.Context, client dynamic.Interface, deployment *unstructured.Unstructured, selector string) (string, error) {
	revision := deployment.GetAnnotations()[revisionAnnotation]
	if revision == "" {
		return "", nil
	}
	list, err := client.Resource(replicaSetResource).Namespace(deployment.GetNamespace()).
		List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: podPage})
	if err != nil {
		return "", fmt.Errorf("list replica sets: %w", err)
	}
	for i := range list.Items {
		set := &list.Items[i]
		if set.GetAnnotations()[revisionAnnotation] == revision && metav1.IsControlledBy(set, deployment) {
			return generationOf(set), nil
		}
	}
	return "", nil
}

// newest answers the generation of the pod that was made last.
func newest(pods []unstructured.Unstructured) string {
	var last *unstructured.Unstructured
	for i := range pods {
		if p := &pods[i]; last == nil || last.GetCreationTimestamp().Time.Before(p.GetCreationTimestamp().Time) {
			last = p
		}
	}
	if last == nil {
		return ""
	}
	return generationOf(last)
}
