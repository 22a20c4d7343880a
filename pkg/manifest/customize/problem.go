package customize

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// maxProblems is how many problems are listed. More do not help whoever has to fix them.
const maxProblems = 20

// Problem is one thing that keeps an object from being customized. It names fields and expressions, and quotes no values, which may be
// secret.
type Problem struct {
	Object manifest.Ref // zero where no object is concerned
	Field  string       // as in "spec.template.spec.containers[0].image"; "" for the object as a whole
	Source string       // the patch or expression, as in "patches[2]" or "${labels.region}"; "" where neither is at fault
	// Message says what is wrong and what to do, in lower case.
	Message string
}

// Error returns "object: field: source: message" with what is known.
func (p Problem) Error() string {
	parts := make([]string, 0, 4)
	if p.Object != (manifest.Ref{}) {
		parts = append(parts, p.Object.String())
	}
	for _, part := range []string{p.Field, p.Source, p.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Problems is the error of [Apply]. All objects are looked at before it is returned, except when a limit on the whole is exceeded.
type Problems struct {
	Entries []Problem // the first 20, in order of objects, then those of no object
	More    int       // how many were found beyond Entries
}

// Error returns a line for each problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.Entries))
	for i, entry := range p.Entries {
		lines[i] = entry.Error()
	}
	if p.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", p.More))
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(problem Problem) {
	if len(p.Entries) >= maxProblems {
		p.More++
		return
	}
	p.Entries = append(p.Entries, problem)
}

// Violation is one thing that is wrong with a Customization, whatever it is applied to.
type Violation struct {
	Field   string // as in "patches[2].target.labels" or "variables[tier]"
	Message string // what is wrong and what to do, lower case
}

// clip shortens what is quoted from a customization.
func clip(s string) string {
	const limit = 80 // bytes; longer than any valid expression that people write
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
