package health

import (
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// State of an object.
type State int

const (
	// Ready: it is what its manifest asks for.
	Ready State = iota
	// Waiting: it is on its way.
	Waiting
	// Failing: it does not get there without help, or its controller says so.
	Failing
)

// Reasons.
const (
	ReasonInProgress  = "InProgress"
	ReasonTerminating = "Terminating"
	ReasonFailed      = "Failed"
	ReasonUnknown     = "StatusUnknown"
	ReasonNotReady    = "NotReady"
	ReasonMissing     = "Missing"
)

// Result is a judgement.
type Result struct {
	State   State
	Reason  string // CamelCase; empty when ready
	Message string
}

// passive are built-in kinds that have no status to wait for. Nothing needs to be read to judge them.
var passive = func() map[schema.GroupKind]bool {
	m := map[schema.GroupKind]bool{}
	for group, kinds := range map[string][]string{
		"":                             {"ConfigMap", "Secret", "ServiceAccount", "Endpoints", "LimitRange", "PodTemplate", "ResourceQuota"},
		"discovery.k8s.io":             {"EndpointSlice"},
		"rbac.authorization.k8s.io":    {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"},
		"storage.k8s.io":               {"StorageClass", "VolumeAttributesClass", "CSIDriver"},
		"scheduling.k8s.io":            {"PriorityClass"},
		"networking.k8s.io":            {"IngressClass", "NetworkPolicy"},
		"node.k8s.io":                  {"RuntimeClass"},
		"resource.k8s.io":              {"DeviceClass"},
		"coordination.k8s.io":          {"Lease"},
		"admissionregistration.k8s.io": {"MutatingAdmissionPolicy", "MutatingWebhookConfiguration", "MutatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicyBinding"},
	} {
		for _, kind := range kinds {
			m[schema.GroupKind{Group: group, Kind: kind}] = true
		}
	}
	return m
}()

// Passive tells whether objects of a kind are ready as soon as they are applied.
func Passive(group, kind string) bool { return passive[schema.GroupKind{Group: group, Kind: kind}] }

// Of judges an object by what it says itself. The object must be whole, with its status.
func Of(object *unstructured.Unstructured) Result {
	gk := object.GroupVersionKind().GroupKind()
	if Passive(gk.Group, gk.Kind) && object.GetDeletionTimestamp() == nil {
		return Result{}
	}
	if gk.Group == "batch" && gk.Kind == "Job" && object.GetDeletionTimestamp() == nil {
		return ofJob(object)
	}
	result, err := status.Compute(object)
	if err != nil {
		return Result{State: Waiting, Reason: ReasonUnknown, Message: "its status cannot be read: " + err.Error()}
	}
	message := oneLine(result.Message)
	switch result.Status {
	case status.CurrentStatus:
		return Result{}
	case status.FailedStatus:
		return Result{State: Failing, Reason: reasonOf(result, status.ConditionStalled, ReasonFailed), Message: message + detail(object)}
	case status.TerminatingStatus:
		return Result{State: Waiting, Reason: ReasonTerminating, Message: "it is being deleted, and will be made anew" + holders(object)}
	case status.InProgressStatus:
		if failure, ok := replicaFailure(object); ok {
			return failure
		}
		return Result{State: Waiting, Reason: reasonOf(result, status.ConditionReconciling, ReasonInProgress), Message: message}
	}
	return Result{State: Waiting, Reason: ReasonUnknown, Message: message}
}

// ofJob waits for a Job's end: kstatus takes one that has started for ready.
func ofJob(job *unstructured.Unstructured) Result {
	if c, ok := condition(job, "Failed"); ok && c["status"] == "True" {
		return Result{State: Failing, Reason: named(c["reason"], "JobFailed"), Message: oneLine(fmt.Sprintf("the job has failed: %v", c["message"]))}
	}
	for _, done := range []string{"Complete", "SuccessCriteriaMet"} {
		if c, ok := condition(job, done); ok && c["status"] == "True" {
			return Result{}
		}
	}
	if suspended, _, _ := unstructured.NestedBool(job.Object, "spec", "suspend"); suspended {
		return Result{} // it does what it was asked to do
	}
	active, _, _ := unstructured.NestedInt64(job.Object, "status", "active")
	succeeded, _, _ := unstructured.NestedInt64(job.Object, "status", "succeeded")
	failed, _, _ := unstructured.NestedInt64(job.Object, "status", "failed")
	return Result{State: Waiting, Reason: "JobRunning", Message: fmt.Sprintf("pods: %d active, %d succeeded, %d failed", active, succeeded, failed)}
}

// replicaFailure finds why a controller cannot make pods, such as an exceeded quota.
func replicaFailure(object *unstructured.Unstructured) (Result, bool) {
	c, ok := condition(object, "ReplicaFailure")
	if !ok || c["status"] != "True" {
		return Result{}, false
	}
	text := oneLine(fmt.Sprint(c["message"]))
	reason := named(c["reason"], "FailedCreate")
	if strings.Contains(text, "exceeded quota") {
		reason = "QuotaExceeded"
	}
	return Result{State: Failing, Reason: reason, Message: "its pods cannot be made: " + text}, true
}

// detail adds what a condition says about a failure, which kstatus leaves out.
func detail(object *unstructured.Unstructured) string {
	c, ok := condition(object, "Progressing")
	if !ok || c["status"] != "False" || c["message"] == nil {
		return ""
	}
	return ": " + oneLine(fmt.Sprint(c["message"]))
}

func holders(object *unstructured.Unstructured) string {
	if f := object.GetFinalizers(); len(f) > 0 {
		return "; its finalizers are: " + strings.Join(f, ", ")
	}
	return ""
}

func reasonOf(result *status.Result, kind status.ConditionType, otherwise string) string {
	for _, c := range result.Conditions {
		if c.Type == kind {
			return named(c.Reason, otherwise)
		}
	}
	return otherwise
}

// named answers a reason if it looks like one.
func named(reason any, otherwise string) string {
	s, _ := reason.(string)
	if s == "" || len(s) > 64 || strings.ContainsAny(s, " \n\t") {
		return otherwise
	}
	return s
}

func condition(object *unstructured.Unstructured, kind string) (map[string]any, bool) {
	conditions, _, _ := unstructured.NestedFieldNoCopy(object.Object, "status", "conditions")
	list, _ := conditions.([]any)
	for _, item := range list {
		if c, ok := item.(map[string]any); ok && c["type"] == kind {
			return c, true
		}
	}
	return nil, false
}

// messageLimit bounds what is taken over from an object, in bytes.
const messageLimit = 512

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > messageLimit {
		s = strings.ToValidUTF8(s[:messageLimit], "") + "…"
	}
	return s
}
