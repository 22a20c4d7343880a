package enroll

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// ErrNoToken: there is no identity yet, and nothing to get one with.
	ErrNoToken = errors.New("this spoke has no identity and no enrolment token")
	// ErrBadToken: the configured token is none.
	ErrBadToken = errors.New("the enrolment token is not usable")
	// ErrOtherHub: whoever answers is not the hub that made the token.
	ErrOtherHub = errors.New("this is not the hub that made the enrolment token")
	// ErrRefused: the hub has answered no, and will do so again; the message says why.
	ErrRefused = errors.New("refused by the hub")
	// ErrUnreachable: no hub answers.
	ErrUnreachable = errors.New("the hub does not answer")
)

// explain turns what a call has returned into an error that says what is wrong and whether trying again can help: only [ErrRefused] is final.
func explain(address string, err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, address, err)
	}
	message := st.Message()
	switch st.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		// gRPC says the same twice around what matters.
		message = strings.TrimPrefix(message, "connection error: desc = ")
		if strings.Contains(message, "tls: bad certificate") {
			return fmt.Errorf("%w (%s): it does not take this spoke's certificate, which is of another fleet or expired too long ago; its log says which. "+
				"To start over, delete the cluster at the hub and enrol it anew", ErrUnreachable, address)
		}
		return fmt.Errorf("%w at %s: %s", ErrUnreachable, address, message)
	case codes.ResourceExhausted, codes.Aborted, codes.Internal, codes.Unknown:
		return fmt.Errorf("the hub at %s cannot answer now: %s", address, message)
	case codes.Unimplemented:
		return fmt.Errorf("%w: what answers at %s does not serve spokes; the hub has a listener of its own for them, and \"yardarm enroll\" prints its address (%s)",
			ErrRefused, address, message)
	default:
		return fmt.Errorf("%w at %s: %s", ErrRefused, address, message)
	}
}

// final says whether an error will not go away by trying again.
func final(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, ErrOtherHub)
}

// ended says whether the caller has given up, rather than the hub.
func ended(ctx context.Context) bool { return ctx.Err() != nil }
