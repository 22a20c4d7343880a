package selector

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	maxLabelName  = 63  // characters of a label value, and of a label key after its prefix; Kubernetes' limit
	maxLabelGroup = 253 // characters of a label key's prefix, the length of a DNS name
)

// ValidateLabels checks keys and values by Kubernetes' rules. The error names every label that is wrong, in ascending order of keys.
func ValidateLabels(labels map[string]string) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if err := ValidateKey(key); err != nil {
			errs = append(errs, err)
		}
		if err := ValidateValue(labels[key]); err != nil {
			errs = append(errs, fmt.Errorf("label %q: %w", clip(key), err))
		}
	}
	return errors.Join(errs...)
}

// ValidateName checks the name of a cluster, group or bundle: a DNS label (RFC 1123) of at most 63 characters.
func ValidateName(name string) error {
	if !isDNSLabel(name) {
		return fmt.Errorf("name %q: want 1 to 63 lower-case letters, digits and, inside, dashes", clip(name))
	}
	return nil
}

// ValidateKey checks the key of a label: a name of at most 63 characters, with an optional prefix that is a DNS name, as in app or
// example.com/app.
func ValidateKey(key string) error {
	name := key
	if prefix, rest, ok := strings.Cut(key, "/"); ok {
		if !isDNSName(prefix) {
			return fmt.Errorf("label key %q: its prefix must be a DNS name in lower case, at most %d characters long", clip(key), maxLabelGroup)
		}
		name = rest
	}
	if name == "" || !isLabelText(name) {
		return fmt.Errorf("label key %q: its name must be 1 to %d letters, digits and, inside, dashes, underscores and dots", clip(key), maxLabelName)
	}
	return nil
}

// ValidateValue checks the value of a label: empty, or at most 63 letters, digits and, inside, dashes, underscores and dots.
func ValidateValue(value string) error {
	if !isLabelText(value) {
		return fmt.Errorf("label value %q: must be at most %d letters, digits and, inside, dashes, underscores and dots", clip(value), maxLabelName)
	}
	return nil
}

func isLabelText(s string) bool {
	if len(s) > maxLabelName {
		return false
	}
	for i := range len(s) {
		inside := i > 0 && i < len(s)-1
		if c := s[i]; !isAlphanumeric(c) && (!inside || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return true
}

func isDNSName(s string) bool {
	if len(s) > maxLabelGroup {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		// Unlike in names, only the whole is limited in length here; that is Kubernetes' rule.
		if !isDNSText(label) {
			return false
		}
	}
	return true
}

func isDNSLabel(s string) bool { return len(s) <= maxLabelName && isDNSText(s) }

func isDNSText(s string) bool {
	for i := range len(s) {
		inside := i > 0 && i < len(s)-1
		if c := s[i]; !isAlphanumeric(c) && (!inside || c != '-') || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// clip shortens s for an error message. What it cuts is too long to be valid anyway.
func clip(s string) string {
	const limit = 80 // bytes
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
