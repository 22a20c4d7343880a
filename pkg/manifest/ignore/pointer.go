package ignore

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// maxPointer bounds a pointer in bytes, and maxDepth its steps: objects are not that deep.
	maxPointer = 1024
	maxDepth   = 64
)

// Any is the step that stands for every item of a list, or key of a map.
const Any = "*"

// Pointer is a JSON pointer (RFC 6901) in steps: keys of maps, positions in lists, or Any.
type Pointer []string

// Parse reads a pointer, such as /spec/template/spec/containers/*/image. A key that holds a slash is written with ~1 in its
// place, one that holds a tilde with ~0.
func Parse(text string) (Pointer, error) {
	switch {
	case text == "" || text == "/":
		return nil, errors.New("it names the whole object; to leave that alone, annotate the object with yardarm.dev/drift: ignore")
	case len(text) > maxPointer:
		return nil, fmt.Errorf("it has %d bytes; the limit is %d", len(text), maxPointer)
	case text[0] != '/':
		return nil, fmt.Errorf("%q is no JSON pointer; it must begin with a slash, as in /spec/replicas", clip(text))
	}
	steps := strings.Split(text[1:], "/")
	if len(steps) > maxDepth {
		return nil, fmt.Errorf("it has %d steps; the limit is %d", len(steps), maxDepth)
	}
	for i, step := range steps {
		for rest := step; ; {
			at := strings.IndexByte(rest, '~')
			if at < 0 {
				break
			}
			rest = rest[at+1:]
			if rest == "" || rest[0] != '0' && rest[0] != '1' {
				return nil, fmt.Errorf("%q has a tilde that stands for nothing; write ~0 for a tilde and ~1 for a slash in a key", clip(text))
			}
		}
		// In this order, so that ~01 is ~1 and no slash.
		steps[i] = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
	}
	return steps, nil
}

// String writes a pointer as Parse reads it.
func (p Pointer) String() string {
	var b strings.Builder
	for _, step := range p {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// clip bounds a text that is quoted in a message.
func clip(s string) string {
	const limit = 64
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
