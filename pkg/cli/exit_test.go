package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestExits: each code and each word is there once, and the page tells what the commands do.
func TestExits(t *testing.T) {
	page, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	codes, verdicts := map[int]bool{}, map[string]bool{}
	for _, e := range exits {
		if codes[e.code] || verdicts[e.verdict] {
			t.Errorf("%d %s is there twice", e.code, e.verdict)
		}
		codes[e.code], verdicts[e.verdict] = true, true
		fmt.Fprintf(&rows, "| %d | `%s` | %s |\n", e.code, e.verdict, e.means)
	}
	if !strings.Contains(string(page), rows.String()) {
		t.Errorf("docs/ci.md has another table than:\n%s", rows.String())
	}
}

func TestExitCode(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(context.Background())
	cancel(errInterrupted)
	for _, tc := range []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{context.Background(), nil, ExitYes},
		{context.Background(), errors.New("x"), ExitError},
		{context.Background(), usage("x"), ExitError},
		{context.Background(), fmt.Errorf("x: %w", failed("y")), ExitNo},
		{context.Background(), timedOut("x"), ExitTimeout},
		{context.Background(), ended(ExitSuperseded, "x"), ExitSuperseded},
		{context.Background(), status.Error(codes.NotFound, ""), ExitNo},
		{context.Background(), status.Error(codes.FailedPrecondition, ""), ExitNo},
		{context.Background(), status.Error(codes.PermissionDenied, ""), ExitError},
		{context.Background(), status.Error(codes.Unavailable, ""), ExitError},
		{interrupted, nil, ExitYes},
		{interrupted, status.Error(codes.Canceled, ""), ExitInterrupted},
		{interrupted, timedOut("x"), ExitInterrupted},
	} {
		if got := exitCode(tc.ctx, tc.err); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.want)
		}
	}
}
