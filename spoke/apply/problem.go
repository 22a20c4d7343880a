package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// Reasons of problems with single objects.
const (
	ReasonInvalid              = "Invalid"
	ReasonImmutableField       = "ImmutableField"
	ReasonUnknownKind          = "UnknownKind"
	ReasonNamespaceNotFound    = "NamespaceNotFound"
	ReasonNamespaceTerminating = "NamespaceTerminating"
	ReasonNamespaceOnCluster   = "NamespaceOnClusterScoped"
	ReasonNotFound             = "NotFound"
	ReasonForbidden            = "Forbidden"
	ReasonUnauthorized         = "Unauthorized"
	ReasonAdmissionDenied      = "AdmissionDenied"
	ReasonQuotaExceeded        = "QuotaExceeded"
	ReasonWebhookFailed        = "WebhookFailed"
	ReasonConflict             = "Conflict"
	ReasonTakeoverRefused      = "TakeoverRefused"
	ReasonTooLarge             = "TooLarge"
	ReasonUnavailable          = "Unavailable"
	ReasonClaimedByBundle      = "ClaimedByBundle"
	ReasonNotEstablished       = "NotEstablished"
	ReasonFinalizers           = "WaitingForFinalizers"
	ReasonFailed               = "Failed"
)

// Retry says how soon trying again may help.
type Retry int

const (
	// Terminal: not before the bundle or the cluster is changed by somebody.
	Terminal Retry = iota
	// Waiting: when something else is there that may be on its way, such as a namespace.
	Waiting
	// Transient: soon, with nobody doing anything.
	Transient
	// Never: not before the spoke's own policy is another one, which wakes the bundle.
	Never
)

// Problem is what is wrong with one object.
type Problem struct {
	Ref     manifest.Ref
	Reason  string // CamelCase
	Message string // what is wrong and what to do; never a value of the object
	Retry   Retry
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return fmt.Sprintf("%s: %s: %s", p.Ref, p.Reason, p.Message) }

const (
	// messageLimit bounds a message, in bytes: an admission webhook can say anything at any length.
	messageLimit = 1024
)

// Explain turns an error of the API server about an object into a Problem.
func Explain(ref manifest.Ref, err error) *Problem {
	p := explain(ref, err)
	p.Ref = ref
	if len(p.Message) > messageLimit {
		p.Message = strings.ToValidUTF8(p.Message[:messageLimit], "") + "…"
	}
	return p
}

func explain(ref manifest.Ref, err error) *Problem {
	var problem *Problem
	if errors.As(err, &problem) {
		found := *problem
		return &found
	}
	text := message(err)
	switch {
	case errors.Is(err, kube.ErrUnknownKind):
		return unknownKind(ref, text)
	case errors.Is(err, context.Canceled):
		return &Problem{Reason: ReasonUnavailable, Message: "interrupted; it is tried again", Retry: Transient}
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err),
		apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err):
		return &Problem{Reason: ReasonUnavailable, Message: "the API server does not answer in time: " + text + "; it is tried again", Retry: Transient}
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return transport(err, text)
	}
	switch {
	case strings.Contains(text, "failed calling webhook"):
		return &Problem{Reason: ReasonWebhookFailed, Retry: Transient,
			Message: "an admission webhook did not answer: " + text + "; see to the webhook's own workload, or to its failurePolicy"}
	case apierrors.IsRequestEntityTooLargeError(err), strings.Contains(text, "request is too large"), strings.Contains(text, "message larger than max"),
		strings.Contains(text, "Too long: may not be more than"):
		return &Problem{Reason: ReasonTooLarge, Message: "the API server does not accept an object of this size: " + text + "; split it"}
	case status.Status().Code == http.StatusUnauthorized:
		return &Problem{Reason: ReasonUnauthorized, Message: "the API server does not accept the spoke's credentials: " + text, Retry: Transient}
	case denied(text):
		return &Problem{Reason: ReasonAdmissionDenied, Message: text + "; change the object, or the policy that denies it"}
	case apierrors.HasStatusCause(err, "NamespaceTerminating"), strings.Contains(text, "because it is being terminated"):
		return &Problem{Reason: ReasonNamespaceTerminating, Retry: Waiting,
			Message: fmt.Sprintf("namespace %s is being deleted; the object is applied when the namespace is there again", ref.Namespace)}
	case strings.Contains(text, "status unknown for quota"):
		return &Problem{Reason: ReasonUnavailable, Retry: Transient,
			Message: "the cluster has not counted yet what a quota is about: " + text + "; it is tried again"}
	case strings.Contains(text, "error looking up service account"):
		// As in a namespace that was just made: its default account comes a moment later.
		return &Problem{Reason: ReasonNotFound, Message: "its service account is not there yet: " + text + "; it is tried again", Retry: Transient}
	case strings.Contains(text, "exceeded quota"):
		return &Problem{Reason: ReasonQuotaExceeded, Message: text + "; free some of the quota or raise it", Retry: Waiting}
	case apierrors.IsForbidden(err):
		return &Problem{Reason: ReasonForbidden, Message: text + "; grant that user this right, or take the object out of the bundle"}
	case apierrors.IsNotFound(err):
		return notFound(ref, status.Status(), text)
	case conflicting(err):
		return &Problem{Reason: ReasonConflict, Message: fmt.Sprintf("others have fields that the bundle sets otherwise: %s; take these fields out of the bundle, "+
			"or have the bundle take them over with the annotation %s: %q", contested(err), yardarmv1.AnnotationConflict, yardarmv1.ConflictForce)}
	case apierrors.IsConflict(err):
		return &Problem{Reason: ReasonConflict, Message: text, Retry: Transient}
	case onlyImmutable(status.Status(), text) && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)):
		return immutableField(ref, text)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err), apierrors.IsNotAcceptable(err),
		status.Status().Code == http.StatusUnsupportedMediaType:
		return &Problem{Reason: ReasonInvalid, Message: text}
	case schemaError(text):
		return &Problem{Reason: ReasonInvalid, Message: text}
	case status.Status().Code >= http.StatusInternalServerError:
		return &Problem{Reason: ReasonUnavailable, Message: "the API server fails: " + text + "; it is tried again", Retry: Transient}
	}
	return &Problem{Reason: ReasonFailed, Message: text}
}

func unknownKind(ref manifest.Ref, text string) *Problem {
	return &Problem{Reason: ReasonUnknownKind, Retry: Waiting,
		Message: text + "; add the CustomResourceDefinition to the bundle or to another one, or correct the apiVersion"}
}

// notFound tells a missing namespace from a missing kind, and from something else that is missing.
func notFound(ref manifest.Ref, status metav1.Status, text string) *Problem {
	if d := status.Details; ref.Namespace != "" && d != nil && d.Kind == "namespaces" && d.Name == ref.Namespace {
		return &Problem{Reason: ReasonNamespaceNotFound, Retry: Waiting,
			Message: fmt.Sprintf("namespace %s does not exist; add it to the bundle, or create it", ref.Namespace)}
	}
	if servedNot(text) {
		return unknownKind(ref, text)
	}
	return &Problem{Reason: ReasonNotFound, Message: "it refers to what is not there: " + text, Retry: Waiting}
}

// servedNot recognizes the answer to a path that does not exist, as against an object that does not.
func servedNot(text string) bool {
	return strings.Contains(text, "could not find the requested resource") || strings.Contains(text, "page not found")
}

// transport is an error below HTTP: nothing answered, or not with what was expected.
func transport(err error, text string) *Problem {
	var netErr net.Error
	var urlErr *url.Error
	if errors.As(err, &netErr) || errors.As(err, &urlErr) {
		return &Problem{Reason: ReasonUnavailable, Message: "the API server cannot be reached: " + text + "; it is tried again", Retry: Transient}
	}
	return &Problem{Reason: ReasonUnavailable, Message: text, Retry: Transient}
}

// denied tells a webhook's or a policy's no from the API server's own.
func denied(text string) bool {
	return strings.Contains(text, "denied the request") || strings.Contains(text, "denied request") || strings.Contains(text, "violates PodSecurity")
}

// immutableField says what can be done about a change that the API server takes for no object that is there.
func immutableField(ref manifest.Ref, text string) *Problem {
	text += "; undo the change of this field"
	if Grave(ref) {
		text += fmt.Sprintf(" (a %s is never deleted to be made anew)", ref.Kind)
	} else {
		text += fmt.Sprintf(", or have the object deleted and made anew with the annotation %s: \"true\"", yardarmv1.AnnotationRecreate)
	}
	return &Problem{Reason: ReasonImmutableField, Message: text}
}

// onlyImmutable tells whether immutable fields are all that is wrong: with something else wrong, too, the object could not be
// made anew.
func onlyImmutable(status metav1.Status, text string) bool {
	if status.Details == nil || len(status.Details.Causes) == 0 {
		return immutable(text)
	}
	return !slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool { return !immutable(c.Message) })
}

func immutable(text string) bool {
	return strings.Contains(text, "immutable") ||
		strings.Contains(text, "may not be changed") || strings.Contains(text, "may not change once set") ||
		strings.Contains(text, "pod updates may not change fields other than") ||
		strings.Contains(text, "cannot change roleRef") ||
		strings.Contains(text, "updates to ") && strings.Contains(text, "forbidden")
}

// schemaError recognizes a patch that does not fit the kind's schema, for which the API server answers 500.
func schemaError(text string) bool {
	return strings.Contains(text, "failed to create typed patch object") || strings.Contains(text, "field not declared in schema") ||
		strings.Contains(text, "failed to convert new object") || strings.Contains(text, "cannot unmarshal")
}

// message is an error's text on one line, without values of the object, which may be secret.
func message(err error) string {
	text := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		text = status.Status().Message
	}
	return strings.Join(strings.Fields(withoutValues(text)), " ")
}

// withoutValues takes the values out of messages of field validation, such as: spec.x: Invalid value: "s3cret": must be …
func withoutValues(text string) string {
	text = withoutMisfits(text)
	var b strings.Builder
	for {
		i, mark := -1, ""
		for _, m := range []string{"Invalid value: ", "Duplicate value: ", "Unsupported value: "} {
			if at := strings.Index(text, m); at >= 0 && (i < 0 || at < i) {
				i, mark = at, m
			}
		}
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		b.WriteString(strings.TrimSuffix(mark, ": "))
		text = text[i+len(mark):]
		text = text[valueLength(text):]
	}
}

// withoutMisfits takes the values out of messages about types, such as: .data.x: expected string, got &value.…{Value:12345} .data.y: …
func withoutMisfits(text string) string {
	parts := strings.Split(text, ", got &value.")
	for i := 1; i < len(parts); i++ {
		// What follows the value begins with the next field's path.
		rest := len(parts[i])
		if next := strings.LastIndex(parts[i], " ."); next >= 0 {
			rest = next
		}
		parts[i] = parts[i][rest:]
	}
	return strings.Join(parts, ", got something else")
}

// valueLength is the length of the value that text begins with: JSON, or up to the next colon.
func valueLength(text string) int {
	decoder := json.NewDecoder(strings.NewReader(text))
	var value json.RawMessage
	if decoder.Decode(&value) == nil {
		if n := int(decoder.InputOffset()); n == len(text) || strings.HasPrefix(text[n:], ": ") || strings.HasPrefix(text[n:], ",") {
			return n
		}
	}
	if n := strings.Index(text, ": "); n >= 0 {
		return n
	}
	return len(text)
}
