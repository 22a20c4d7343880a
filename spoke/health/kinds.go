package health

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// builtin are the kinds that kstatus judges otherwise than people who wait for them would. Each answers false where it leaves the
// object to kstatus.
var builtin = map[schema.GroupKind]func(*unstructured.Unstructured) (Result, bool){
	{Group: "batch", Kind: "Job"}:                           ofJob,
	{Kind: "Pod"}:                                           ofFailedPod,
	{Kind: "PersistentVolumeClaim"}:                         ofLostClaim,
	{Kind: "Service"}:                                       ofService,
	{Group: "apps", Kind: "DaemonSet"}:                      ofManualDaemonSet,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:   ofAPIService,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: ofAutoscaler,
}

// Ended tells how a Job has ended, if it has.
func Ended(job *unstructured.Unstructured) (succeeded, ended bool) {
	for kind, succeeded := range map[string]bool{"Failed": false, "Complete": true, "SuccessCriteriaMet": true} {
		if c, ok := condition(job, kind); ok && c["status"] == "True" {
			return succeeded, true
		}
	}
	return false, false
}

// expired tells whether an object is deleted because it has come to its end, as a Job with ttlSecondsAfterFinished is: it is what it was.
func expired(object *unstructured.Unstructured, gk schema.GroupKind) bool {
	if gk.Group != "batch" || gk.Kind != "Job" {
		return false
	}
	_, ended := Ended(object)
	return ended && DeletesItself(object.Object)
}

// DeletesItself tells whether a Job is deleted some time after its end.
func DeletesItself(job map[string]any) bool {
	_, ok, err := unstructured.NestedFieldNoCopy(job, "spec", "ttlSecondsAfterFinished")
	return ok && err == nil
}

// ofJob waits for a Job's end: kstatus takes one that has started for ready.
func ofJob(job *unstructured.Unstructured) (Result, bool) {
	succeeded, ended := Ended(job)
	if ended && !succeeded {
		c, _ := condition(job, "Failed")
		return Result{State: Failing, Reason: named(c["reason"], "JobFailed"), Message: oneLine(fmt.Sprintf("the job has failed: %v", c["message"]))}, true
	}
	if suspended, _, _ := unstructured.NestedBool(job.Object, "spec", "suspend"); ended || suspended {
		return Result{}, true // a suspended one does what it was asked to do
	}
	active, _, _ := unstructured.NestedInt64(job.Object, "status", "active")
	succeededPods, _, _ := unstructured.NestedInt64(job.Object, "status", "succeeded")
	failed, _, _ := unstructured.NestedInt64(job.Object, "status", "failed")
	return Result{State: Waiting, Reason: "JobRunning", Message: fmt.Sprintf("pods: %d active, %d succeeded, %d failed", active, succeededPods, failed)}, true
}

// ofFailedPod tells a pod that has failed from one that has done its work: for kstatus, either has come to its end.
func ofFailedPod(pod *unstructured.Unstructured) (Result, bool) {
	if phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase"); phase != "Failed" {
		return Result{}, false
	}
	return ofPod(pod, pod.GetCreationTimestamp().Time)
}

// ofLostClaim tells a claim whose volume is gone from one that has none yet.
func ofLostClaim(claim *unstructured.Unstructured) (Result, bool) {
	if phase, _, _ := unstructured.NestedString(claim.Object, "status", "phase"); phase != "Lost" {
		return Result{}, false
	}
	return Result{State: Failing, Reason: "ClaimLost", Message: "the volume that it was bound to is gone, and its data with it"}, true
}

// ofService waits for a load balancer's address, which is what a Service of this type is made for. Where a cluster has nobody to give
// it one, it never comes, and the bundle's timeout says so; a health rule for Service ("true") waits for nothing.
func ofService(service *unstructured.Unstructured) (Result, bool) {
	if kind, _, _ := unstructured.NestedString(service.Object, "spec", "type"); kind != "LoadBalancer" {
		return Result{}, true
	}
	given, _, _ := unstructured.NestedSlice(service.Object, "status", "loadBalancer", "ingress")
	external, _, _ := unstructured.NestedSlice(service.Object, "spec", "externalIPs")
	if len(given)+len(external) > 0 {
		return Result{}, true
	}
	return Result{State: Waiting, Reason: "LoadBalancerPending", Message: "nobody has given the load balancer an address yet"}, true
}

// ofManualDaemonSet does not wait for pods that are only replaced when somebody deletes them. kstatus knows this of StatefulSets.
func ofManualDaemonSet(set *unstructured.Unstructured) (Result, bool) {
	strategy, _, _ := unstructured.NestedString(set.Object, "spec", "updateStrategy", "type")
	desired, known, _ := unstructured.NestedInt64(set.Object, "status", "desiredNumberScheduled")
	available, _, _ := unstructured.NestedInt64(set.Object, "status", "numberAvailable")
	return Result{}, strategy == "OnDelete" && known && observed(set) && available >= desired
}

// ofAPIService waits for the API server to reach what serves the group: while it does not, every namespace's deletion hangs.
func ofAPIService(service *unstructured.Unstructured) (Result, bool) {
	c, ok := condition(service, "Available")
	switch {
	case !ok:
		return Result{State: Waiting, Reason: ReasonInProgress, Message: "the API server has not looked at it yet"}, true
	case c["status"] != "True":
		return Result{State: Waiting, Reason: named(c["reason"], ReasonNotReady), Message: oneLine(fmt.Sprintf("it is not available: %v", c["message"]))}, true
	}
	return Result{}, true
}

// ofAutoscaler says when there is nothing that it could scale. It does not wait for metrics: what it scales runs without them, a cluster may
// have none, and a new workload's come a minute late.
func ofAutoscaler(scaler *unstructured.Unstructured) (Result, bool) {
	c, ok := condition(scaler, "AbleToScale")
	if !ok || c["status"] != "False" {
		return Result{}, false
	}
	return Result{State: Waiting, Reason: named(c["reason"], ReasonNotReady), Message: oneLine(fmt.Sprintf("it cannot scale: %v", c["message"]))}, true
}
