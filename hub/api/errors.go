package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// errorDomain is the domain of the reasons in google.rpc.ErrorInfo.
const errorDomain = "yardarm.dev"

// Reasons in google.rpc.ErrorInfo, for programs that tell refusals apart.
const (
	reasonInvalid         = "INVALID"
	reasonInvalidManifest = "INVALID_MANIFEST"
	reasonDenied          = "PERMISSION_DENIED"
	reasonEscalation      = "ESCALATION"
	reasonNotFound        = "NOT_FOUND"
	reasonExists          = "ALREADY_EXISTS"
	reasonStaleVersion    = "RESOURCE_VERSION_MISMATCH"
	reasonOtherUID        = "UID_MISMATCH"
	reasonFromSource      = "FROM_SOURCE"
	reasonClaimed         = "OBJECT_CLAIMED"
	reasonInUse           = "IN_USE"
	reasonCycle           = "DEPENDENCY_CYCLE"
	reasonLabelSet        = "LABEL_HAS_VALUE"
	reasonState           = "WRONG_STATE"
	reasonReceiver        = "RECEIVER"
	reasonNothingHeld     = "NOTHING_HELD"
	reasonReadOnly        = "HUB_READ_ONLY"
	reasonTooLarge        = "TOO_LARGE"
	reasonBusy            = "BUSY"
	reasonRate            = "RATE_LIMITED"
	reasonQuota           = "QUOTA_EXCEEDED"
	reasonKeyReused       = "IDEMPOTENCY_KEY_REUSED"
	reasonProvider        = "IDENTITY_PROVIDER_UNAVAILABLE"
	reasonTooOld          = "WATCH_TOO_OLD"
	reasonNotKept         = "NOT_KEPT"
	reasonCustomization   = "CUSTOMIZATION_FAILED"
)

// busyRetry is when a caller may try again that found too many calls of its kind under way.
const busyRetry = 5 * time.Second

// maxViolations is how many are listed: more do not help whoever has to fix them.
const maxViolations = 50

// refusal is an error that tells the caller what to do about it. Everything else that a handler returns is the hub's fault.
type refusal struct {
	code    codes.Code
	message string
	details []protoadapt.MessageV1
}

func (r *refusal) Error() string { return r.message }

func refuse(code codes.Code, reason string, metadata map[string]string, message string, details ...protoadapt.MessageV1) *refusal {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: errorDomain, Metadata: metadata}
	return &refusal{code: code, message: message, details: append([]protoadapt.MessageV1{info}, details...)}
}

// violations collects what is wrong with a request, to name all of it at once.
type violations struct {
	lines  []string
	fields []*errdetails.BadRequest_FieldViolation
	more   int
}

// add notes that a field, given by its path in the request, is wrong. subject, as in "Bundle web", is put before the path in what
// people read; it may be empty.
func (v *violations) add(subject, field, message string) {
	if len(v.fields) >= maxViolations {
		v.more++
		return
	}
	line := field + ": " + message
	if subject != "" {
		line = subject + ": " + line
	}
	v.lines = append(v.lines, line)
	v.fields = append(v.fields, &errdetails.BadRequest_FieldViolation{Field: field, Description: message})
}

// err is nil if nothing was added.
func (v *violations) err() error {
	if len(v.fields) == 0 {
		return nil
	}
	lines := v.lines
	if v.more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", v.more))
	}
	return refuse(codes.InvalidArgument, reasonInvalid, nil, strings.Join(lines, "\n"), &errdetails.BadRequest{FieldViolations: v.fields})
}

// invalid refuses a request for one field.
func invalid(field, message string) error {
	var v violations
	v.add("", field, message)
	return v.err()
}

// notFound says that a resource is not there; hint says what to do.
func notFound(kind, name, hint string) error {
	message := fmt.Sprintf("there is no %s %q", words(kind), name)
	if hint != "" {
		message += "; " + hint
	}
	return missing(kind, name, message)
}

// missing is notFound in words of its own.
func missing(kind, name, message string) error {
	return refuse(codes.NotFound, reasonNotFound, map[string]string{"kind": kind, "name": name}, message,
		&errdetails.ResourceInfo{ResourceType: kind, ResourceName: name, Description: message})
}

// precondition refuses what the state of a resource forbids.
func precondition(reason, kind, name, message string) error {
	return refuse(codes.FailedPrecondition, reason, map[string]string{"kind": kind, "name": name}, message,
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
			{Type: reason, Subject: kind + " " + name, Description: message},
		}})
}

// unidentified refuses a caller of whom it is not known who they are. Why is told as far as it is theirs to know.
func unidentified(err error) error {
	var refused *authz.RefusedError
	var unavailable *authz.UnavailableError
	switch {
	case errors.As(err, &refused):
		return status.Error(codes.Unauthenticated, refused.Reason)
	case errors.As(err, &unavailable):
		return refuse(codes.Unavailable, reasonProvider, nil, unavailable.Reason, &errdetails.RetryInfo{RetryDelay: durationpb.New(busyRetry)})
	case errors.Is(err, authz.ErrCredential):
		return status.Error(codes.Unauthenticated, "the credential is not known to this hub; it may have expired or been revoked, or be another hub's")
	}
	return err
}

// busy refuses a call because too many of its kind are under way.
func busy(calls string) error {
	return refuse(codes.ResourceExhausted, reasonBusy, nil, fmt.Sprintf("too many %s are under way; try again in a few seconds", calls),
		&errdetails.RetryInfo{RetryDelay: durationpb.New(busyRetry)})
}

// uncustomizable says why an assignment cannot be customized: by object, field and expression, as its spoke would, and by the file that it is from.
func uncustomizable(a *yardarmv1.AssignmentSpec, err error, from files) error {
	problems, ok := errors.AsType[*customize.Problems](err)
	if !ok {
		problems = &customize.Problems{Entries: []customize.Problem{{Message: err.Error()}}}
	}
	name := assignmentName(a.GetCluster(), a.GetBundle())
	lines := []string{fmt.Sprintf("revision %d of bundle %q cannot be customized for cluster %q:", a.GetRevision(), a.GetBundle(), a.GetCluster())}
	failure := &errdetails.PreconditionFailure{}
	for _, p := range problems.Entries {
		file := from.of(p.Object)
		if file != "" {
			file += ": "
		}
		lines = append(lines, file+p.Error())
		subject := yardarmv1.KindAssignment + " " + name
		if p.Object != (manifest.Ref{}) {
			subject, p.Object = p.Object.String(), manifest.Ref{}
		}
		failure.Violations = append(failure.Violations, &errdetails.PreconditionFailure_Violation{
			Type: reasonCustomization, Subject: subject, Description: file + p.Error()})
	}
	if problems.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", problems.More))
	}
	return refuse(codes.FailedPrecondition, reasonCustomization, map[string]string{"kind": yardarmv1.KindAssignment, "name": name}, strings.Join(lines, "\n"), failure)
}

// staleVersion refuses a change that was made of a version which is no longer the current one.
func staleVersion(kind, name, given, current string) error {
	message := fmt.Sprintf("%s %q has changed since: resource version %q was given, the current one is %q; read it again, and repeat the change",
		words(kind), name, clip(given), current)
	return refuse(codes.Aborted, reasonStaleVersion, map[string]string{"kind": kind, "name": name, "current": current}, message,
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
			{Type: reasonStaleVersion, Subject: kind + " " + name, Description: message},
		}})
}

// words is a kind in a sentence.
func words(kind string) string {
	switch kind {
	case yardarmv1.KindClusterGroup:
		return "cluster group"
	case yardarmv1.KindRoleBinding:
		return "role binding"
	case yardarmv1.KindSourceCredentials:
		return "source credentials"
	}
	return strings.ToLower(kind)
}

// toStatus is the one mapping of errors to gRPC. ok says that the error is for the caller; otherwise it is the hub's fault, and the
// answer names the request so that the hub's log can be searched for it.
func toStatus(err error, requestID string) (st *status.Status, ok bool) {
	var refused *refusal
	var problems *manifest.Problems
	var failed *store.FailedError
	var broken *store.AuditError
	switch {
	case errors.As(err, &refused):
		return withDetails(status.New(refused.code, refused.message), refused.details), true
	case errors.As(err, &problems):
		return manifestStatus(problems), true
	case errors.Is(err, store.ErrReadOnly):
		message := "the hub takes no changes now: " + err.Error()
		return withDetails(status.New(codes.FailedPrecondition, message), []protoadapt.MessageV1{
			&errdetails.ErrorInfo{Reason: reasonReadOnly, Domain: errorDomain},
			&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
				{Type: reasonReadOnly, Subject: "hub", Description: message},
			}},
		}), true
	case errors.As(err, &broken):
		message := fmt.Sprintf("the audit log breaks at entry %d: %s; `yardarm-hub audit verify` of a backup tells more", broken.Sequence, broken.Detail)
		return status.New(codes.DataLoss, message), false
	case errors.As(err, &failed):
		return status.New(codes.Unavailable, failed.Error()), false
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "the call took too long; whether a change was made is not known, so read before repeating it"), true
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the call was cancelled"), true
	case errors.Is(err, store.ErrClosed):
		return status.New(codes.Unavailable, "the hub is stopping; try again"), true
	}
	if st, ok := status.FromError(err); ok {
		return st, true
	}
	return status.New(codes.Internal, "the hub failed to answer; its log says why, under request "+requestID), false
}

// manifestStatus names each problem by file, line, object and field.
func manifestStatus(p *manifest.Problems) *status.Status {
	bad := &errdetails.BadRequest{}
	tooLarge := false
	for _, problem := range p.Entries {
		tooLarge = tooLarge || isSizeLimit(problem)
		field, description, _ := strings.Cut(problemField(problem), "\n")
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field, Description: description})
	}
	reason := reasonInvalidManifest
	if tooLarge {
		reason = reasonTooLarge
	}
	return withDetails(status.New(codes.InvalidArgument, p.Error()), []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain}, bad,
	})
}

func isSizeLimit(err error) bool {
	for _, limit := range []error{manifest.ErrArtifactTooLarge, manifest.ErrTooManyObjects, manifest.ErrTooManyFiles, manifest.ErrObjectTooLarge, manifest.ErrDocumentTooLarge} {
		if errors.Is(err, limit) {
			return true
		}
	}
	return false
}

// problemField is `files[path]:line object field`, a newline, and the message.
func problemField(p manifest.Problem) string {
	var b strings.Builder
	b.WriteString("files")
	if p.File != "" {
		fmt.Fprintf(&b, "[%s]", p.File)
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	for _, part := range []string{p.Object, p.Field} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	return strings.ReplaceAll(b.String(), "\n", " ") + "\n" + p.Message
}

// docs is where the pages are that refusals name.
const docs = "https://github.com/yardarm-dev/yardarm/blob/HEAD/docs/"

// helpOf are the pages that tell what to do about a refusal whose message is too short for it, by its reason.
var helpOf = map[string]*errdetails.Help_Link{
	reasonUnauthenticated: {Description: "who you are to a hub", Url: docs + "access.md#who-you-are-and-what-you-may-do"},
	reasonDenied:          {Description: "how roles are given", Url: docs + "access.md#roles-and-bindings"},
	reasonEscalation:      {Description: "how roles are given", Url: docs + "access.md#roles-and-bindings"},
	reasonRate:            {Description: "what is limited", Url: docs + "configure.md#limits"},
	reasonBusy:            {Description: "what is limited", Url: docs + "configure.md#limits"},
	reasonQuota:           {Description: "what is limited", Url: docs + "configure.md#limits"},
	reasonReadOnly:        {Description: "when the hub or its disk fails", Url: docs + "operate.md#the-hub-is-gone-or-its-disk-is"},
}

// withHelp names the page about a refusal, where there is one.
func withHelp(st *status.Status) *status.Status {
	reason := ""
	if st.Code() == codes.Unauthenticated {
		reason = reasonUnauthenticated
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			reason = info.GetReason()
		}
	}
	link := helpOf[reason]
	if link == nil {
		return st
	}
	return withDetails(st, []protoadapt.MessageV1{&errdetails.Help{Links: []*errdetails.Help_Link{link}}})
}

func withDetails(st *status.Status, details []protoadapt.MessageV1) *status.Status {
	with, err := st.WithDetails(details...)
	if err != nil {
		return st // a detail that cannot be encoded, such as one with a text that is not UTF-8, is left out
	}
	return with
}

// clip shortens what a caller sent for an error message.
func clip(s string) string {
	const limit = 80 // bytes
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// isGone tells whether an error of the store says that there is no such content.
func isGone(err error) bool { return errors.Is(err, store.ErrNotFound) }
