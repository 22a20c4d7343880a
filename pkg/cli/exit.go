package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
)

// Exit codes.
const (
	// ExitYes: done, or the answer is yes.
	ExitYes = 0
	// ExitNo: the hub answered, and the answer is no: there is no such thing, its state forbids it, or what was waited for has failed.
	ExitNo = 1
	// ExitError: the question could not be put or answered: usage, bad input, credentials, connection, a failing hub.
	ExitError = 2
	// ExitRolledBack: the revision that was waited for goes back, or went back, to the one before.
	ExitRolledBack = 3
	// ExitApproval: its rollout waits for somebody to approve.
	ExitApproval = 4
	// ExitSuperseded: the bundle has a later revision by now.
	ExitSuperseded = 5
	// ExitTimeout: what was waited for has not happened in time. As with timeout(1).
	ExitTimeout = 124
	// ExitInterrupted: ended by a signal. As in shells, for Ctrl-C.
	ExitInterrupted = 130
)

// exit is how a command may end.
type exit struct {
	code int
	// verdict is the word for it in what is written for programs.
	verdict string
	// means is what it says of a revision that was waited for.
	means string
}

// exits are all of them: the one table that the commands, their helps, what they write for programs, and docs/ci.md go by.
var exits = []exit{
	{ExitYes, "converged", "the revision is ready in all its clusters"},
	{ExitNo, "failed", "it has failed or is held, until somebody does something; or the hub refused it"},
	{ExitError, "error", "bad input, credentials, connection, or a failing hub: nothing is known of the revision"},
	{ExitRolledBack, "rolled-back", "it has failed, and the clusters that it had reached return to what they had"},
	{ExitApproval, "awaiting-approval", "its rollout waits for somebody to approve"},
	{ExitSuperseded, "superseded", "the bundle has moved on to a later revision"},
	{ExitTimeout, "timed-out", "time is up, and it was neither ready nor failed"},
	{ExitInterrupted, "interrupted", "a signal has ended the command; the rollout goes on"},
}

// verdictOf is the word for an exit code.
func verdictOf(code int) string {
	return exits[slices.IndexFunc(exits, func(e exit) bool { return e.code == code })].verdict
}

// exitHelp is the table for the help of a command that waits, but for the codes that it never ends with.
func exitHelp(without ...int) string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, e := range exits {
		if !slices.Contains(without, e.code) {
			fmt.Fprintf(&b, "\n  %3d  %-18s %s", e.code, e.verdict, e.means)
		}
	}
	return b.String()
}

// outcome is an error with an exit code of its own.
type outcome struct {
	code int
	err  error // nil when everything has been said
}

func (o *outcome) Error() string {
	if o.err == nil {
		return fmt.Sprintf("exit code %d", o.code)
	}
	return o.err.Error()
}

func (o *outcome) Unwrap() error { return o.err }

// failed is the answer no.
func failed(format string, args ...any) error { return ended(ExitNo, format, args...) }

// timedOut says that time is up.
func timedOut(format string, args ...any) error { return ended(ExitTimeout, format, args...) }

// ended is an answer with an exit code of its own.
func ended(code int, format string, args ...any) error {
	return &outcome{code, fmt.Errorf(format, args...)}
}

// exitCode is the one place that maps errors to exit codes.
func exitCode(ctx context.Context, err error) int {
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) {
		return ExitInterrupted
	}
	return codeOf(err)
}

// codeOf is exitCode for what no signal has ended.
func codeOf(err error) int {
	var known *outcome
	switch {
	case err == nil:
		return ExitYes
	case errors.As(err, &known):
		return known.code
	}
	if rpc, ok := statusOf(err); ok {
		switch rpc.Code() {
		case codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted:
			return ExitNo
		}
	}
	return ExitError
}
