package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// usage says that the command line makes no sense.
func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

// finish says what has gone wrong, and answers the exit code.
func (a *app) finish(ctx context.Context, command string, err error) int {
	code := exitCode(ctx, err)
	var known *outcome
	switch {
	case code == ExitYes:
		return code
	case code == ExitInterrupted:
		a.say("interrupted")
		return code
	case errors.As(err, &known) && known.err == nil:
		return code
	}
	lines := strings.Split(strings.TrimSpace(a.explain(err)), "\n")
	for i, line := range lines {
		prefix := "error: "
		if i > 0 {
			prefix = "  "
		}
		a.say("%s%s", prefix, table.Clean(strings.TrimRight(line, " ")))
	}
	var misuse *usageError
	if errors.As(err, &misuse) {
		a.say("  '%s --help' says more", command)
	}
	return code
}

// statusOf returns what the hub, or the way to it, answered. Unlike status.FromError it does not mix the message with what it was wrapped in.
func statusOf(err error) (*status.Status, bool) {
	var rpc interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &rpc) {
		return nil, false
	}
	return rpc.GRPCStatus(), true
}

// explain says what is wrong and what to do, in one or more lines.
func (a *app) explain(err error) string {
	var problems *manifest.Problems
	if errors.As(err, &problems) {
		return enumerate(err.Error(), len(problems.Entries))
	}
	rpc, ok := statusOf(err)
	if !ok {
		return err.Error()
	}
	var missing *notFound
	if errors.As(err, &missing) {
		return fmt.Sprintf("%s; did you mean %s?", a.withDetails(rpc), missing.meant)
	}
	switch rpc.Code() {
	case codes.Unavailable:
		if reason, local := connectFailure(rpc.Message()); local {
			hub := "the hub"
			if a.context != "" {
				hub = fmt.Sprintf("the hub of context %q", a.context)
			}
			return fmt.Sprintf("cannot reach %s at %s: %s", hub, a.address, reason)
		}
	case codes.Unauthenticated:
		if a.signIn != nil {
			if err := a.signIn.failure(); err != nil {
				return err.Error()
			}
			return fmt.Sprintf("the hub at %s does not accept the sign-in of context %q: %s\n'yardarm login' signs in again", a.address, a.context, rpc.Message())
		}
		if a.context == "" {
			return fmt.Sprintf("the hub at %s does not accept the token: %s", a.address, rpc.Message())
		}
		return fmt.Sprintf("the hub at %s does not accept the credential of context %q: %s\n"+
			"'yardarm config import FILE' takes a new one, and --context chooses another context", a.address, a.context, rpc.Message())
	case codes.PermissionDenied:
		who := "you"
		if a.context != "" {
			who = fmt.Sprintf("context %q", a.context)
		}
		return fmt.Sprintf("the hub at %s does not let %s do this: %s", a.address, who, rpc.Message())
	case codes.DeadlineExceeded:
		return fmt.Sprintf("the hub at %s has not answered in time: %s\n--request-timeout says how long to wait", a.address, rpc.Message())
	case codes.Unimplemented:
		return fmt.Sprintf("the hub at %s does not know this call: %s\n"+
			"it may be older than this program ('yardarm version' shows both), or the address of something else", a.address, rpc.Message())
	}
	return a.withDetails(rpc)
}

// withDetails adds to a status' message what its details say beyond it.
func (a *app) withDetails(rpc *status.Status) string {
	text := rpc.Message()
	add := func(line string) { text += "\n" + line }
	said := func(description string) bool { return description == "" || strings.Contains(text, description) }
	for _, detail := range rpc.Details() {
		switch d := detail.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				if !said(v.GetDescription()) {
					add(v.GetField() + ": " + v.GetDescription())
				}
			}
		case *errdetails.PreconditionFailure:
			for _, v := range d.GetViolations() {
				if !said(v.GetDescription()) {
					add(v.GetSubject() + ": " + v.GetDescription())
				}
			}
		case *errdetails.RetryInfo:
			if delay := d.GetRetryDelay().AsDuration(); delay > 0 {
				add(fmt.Sprintf("try again in %s", table.Duration(delay)))
			}
		}
	}
	if text == "" {
		text = "the hub answered " + rpc.Code().String() + " without a reason"
	}
	if rest, several := strings.CutSuffix(text, "\n"); several {
		text = rest
	}
	if rpc.Code() == codes.InvalidArgument {
		return enumerate(text, strings.Count(text, "\n")+1)
	}
	return text
}

// inFlags names the flags where the hub names fields of the request, which fields finds: by the first part of what it matches. flags are those that are not
// called as their field. Other errors it returns as they are.
func (a *app) inFlags(err error, fields *regexp.Regexp, flags map[string]string) error {
	rpc, ok := statusOf(err)
	if !ok || !fields.MatchString(rpc.Message()) {
		return err
	}
	text := fields.ReplaceAllStringFunc(a.explain(err), func(match string) string {
		field := fields.FindStringSubmatch(match)[1]
		return cmp.Or(flags[field], "--"+field)
	})
	return &outcome{codeOf(err), errors.New(text)}
}

// enumerate puts a headline over a list of problems, one in a line.
func enumerate(lines string, count int) string {
	if count < 2 {
		return lines
	}
	return fmt.Sprintf("there are %d problems:\n%s", count, lines)
}

// dialError is how gRPC words a connection that could not be made.
var dialError = regexp.MustCompile(`connection error: desc = "(?:transport: )?(?:Error while dialing: )?(.*)"$`)

// connectFailure puts into words why there is no connection. It answers false for messages of the hub itself.
func connectFailure(message string) (string, bool) {
	match := dialError.FindStringSubmatch(message)
	if match == nil {
		switch {
		case strings.Contains(message, "error reading from server"), strings.Contains(message, "connection closed"), strings.Contains(message, "transport is closing"):
			return "the connection has been cut", true
		case strings.Contains(message, "name resolver error"):
			return message, true
		}
		return "", false
	}
	reason := match[1]
	for _, known := range []struct{ sign, text string }{
		{"connection refused", "connection refused; nothing listens there. Is the hub running? 'yardarm config set-context' changes the address"},
		{"no such host", "there is no such host; 'yardarm config set-context' changes the address"},
		{"i/o timeout", "no answer; a firewall may be in the way"},
		{"context deadline exceeded", "no answer; a firewall may be in the way"},
		{"certificate signed by unknown authority", "its certificate is not signed by the CA of the context; if the hub was set up anew, take its new configuration with 'yardarm config import FILE'"},
		{"first record does not look like a TLS handshake", "what listens there does not speak TLS, so it is no hub"},
	} {
		if strings.Contains(reason, known.sign) {
			return known.text, true
		}
	}
	if _, certificate, ok := strings.Cut(reason, "tls: failed to verify certificate: "); ok {
		return "its certificate is not good: " + strings.TrimPrefix(certificate, "x509: "), true
	}
	return strings.TrimPrefix(reason, "authentication handshake failed: "), true
}
