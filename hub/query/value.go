package query

import "strings"

// pattern is a value of a filter: a word, a text with "*" in it, or a version as far as it is given.
type pattern struct {
	text string
	// pieces are what stands between the "*"; nil where there is none.
	pieces []string
	// version and its parts count where parts is not 0.
	version int64
	parts   int
}

func newPattern(text string, isVersion bool) pattern {
	p := pattern{text: text}
	if strings.Contains(text, "*") {
		p.pieces = strings.Split(strings.ToLower(text), "*")
		return p
	}
	// With something behind the numbers it is one version and no other.
	if v, parts, ok := parseVersion(text); isVersion && ok && strings.Trim(text, "v.0123456789") == "" {
		p.version, p.parts = v, parts
	}
	return p
}

func (p pattern) matches(value string) bool {
	switch {
	case p.parts > 0:
		v, _, ok := parseVersion(value)
		return ok && cut(v, p.parts) == p.version
	case p.pieces == nil:
		return strings.EqualFold(value, p.text)
	}
	value = strings.ToLower(value)
	first, last := p.pieces[0], p.pieces[len(p.pieces)-1]
	if len(value) < len(first)+len(last) || !strings.HasPrefix(value, first) || !strings.HasSuffix(value, last) {
		return false
	}
	value = value[len(first) : len(value)-len(last)]
	for _, piece := range p.pieces[1 : len(p.pieces)-1] {
		_, rest, ok := strings.Cut(value, piece)
		if !ok {
			return false
		}
		value = rest
	}
	return true
}

const (
	versionParts = 3
	// partSize is more than any part of a version: three fit into an int64.
	partSize = 1 << 20
)

// parseVersion makes one number, by which versions compare, of up to three with dots between, after a "v" or none; what follows them does not
// count. parts is how many there were.
func parseVersion(text string) (v int64, parts int, ok bool) {
	text = strings.TrimPrefix(text, "v")
	var numbers [versionParts]int64
	for parts < versionParts {
		digits := 0
		for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
			numbers[parts] = min(numbers[parts]*10+int64(text[digits]-'0'), partSize-1)
			digits++
		}
		if digits == 0 {
			break
		}
		parts++
		if text = text[digits:]; text == "" || text[0] != '.' {
			break
		}
		text = text[1:]
	}
	return (numbers[0]*partSize+numbers[1])*partSize + numbers[2], parts, parts > 0
}

// cut is a version without what is behind its first parts.
func cut(v int64, parts int) int64 {
	for i := parts; i < versionParts; i++ {
		v /= partSize
	}
	for i := parts; i < versionParts; i++ {
		v *= partSize
	}
	return v
}
