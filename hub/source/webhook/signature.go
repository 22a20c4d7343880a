// Package webhook tells whether a request comes from somebody who holds a secret, in the ways in which servers of Git show that. What the request says is nothing to it:
// a webhook only has the hub look, and so it does no harm to hear one twice.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
)

var (
	// ErrRefused is one for all that may be wrong: whoever guesses learns nothing from it, not even which credentials there are.
	ErrRefused = errors.New("there are no source credentials of this name with a webhook secret, or this is not signed with it; " +
		"`yardarm get sourcecredentials` says what they hold")
	// ErrUnread says that the body did not come whole.
	ErrUnread = errors.New("the body did not come whole")
)

// proofs are the headers by which senders show that they hold the secret. Gitea and Forgejo send several of them.
var proofs = []struct {
	header string
	// of makes what it has to be, of the secret and the hexadecimal HMAC-SHA-256 of the body.
	of func(secret, mac string) string
}{
	{"X-Hub-Signature-256", prefixed}, // GitHub
	{"X-Gitea-Signature", bare},
	{"X-Forgejo-Signature", bare},
	{"X-Gitlab-Token", func(secret, _ string) string { return secret }},
	{"X-Yardarm-Signature", prefixed}, // everybody else
}

func prefixed(_, mac string) string { return "sha256=" + mac }
func bare(_, mac string) string     { return mac }

// Check reads a body to its end, keeping nothing of it, and answers nil if its sender holds the secret: a proof has to be there, and all that are there have to be right.
// Where there is no secret nobody does, which takes as long. Errors are ErrRefused or ErrUnread.
func Check(header http.Header, body io.Reader, secret []byte) error {
	hash := hmac.New(sha256.New, secret)
	if _, err := io.Copy(hash, body); err != nil {
		return fmt.Errorf("%w: %w", ErrUnread, err)
	}
	mac := hex.EncodeToString(hash.Sum(nil))
	shown, wrong := 0, 0
	for _, proof := range proofs {
		for _, given := range header.Values(proof.header) {
			shown++
			wrong += 1 - same(given, proof.of(string(secret), mac))
		}
	}
	if len(secret) == 0 || shown == 0 || wrong > 0 {
		return ErrRefused
	}
	return nil
}

// same is 1 for two texts that are the same, and takes as long for others, of any length.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}
