package apply

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

func status(code int32, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reason, Message: message}}
}

func TestExplain(t *testing.T) {
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	ref := manifest.Ref{Group: "apps", Kind: "Deployment", Namespace: "prod", Name: "web"}
	for _, c := range []struct {
		err    error
		reason string
		retry  Retry
	}{
		{apierrors.NewForbidden(deployments, "web", errors.New("no")), ReasonForbidden, Terminal},
		{apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "prod"), ReasonNamespaceNotFound, Waiting},
		{apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "other"), ReasonNotFound, Waiting},
		{apierrors.NewGenericServerResponse(404, "patch", deployments, "web", "404 page not found", 0, true), ReasonUnknownKind, Waiting},
		{fmt.Errorf("%w Widget", kube.ErrUnknownKind), ReasonUnknownKind, Waiting},
		{apierrors.NewConflict(deployments, "web", errors.New("conflict")), ReasonConflict, Transient},
		{apierrors.NewTooManyRequestsError("slow down"), ReasonUnavailable, Transient},
		{apierrors.NewServiceUnavailable("starting"), ReasonUnavailable, Transient},
		{apierrors.NewTimeoutError("late", 1), ReasonUnavailable, Transient},
		{apierrors.NewUnauthorized("expired"), ReasonUnauthorized, Transient},
		{apierrors.NewInternalError(errors.New("boom")), ReasonUnavailable, Transient},
		{apierrors.NewInternalError(errors.New(`failed calling webhook "w": connection refused`)), ReasonWebhookFailed, Transient},
		{apierrors.NewInternalError(errors.New("failed to create typed patch object: .datas: field not declared in schema")), ReasonInvalid, Terminal},
		{apierrors.NewRequestEntityTooLargeError("limit is 3145728"), ReasonTooLarge, Terminal},
		{status(500, "", "etcdserver: request is too large"), ReasonTooLarge, Terminal},
		{status(403, metav1.StatusReasonForbidden, `admission webhook "w" denied the request: no`), ReasonAdmissionDenied, Terminal},
		{status(400, metav1.StatusReasonBadRequest, `admission webhook "w" denied the request: no`), ReasonAdmissionDenied, Terminal},
		{status(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: violates PodSecurity "restricted"`), ReasonAdmissionDenied, Terminal},
		{status(403, metav1.StatusReasonForbidden, `services "x" is forbidden: exceeded quota: q`), ReasonQuotaExceeded, Waiting},
		{status(403, metav1.StatusReasonForbidden, `services "x" is forbidden: status unknown for quota: q, resources: services`), ReasonUnavailable, Transient},
		{status(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: error looking up service account prod/default: serviceaccount "default" not found`), ReasonNotFound, Transient},
		{status(403, metav1.StatusReasonForbidden, `unable to create new content in namespace prod because it is being terminated`), ReasonNamespaceTerminating, Waiting},
		{status(422, metav1.StatusReasonInvalid, `Deployment "web" is invalid: spec.selector: Invalid value: {"a":{"b":"c"}}: field is immutable`), ReasonImmutableField, Terminal},
		{status(422, metav1.StatusReasonInvalid, `Deployment "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0`), ReasonInvalid, Terminal},
		{&url.Error{Op: "Patch", URL: "https://x", Err: errors.New("connection refused")}, ReasonUnavailable, Transient},
		{context.DeadlineExceeded, ReasonUnavailable, Transient},
		{context.Canceled, ReasonUnavailable, Transient},
		{status(http.StatusTeapot, "", "short and stout"), ReasonFailed, Terminal},
	} {
		p := Explain(ref, c.err)
		if p.Reason != c.reason || p.Retry != c.retry || p.Ref != ref || p.Message == "" {
			t.Errorf("%v:\n got %s (retry %d) %q\nwant %s (retry %d)", c.err, p.Reason, p.Retry, p.Message, c.reason, c.retry)
		}
	}
	long := Explain(ref, status(422, metav1.StatusReasonInvalid, strings.Repeat("é", 5000)))
	if len(long.Message) > messageLimit+10 {
		t.Errorf("a message of %d bytes", len(long.Message))
	}
}

func TestMessagesHoldNoValues(t *testing.T) {
	for in, want := range map[string]string{
		`a: Invalid value: "s3: cret": must be x`:                       `a: Invalid value: must be x`,
		`a: Invalid value: "say \"s3cret\"": must be x`:                 `a: Invalid value: must be x`,
		`a: Invalid value: {"k":{"v":"s3cret: x"}}: field is immutable`: `a: Invalid value: field is immutable`,
		`a: Invalid value: 12345: too large`:                            `a: Invalid value: too large`,
		`a: Unsupported value: "s3cret": supported values: "x", "y"`:    `a: Unsupported value: supported values: "x", "y"`,
		`[a: Duplicate value: "s3cret", b: Invalid value: "s3cret": c]`: `[a: Duplicate value, b: Invalid value: c]`,
		`a: Invalid value: v1.Spec{A:"s3cret"}: nope`:                   `a: Invalid value: nope`,
		`a: Required value: say what`:                                   `a: Required value: say what`,
		`errors: .data.a: expected string, got &value.valueUnstructured{Value:s3cret} .data.b: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"s3cret":"} x"}}`: `errors: .data.a: expected string, got something else .data.b: expected string, got something else`,
		`a: Invalid value: "s3cret"`: `a: Invalid value`,
	} {
		if got := withoutValues(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}
