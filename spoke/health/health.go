package health

import (
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/yardarm-dev/yardarm/pkg/healthrule"
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
	ReasonUnobserved  = "LatestGenerationNotObserved"
	ReasonInvalidRule = "InvalidHealthRule"
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

// Passive tells whether objects of a kind are ready as soon as they are applied. A kind that a bundle has a rule for never is.
func Passive(group, kind string) bool { return passive[schema.GroupKind{Group: group, Kind: kind}] }

// Of judges an object by what it says itself: by the bundle's rule for its kind if there is one, otherwise by the usual ones. The object must be
// whole, with its status. Status that is not about the newest generation says nothing yet, whoever judges it.
func Of(object *unstructured.Unstructured, rules *healthrule.Rules) Result {
	gk := object.GroupVersionKind().GroupKind()
	if object.GetDeletionTimestamp() != nil && !expired(object, gk) {
		return Result{State: Waiting, Reason: ReasonTerminating, Message: "it is being deleted, and will be made anew" + holders(object)}
	}
	if rules.Has(gk.Group, gk.Kind) {
		return byRule(object, rules, gk)
	}
	if Passive(gk.Group, gk.Kind) {
		return Result{}
	}
	if judge := builtin[gk]; judge != nil {
		if r, ok := judge(object); ok {
			return r
		}
	}
	return byConvention(object)
}

// byRule judges by the bundle's own rule.
func byRule(object *unstructured.Unstructured, rules *healthrule.Rules, gk schema.GroupKind) Result {
	if !observed(object) {
		return Result{State: Waiting, Reason: ReasonUnobserved, Message: "its controller has not seen its newest generation yet"}
	}
	j := rules.Judge(gk.Group, gk.Kind, object.Object)
	switch {
	case j.Ready:
		return Result{}
	case j.Broken:
		return Result{State: Failing, Reason: ReasonInvalidRule, Message: j.Message}
	case j.Failing:
		return Result{State: Failing, Reason: ReasonFailed, Message: j.Message}
	}
	return Result{State: Waiting, Reason: ReasonNotReady, Message: j.Message}
}

// observed tells whether the status is about the newest generation, as far as the object says.
func observed(object *unstructured.Unstructured) bool {
	seen, ok, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	return !ok || err != nil || object.GetGeneration() == 0 || seen == object.GetGeneration()
}

// byConvention judges by kstatus.
func byConvention(object *unstructured.Unstructured) Result {
	result, err := status.Compute(object)
	if err != nil {
		return Result{State: Waiting, Reason: ReasonUnknown,
			Message: oneLine("its status follows no convention that is known here; give the bundle a health rule for its kind: " + err.Error())}
	}
	message := oneLine(result.Message)
	switch result.Status {
	case status.CurrentStatus:
		return Result{}
	case status.FailedStatus:
		return Result{State: Failing, Reason: reasonOf(result, status.ConditionStalled, ReasonFailed), Message: message + detail(object)}
	case status.InProgressStatus:
		if failure, ok := replicaFailure(object); ok {
			return failure
		}
		return Result{State: Waiting, Reason: reasonOf(result, status.ConditionReconciling, ReasonInProgress), Message: message}
	}
	return Result{State: Waiting, Reason: ReasonUnknown, Message: message}
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
