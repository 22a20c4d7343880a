package render

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// remote is the source as the process that renders has it: it asks for each file, once. It belongs to one goroutine.
type remote struct {
	wire *wire
	at   string // what is being worked at
	// failed is why the source could not be read, which is not the source's fault.
	failed error
	// What was asked for.
	files map[string]answer[[]byte]
	lists map[string]answer[[]entry]
	// tops are the directories of bases, which no list has.
	tops []string
}

type answer[T any] struct {
	value T
	err   error
}

// note says what is worked at from now on.
func (r *remote) note(name string) {
	r.at = name
	_ = r.wire.send(frameAt, []byte(name)) // whoever has gone misses nothing
}

func (r *remote) read(name string) ([]byte, error) {
	return ask(&r.files, name, func() ([]byte, error) {
		r.at = name
		return r.call(frameRead, frameContent, name)
	})
}

func (r *remote) list(name string) ([]entry, error) {
	return ask(&r.lists, name, func() (entries []entry, err error) {
		content, err := r.call(frameList, frameEntries, name)
		if err != nil {
			return nil, err
		}
		return entries, json.Unmarshal(content, &entries)
	})
}

func ask[T any](known *map[string]answer[T], name string, call func() (T, error)) (T, error) {
	if got, ok := (*known)[name]; ok {
		return got.value, got.err
	}
	if *known == nil {
		*known = map[string]answer[T]{}
	}
	value, err := call()
	(*known)[name] = answer[T]{value, err}
	return value, err
}

func (r *remote) call(question, want frameKind, name string) ([]byte, error) {
	if err := r.wire.send(question, []byte(name)); err != nil {
		return nil, err
	}
	kind, content, err := r.wire.receive()
	switch {
	case err != nil:
		return nil, err
	case kind == frameProblem:
		var f failure
		if err := json.Unmarshal(content, &f); err != nil {
			return nil, err
		}
		if len(f.Problems) == 0 {
			r.failed = f.err()
		}
		return nil, f.err()
	case kind != want:
		return nil, fmt.Errorf("a frame of kind %q", kind)
	}
	return content, nil
}

// stat answers what a path is.
func (r *remote) stat(name string) (entry, bool) {
	if name == "." {
		return entry{Name: ".", Dir: true}, true
	}
	for _, top := range r.tops {
		if strings.HasPrefix(top+"/", name+"/") {
			return entry{Name: path.Base(name), Dir: true}, true
		}
	}
	parent, ok := r.stat(path.Dir(name))
	if !ok || !parent.Dir {
		return entry{}, false
	}
	entries, err := r.list(path.Dir(name))
	if err != nil {
		return entry{}, false
	}
	for _, e := range entries {
		if e.Name == path.Base(name) {
			return e, true
		}
	}
	return entry{}, false
}

// walk calls visit with what is in and below a directory, in order; of a directory for which it answers false, nothing.
func (r *remote) walk(dir string, depth int, visit func(name string, e entry) (bool, error)) error {
	if depth > maxDepth {
		return manifest.Problem{File: dir, Message: fmt.Sprintf("there are more than %d directories in each other", maxDepth), Err: manifest.ErrTooDeep}
	}
	entries, err := r.list(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		into, err := visit(name, e)
		if err == nil && into && e.Dir {
			err = r.walk(name, depth+1, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// firstLine is the first line of a text, if it has several.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
