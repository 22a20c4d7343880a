package certs

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
)

const (
	tokenVersion = "ye1"
	// TokenIDSize is the number of random bytes in an ID: 80 bits are enough to never meet one twice, and it is no secret.
	TokenIDSize = 10
	// TokenSecretSize is the size of a token's secret, in bytes: 256 bits, so that a plain SHA-256 of it is safe to keep.
	TokenSecretSize = 32
)

// ErrTokenFormat means that a text is no enrolment token. It says nothing about the text, which may be a damaged token.
var ErrTokenFormat = errors.New("this is no enrolment token: one begins with \"" + tokenVersion +
	".\" and has three more parts between dots; it may have been cut when copied")

// Token lets one spoke enrol. As text it is
//
//	ye1.ID.SECRET.PIN
//
// in base64url without padding, so that it needs no quotes in a shell. Printed by mistake, in a log or an error, it shows its ID only;
// [Token.Text] is the one way to the whole.
type Token struct {
	// ID is the public part, as text. The hub finds the token by it.
	ID string
	// Secret is known to who holds the token. The hub keeps its hash.
	Secret []byte
	// Pin is that of the hub's CA, so that a spoke needs nothing but the token.
	Pin Pin
}

// TokenID turns random bytes, of which it takes the first [TokenIDSize], into a token's ID.
func TokenID(random []byte) string {
	return tokenEncoding.EncodeToString(random[:TokenIDSize])
}

// Strict, so that every token has one text.
var tokenEncoding = base64.RawURLEncoding.Strict()

// Text returns the token as handed to a person. It is a secret.
func (t Token) Text() string {
	return strings.Join([]string{tokenVersion, t.ID, tokenEncoding.EncodeToString(t.Secret), tokenEncoding.EncodeToString(t.Pin[:])}, ".")
}

// ParseToken reads what Text writes. Space around it, which copying brings along, is ignored. All failures are [ErrTokenFormat].
func ParseToken(text string) (Token, error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 4 || parts[0] != tokenVersion {
		return Token{}, ErrTokenFormat
	}
	id, okID := decodePart(parts[1], TokenIDSize)
	secret, okSecret := decodePart(parts[2], TokenSecretSize)
	pin, okPin := decodePart(parts[3], len(Pin{}))
	if !okID || !okSecret || !okPin {
		return Token{}, ErrTokenFormat
	}
	return Token{ID: TokenID(id), Secret: secret, Pin: Pin(pin)}, nil
}

func decodePart(part string, size int) ([]byte, bool) {
	// The decoder skips line breaks, so the length is compared first: with one skipped, too little comes out.
	if len(part) != tokenEncoding.EncodedLen(size) {
		return nil, false
	}
	decoded, err := tokenEncoding.DecodeString(part)
	return decoded, err == nil && len(decoded) == size
}

// String shows the ID only.
func (t Token) String() string {
	return tokenVersion + "." + t.ID + ".…"
}

// GoString keeps the secret out of %#v.
func (t Token) GoString() string {
	return t.String()
}

// LogValue keeps the secret out of logs.
func (t Token) LogValue() slog.Value {
	return slog.StringValue(t.String())
}
