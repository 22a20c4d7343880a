package cause

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxMessage is how much of a message tells causes apart, in bytes: reports have up to 1,024, of which the first say what is wrong.
const maxMessage = 512

// What stands for what differs between clusters.
const (
	maskName   = "<name>"
	maskUID    = "<uid>"
	maskNumber = "<n>"
)

var (
	// word is what is looked at as one: names, numbers, versions, addresses, times.
	word = regexp.MustCompile(`[\p{L}\p{N}_.:-]*\p{N}[\p{L}\p{N}_.:-]*|[\p{L}_][\p{L}\p{N}_-]*(?:\.[\p{L}\p{N}_-]+)*`)
	uid  = regexp.MustCompile(`^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$|^(?:sha256:)?[0-9a-fA-F]{12,}$`)
	// number is digits, and what times, durations, addresses and quantities have between and after them.
	number = regexp.MustCompile(`^[-+]?(?:[0-9]+(?:ns|us|µs|ms|[smhdTZkMGKPE]i?)?[.:\-]?)+$`)
	// apiVersion is a number that is a name.
	apiVersion = regexp.MustCompile(`^v[0-9]+(?:(?:alpha|beta)[0-9]+)?$`)
	// generated is what Kubernetes appends to the names of what it makes: a Pod's, or a ReplicaSet's and a Pod's. It has no vowels.
	generated = regexp.MustCompile(`^(.+?)(?:-[bcdfghjklmnpqrstvwxz2456789]{6,10})?-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
	digits    = regexp.MustCompile(`[0-9]+`)
)

// Mask answers a message in which names, uids and numbers are the same in whichever cluster it arises. names are known ones: of the object, its
// namespace and the cluster; what begins with one of them and a dash is a name, too.
func Mask(message string, names ...string) string {
	return word.ReplaceAllStringFunc(clip(message), func(w string) string {
		bare := strings.TrimRight(w, ".:-") // the end of a sentence is no part of a word
		return maskWord(bare, names) + w[len(bare):]
	})
}

func maskWord(w string, names []string) string {
	for _, name := range names {
		if name != "" && (w == name || strings.HasPrefix(w, name+"-")) {
			return maskName
		}
	}
	hasDigit := strings.ContainsAny(w, "0123456789")
	switch {
	case uid.MatchString(w) && hasDigit:
		return maskUID
	case number.MatchString(w) && hasDigit:
		return maskNumber
	case apiVersion.MatchString(w):
		return w
	case hasDigit && generated.MatchString(w):
		return maskName
	case hasDigit:
		return digits.ReplaceAllString(w, maskNumber)
	}
	return w
}

// clip cuts a message at a character.
func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	n := maxMessage
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
