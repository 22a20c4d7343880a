package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Digest identifies content: "sha256:" and 64 lower-case hexadecimal digits. The zero Digest identifies nothing.
type Digest string

const digestPrefix = "sha256:"

// ErrDigestMismatch says that content is not what its digest promised.
var ErrDigestMismatch = errors.New("content does not match its digest")

// DigestOf returns the digest of data.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// ParseDigest checks the form of s.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(digits) != 2*sha256.Size || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", fmt.Errorf("digest %q: want sha256: and 64 lower-case hexadecimal digits", clip(s))
	}
	return Digest(s), nil
}

// Verify returns an error that wraps [ErrDigestMismatch] unless d is the digest of data.
func (d Digest) Verify(data []byte) error {
	if got := DigestOf(data); got != d {
		return fmt.Errorf("%w: want %s, got %s", ErrDigestMismatch, clip(string(d)), got)
	}
	return nil
}

// Short returns the first 12 digits, enough for people to tell artifacts apart. It is no identifier.
func (d Digest) Short() string {
	digits := strings.TrimPrefix(string(d), digestPrefix)
	return digits[:min(len(digits), 12)]
}

// String returns d as it is.
func (d Digest) String() string { return string(d) }
