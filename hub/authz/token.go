package authz

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// tokenIDSize is how many random bytes the ID of a token is made of: enough that no two are the same, few enough to be read out.
const tokenIDSize = 6

// Draft is a token that is drawn and that nobody has yet: what is random of it, since a transaction may draw nothing.
type Draft struct {
	// ID is the token's public part.
	ID string
	// Text is the token itself, which is in no row.
	Text string
	hash [sha256.Size]byte
}

// DraftToken draws a token.
func (a *Authz) DraftToken() (*Draft, error) {
	id := make([]byte, tokenIDSize)
	if _, err := io.ReadFull(a.config.Rand, id); err != nil {
		return nil, fmt.Errorf("draw a token: %w", err)
	}
	secret, err := a.newSecret()
	if err != nil {
		return nil, err
	}
	d := &Draft{ID: hex.EncodeToString(id), hash: sha256.Sum256(secret)}
	d.Text = format(d.ID, secret)
	return d, nil
}

// IsLocalAdmin tells the local administrator's credential from tokens.
func IsLocalAdmin(row *storev1.Credential) bool { return row.GetId() == adminID }

// Prefix is how the token with an ID begins.
func Prefix(id string) string { return tokenPrefix + id }

// Credential is the row that lets the token in, as the token of this name, until it expires; a zero time is never.
func (d *Draft) Credential(name, actor string, created, expires time.Time) *storev1.Credential {
	row := &storev1.Credential{Id: d.ID, Name: name, SecretHash: d.hash[:], Actor: actor, Created: timestamppb.New(created)}
	if !expires.IsZero() {
		row.Expires = timestamppb.New(expires)
	}
	return row
}
