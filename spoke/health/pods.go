package health

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const (
	// podPage is how many pods are looked at: what keeps a workload from being ready is seldom in the last of hundreds.
	podPage = 100
	// unschedulableAfter is how long a pod may be without a place before that is a problem: a scheduler's second try, or the
	// end of the pod that is being replaced, often comes at once.
	unschedulableAfter = 3 * time.Second
)

var podResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// HasPods tells whether objects of a kind run pods that say why they are not ready.
func HasPods(group, kind string) bool {
	switch group + "/" + kind {
	case "apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "apps/ReplicaSet", "batch/Job", "/Pod", "/ReplicationController":
		return true
	}
	return false
}

// Pods looks for the reason in the pods of a workload that is not ready. ok is false if they say nothing worse than that
// they are starting. It costs one request, two while pods of several revisions are there; none for a pod.
func Pods(ctx context.Context, client dynamic.Interface, workload *unstructured.Unstructured, now time.Time) (r Result, ok bool, err error) {
	if workload.GetKind() == "Pod" {
		r, ok = ofPod(workload, now)
		return r, ok, nil
	}
	selector, err := selectorOf(workload)
	if err != nil || selector == "" {
		return Result{}, false, err
	}
	list, err := client.Resource(podResource).Namespace(workload.GetNamespace()).
		List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: podPage})
	if err != nil {
		return Result{}, false, fmt.Errorf("list pods: %w", err)
	}
	pods := slices.DeleteFunc(list.Items, func(p unstructured.Unstructured) bool { return p.GetDeletionTimestamp() != nil })
	current, err := current(ctx, client, workload, selector, pods)
	for i := range pods {
		pod := &pods[i]
		if phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase"); phase == "Failed" && workload.GetKind() == "Job" {
			continue // the job tries again, or says itself that it has failed
		}
		earlier := generationOf(pod) != current
		if earlier && !inOrder(workload) {
			continue
		}
		found, bad := ofPod(pod, now)
		if bad && earlier {
			found.Message += "; it is of the revision before, and holds up this one: delete the pod"
		}
		if bad && (!ok || rank(found.Reason) < rank(r.Reason)) {
			r, ok = found, true
		}
	}
	return r, ok, err
}

// inOrder tells whether a workload replaces a pod only when those before it are ready, even one that never will be.
func inOrder(workload *unstructured.Unstructured) bool {
	policy, _, _ := unstructured.NestedString(workload.Object, "spec", "podManagementPolicy")
	return workload.GetKind() == "StatefulSet" && policy != "Parallel"
}

// selectorOf answers the label selector of a workload's pods.
func selectorOf(workload *unstructured.Unstructured) (string, error) {
	field, _, _ := unstructured.NestedFieldNoCopy(workload.Object, "spec", "selector")
	m, _ := field.(map[string]any)
	if m == nil {
		return "", nil
	}
	if workload.GetKind() == "ReplicationController" {
		labels := map[string]string{}
		for key, value := range m {
			labels[key] = fmt.Sprint(value)
		}
		return metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: labels}), nil
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m, &selector); err != nil {
		return "", fmt.Errorf("read the pod selector: %w", err)
	}
	parsed, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return "", fmt.Errorf("read the pod selector: %w", err)
	}
	return parsed.String(), nil
}

// starting are reasons to wait that pass by themselves.
var starting = map[string]bool{"": true, "ContainerCreating": true, "PodInitializing": true}

// rank puts the reason first that most often is the cause of others.
func rank(reason string) int {
	for i, r := range []string{"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "OOMKilled", "CrashLoopBackOff"} {
		if r == reason {
			return i
		}
	}
	if reason == "Unschedulable" {
		return 100
	}
	return 50
}

// ofPod answers what is wrong with a pod, by the kubelet's and the scheduler's own words.
func ofPod(pod *unstructured.Unstructured, now time.Time) (Result, bool) {
	name := pod.GetName()
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		statuses, _, _ := unstructured.NestedFieldNoCopy(pod.Object, "status", field)
		list, _ := statuses.([]any)
		for _, item := range list {
			if s, ok := item.(map[string]any); ok {
				if found, bad := ofContainer(name, s); bad {
					return found, true
				}
			}
		}
	}
	if phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase"); phase == "Failed" {
		reason, _, _ := unstructured.NestedString(pod.Object, "status", "reason")
		text, _, _ := unstructured.NestedString(pod.Object, "status", "message")
		return Result{State: Failing, Reason: named(reason, "PodFailed"), Message: oneLine(fmt.Sprintf("pod %s has failed: %s", name, text))}, true
	}
	c, ok := condition(pod, "PodScheduled")
	if !ok || c["status"] != "False" || c["reason"] != "Unschedulable" {
		return Result{}, false
	}
	since, err := time.Parse(time.RFC3339, fmt.Sprint(c["lastTransitionTime"]))
	if err == nil && now.Sub(since) < unschedulableAfter {
		return Result{}, false
	}
	return Result{State: Failing, Reason: "Unschedulable", Message: oneLine(fmt.Sprintf("pod %s has no node: %v", name, c["message"]))}, true
}

func ofContainer(pod string, s map[string]any) (Result, bool) {
	container := fmt.Sprintf("pod %s, container %v (image %v)", pod, s["name"], s["image"])
	last := terminated(s, "lastState")
	if waiting, _, _ := unstructured.NestedMap(s, "state", "waiting"); waiting != nil {
		reason, _ := waiting["reason"].(string)
		if starting[reason] {
			return Result{}, false
		}
		text := fmt.Sprint(waiting["message"])
		if waiting["message"] == nil {
			text = "waiting"
		}
		if reason == "CrashLoopBackOff" && last != nil {
			// The kubelet's own text changes with each back-off, and says less.
			text = fmt.Sprintf("it keeps ending, last with %v, exit code %v", last["reason"], last["exitCode"])
			if last["reason"] == "OOMKilled" {
				reason = "OOMKilled"
			}
		}
		return Result{State: Failing, Reason: named(reason, "ContainerWaiting"), Message: oneLine(container + ": " + text)}, true
	}
	for _, ended := range []map[string]any{terminated(s, "state"), last} {
		if ended != nil && ended["reason"] == "OOMKilled" {
			return Result{State: Failing, Reason: "OOMKilled",
				Message: oneLine(fmt.Sprintf("%s: killed for using more memory than its limit; restarts: %v", container, s["restartCount"]))}, true
		}
	}
	if ended := terminated(s, "state"); ended != nil && fmt.Sprint(ended["exitCode"]) != "0" {
		return Result{State: Failing, Reason: named(ended["reason"], "ContainerFailed"),
			Message: oneLine(fmt.Sprintf("%s: ended with exit code %v", container, ended["exitCode"]))}, true
	}
	return Result{}, false
}

func terminated(s map[string]any, state string) map[string]any {
	m, _, _ := unstructured.NestedMap(s, state, "terminated")
	return m
}
