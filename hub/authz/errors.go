package authz

import "errors"

// ErrCredential means that a caller's credential lets nobody in. It does not tell an unknown one from a wrong secret.
var ErrCredential = errors.New("the credential is missing or not valid")

// RefusedError is an [ErrCredential] of which the caller may know why.
type RefusedError struct {
	// Reason is a sentence for the caller, and holds nothing secret.
	Reason string
}

func (e *RefusedError) Error() string { return e.Reason }

// Is makes it an [ErrCredential].
func (e *RefusedError) Is(target error) bool { return target == ErrCredential }

// UnavailableError means that it cannot be told now whether a credential is good.
type UnavailableError struct {
	// Reason is a sentence for the caller, and holds nothing secret.
	Reason string
}

func (e *UnavailableError) Error() string { return e.Reason }
