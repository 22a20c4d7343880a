package manifest

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxProblems is how many problems are listed. More do not help whoever has to fix them, and the list travels in error details.
const maxProblems = 20

// Problem is one thing that is wrong with manifests. It names fields but never quotes their values, which may be secret.
type Problem struct {
	File     string // path as given in File.Path; "" when objects did not come from files
	Line     int    // 1-based; 0 when not known
	Document int    // 1-based position among the documents of the file that are not empty; 0 when not known
	Object   string // the object as Ref.String, or as much of it as is known; "" if nothing is
	Field    string // such as "metadata.labels[app]"; "" when the object as a whole is meant
	Message  string // what is wrong and what to do, lower case
	Err      error  // the sentinel that the problem is an instance of, or nil
}

// Error returns "file:line: object: field: message" with what is known.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		switch {
		case p.Line > 0:
			fmt.Fprintf(&b, ":%d", p.Line)
		case p.Document > 0:
			fmt.Fprintf(&b, " (document %d)", p.Document)
		}
		b.WriteString(": ")
	}
	for _, part := range []string{p.Object, p.Field} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
	}
	b.WriteString(p.Message)
	return b.String()
}

// Unwrap returns the sentinel, for errors.Is.
func (p Problem) Unwrap() error { return p.Err }

// Problems is the error for manifests that have anything wrong with them. All files are looked at before it is returned, except when a
// limit on the whole is exceeded.
type Problems struct {
	Entries []Problem // the first 20 in order of file and line
	More    int       // how many were found beyond Entries
}

// Error returns a line for each problem.
func (p *Problems) Error() string {
	var b strings.Builder
	for i, entry := range p.Entries {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(entry.Error())
	}
	if p.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", p.More)
	}
	return b.String()
}

// Unwrap returns the entries, for errors.Is and errors.As.
func (p *Problems) Unwrap() []error {
	errs := make([]error, len(p.Entries))
	for i, entry := range p.Entries {
		errs[i] = entry
	}
	return errs
}

func (p *Problems) add(problem Problem) {
	if len(p.Entries) >= maxProblems {
		p.More++
		return
	}
	p.Entries = append(p.Entries, problem)
}

// find adds what is wrong with an object that did not come from a file.
func (p *Problems) find(obj Object, found []finding) {
	for _, f := range found {
		ref := obj.Ref()
		name := strings.TrimSpace(clip(ref.Kind) + " " + clip(ref.Name))
		if ref.Validate() == nil {
			name = ref.String()
		}
		p.add(Problem{Object: name, Field: f.path.String(), Message: f.message, Err: f.err})
	}
}

// err returns p as an error, or nil if it has no entries.
func (p *Problems) err() error {
	if len(p.Entries) == 0 {
		return nil
	}
	return p
}

// clip shortens s for an error message: long enough for every valid name or digest, short enough for a log line.
func clip(s string) string {
	const limit = 80 // bytes
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
