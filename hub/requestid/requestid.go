// Package requestid names requests, so that an answer and the hub's log can be put side by side. hub/api does so for calls, hub/gateway for what does
// not become one.
package requestid

import (
	"encoding/hex"
	"io"
	"strings"
)

const (
	// Header is the key of a request's id, both ways: of metadata, and of REST's headers in any case.
	Header = "x-request-id"
	// maxLength is how long a caller's own may be, in bytes: a UUID, and what tracing makes of one.
	maxLength = 64
	// characters are those that a caller's own may have: they go into logs and headers as they are.
	characters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_."
)

// Of is the caller's own id if it is harmless, and a new one otherwise.
func Of(given []string, random io.Reader) string {
	if len(given) == 1 && given[0] != "" && len(given[0]) <= maxLength && strings.Trim(given[0], characters) == "" {
		return given[0]
	}
	var raw [8]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(raw[:])
}
