package enroll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// ErrClaimed means that another instance has become this spoke: a newer pod, or another process in the same folder. The process has to end; two never act as
// one spoke.
var ErrClaimed = errors.New("another instance acts as this spoke")

// Keep keeps one [Kept] across restarts. The Identity never runs two Saves at once.
type Keep interface {
	// Claim makes this instance, a random text of the process, the one that may Save, by compare-and-swap. Either it takes over, and whoever
	// had claimed before gets ErrClaimed from then on, or it is refused with ErrClaimed.
	Claim(ctx context.Context, instance string) error
	// Check returns ErrClaimed if another instance has claimed since. Any other error means that nobody knows now.
	Check(ctx context.Context) error
	// Load returns what is kept; nil while there is nothing.
	Load(ctx context.Context) (*Kept, error)
	// Save replaces what is kept, wholly or not at all, and is durable on return. It is ErrClaimed if another instance has claimed since.
	Save(ctx context.Context, kept *Kept) error
	// String says where this is, for errors: "folder /var/lib/yardarm", "Secret yardarm/spoke-identity".
	String() string
}

// Kept is all that a spoke needs to come back as the same. It is not changed once made.
type Kept struct {
	// Key is the private key in PEM, and Identity what the hub has answered for it. Both are there, or none.
	Key      []byte
	Identity *spokev1.Identity
	// TokenID is the public part of the token that it enrolled with: another token means another enrolment.
	TokenID string
	// Attempt is an enrolment that has begun; nil if none is under way.
	Attempt *Attempt
}

// Attempt is an enrolment whose answer is not known yet.
type Attempt struct {
	TokenID string
	// Key is in PEM.
	Key []byte
}

// keptFormat is raised when an older spoke could not read it.
const keptFormat = 1

type keptJSON struct {
	Format   int             `json:"format"`
	Key      string          `json:"key,omitempty"`
	Identity json.RawMessage `json:"identity,omitempty"`
	TokenID  string          `json:"tokenID,omitempty"`
	Attempt  *attemptJSON    `json:"attempt,omitempty"`
}

type attemptJSON struct {
	TokenID string `json:"tokenID"`
	Key     string `json:"key"`
}

// Encode writes what is kept as one value (JSON), for a Keep. It holds the key.
func (k *Kept) Encode() ([]byte, error) {
	out := keptJSON{Format: keptFormat, Key: string(k.Key), TokenID: k.TokenID}
	if k.Identity != nil {
		identity, err := protojson.Marshal(k.Identity)
		if err != nil {
			return nil, fmt.Errorf("encode the identity: %w", err)
		}
		out.Identity = identity
	}
	if k.Attempt != nil {
		out.Attempt = &attemptJSON{TokenID: k.Attempt.TokenID, Key: string(k.Attempt.Key)}
	}
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the identity: %w", err)
	}
	return append(data, '\n'), nil
}

// DecodeKept reads what Encode writes. Nothing of the data is in its errors, since it may be a key.
func DecodeKept(data []byte) (*Kept, error) {
	var in keptJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, errors.New("the identity is damaged: it is no JSON as a spoke writes it")
	}
	if in.Format != keptFormat {
		return nil, fmt.Errorf("the identity has format %d, and this spoke reads %d: use a spoke at least as new as the one that wrote it", in.Format, keptFormat)
	}
	kept := &Kept{Key: []byte(in.Key), TokenID: in.TokenID}
	if len(in.Identity) > 0 {
		kept.Identity = new(spokev1.Identity)
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(in.Identity, kept.Identity); err != nil {
			return nil, errors.New("the identity is damaged: its certificates cannot be read")
		}
	}
	if (kept.Identity == nil) != (len(kept.Key) == 0) {
		return nil, errors.New("the identity is damaged: key and certificate are not both there")
	}
	if in.Attempt != nil {
		kept.Attempt = &Attempt{TokenID: in.Attempt.TokenID, Key: []byte(in.Attempt.Key)}
	}
	return kept, nil
}

// String keeps the key out of what is printed by mistake.
func (k *Kept) String() string {
	return fmt.Sprintf("identity of cluster %s", k.Identity.GetCluster())
}

// GoString keeps the key out of %#v.
func (k *Kept) GoString() string { return k.String() }

// String keeps the key out of what is printed by mistake.
func (a *Attempt) String() string { return "attempt with token " + a.TokenID }

// GoString keeps the key out of %#v.
func (a *Attempt) GoString() string { return a.String() }
