package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// ErrDuplicateObject says that two objects have the same Ref.
var ErrDuplicateObject = errors.New("duplicate object")

// Set is an immutable set of objects, at most one for each Ref, with its canonical form. The nil *Set is empty. It is safe for concurrent use.
type Set struct {
	objects   []Object // ascending by Ref
	refs      []Ref    // of objects
	canonical []byte
	files     []string // of objects, in a set that Parse has made
}

// NewSet makes a set of objects from code, such as rendered charts. It takes the objects over, gives them in place the values that [Decode] would
// return for them, and checks them as [Parse] does; the error is a [*Problems]. limits.Objects, Bytes and ObjectBytes apply. Numbers may be int64,
// float64 or json.Number.
func NewSet(objects []Object, limits Limits) (*Set, error) {
	b := builder{limits: limits.withDefaults()}
	var problems Problems
	seen := make(map[Ref]bool, len(objects))
	for _, obj := range objects {
		problems.find(obj, b.take(obj, func(ref Ref) *finding {
			if seen[ref] {
				return &finding{message: "is there twice", err: ErrDuplicateObject}
			}
			seen[ref] = true
			return nil
		}))
		if b.full {
			break
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	return b.set(), nil
}

// Edit makes a set of what edit answers for each object, in ascending order of their Refs: nil to leave an object as it is, otherwise a [Object.Clone]
// that was changed, but not its Ref. Edit takes it over and treats it as NewSet does, with the same limits and errors. s stays as it is; when nothing
// was changed, it is what Edit returns.
func (s *Set) Edit(limits Limits, edit func(Ref, Object) Object) (*Set, error) {
	b := builder{limits: limits.withDefaults()}
	var problems Problems
	changed := false
	lines := s.Canonical()
	for ref, old := range s.All() {
		end := bytes.IndexByte(lines, '\n') + 1
		line := lines[:end]
		lines = lines[end:]
		if obj := edit(ref, old); obj != nil {
			changed = true
			problems.find(obj, b.take(obj, func(got Ref) *finding {
				if got != ref {
					return &finding{message: "was " + ref.String() + " before; an object must stay the same one"}
				}
				return nil
			}))
		} else if err := b.append(ref, old, line); err != nil {
			problems.find(old, []finding{{message: err.Error(), err: err}})
		}
		if b.full {
			break
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	if !changed {
		return s, nil
	}
	return b.set(), nil
}

// Len returns the number of objects.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.objects)
}

// Canonical returns the canonical form. The caller must not change it.
func (s *Set) Canonical() []byte {
	if s == nil {
		return nil
	}
	return s.canonical
}

// Digest computes the digest of the canonical form.
func (s *Set) Digest() Digest { return DigestOf(s.Canonical()) }

// All yields the objects in ascending order of their Refs. The caller must not change them.
func (s *Set) All() iter.Seq2[Ref, Object] {
	return func(yield func(Ref, Object) bool) {
		for i := range s.Len() {
			if !yield(s.refs[i], s.objects[i]) {
				return
			}
		}
	}
}

// Objects returns the objects in ascending order of their Refs. The slice is the caller's, the objects must not be changed.
func (s *Set) Objects() []Object {
	if s == nil {
		return nil
	}
	return slices.Clone(s.objects)
}

// Refs returns the identities of all objects in ascending order. The slice is the caller's.
func (s *Set) Refs() []Ref {
	if s == nil {
		return nil
	}
	return slices.Clone(s.refs)
}

// Get returns the object with the given Ref. The caller must not change it.
func (s *Set) Get(ref Ref) (Object, bool) {
	i, ok := s.find(ref)
	if !ok {
		return nil, false
	}
	return s.objects[i], true
}

// File returns the path of the file that [Parse] found an object in; "" if the set has no such object, or was made otherwise. Canonical form and digest
// know nothing of it.
func (s *Set) File(ref Ref) string {
	i, ok := s.find(ref)
	if !ok || s.files == nil {
		return ""
	}
	return s.files[i]
}

func (s *Set) find(ref Ref) (int, bool) {
	if s == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(s.refs, ref, Ref.Compare)
}

// builder collects checked objects for a Set and keeps the limits on the whole.
type builder struct {
	limits  Limits
	entries []entry
	size    int  // of all lines
	full    bool // a limit on the whole was exceeded
}

type entry struct {
	ref  Ref
	obj  Object
	line []byte // canonical, with its newline
}

// take normalizes and checks an object, asks allow about its Ref, and adds it. It returns what stands against it.
func (b *builder) take(obj Object, allow func(Ref) *finding) []finding {
	convertNumbers(map[string]any(obj))
	normalize(obj)
	if found := check(obj); len(found) > 0 {
		return found
	}
	ref := obj.Ref()
	if f := allow(ref); f != nil {
		return []finding{*f}
	}
	if err := b.add(ref, obj); err != nil {
		return []finding{{message: err.Error(), err: err}}
	}
	return nil
}

// add returns an error that wraps ErrObjectTooLarge, ErrTooManyObjects or ErrArtifactTooLarge.
func (b *builder) add(ref Ref, obj Object) error {
	if len(b.entries) >= b.limits.Objects {
		b.full = true
		return fmt.Errorf("%w: the limit is %d", ErrTooManyObjects, b.limits.Objects)
	}
	return b.append(ref, obj, append(appendObject(nil, obj), '\n'))
}

// append adds an object with its line.
func (b *builder) append(ref Ref, obj Object, line []byte) error {
	if size := len(line) - 1; size > b.limits.ObjectBytes {
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrObjectTooLarge, size, b.limits.ObjectBytes)
	}
	if b.size += len(line); b.size > b.limits.Bytes {
		b.full = true
		return fmt.Errorf("%w: the limit is %d bytes in canonical form", ErrArtifactTooLarge, b.limits.Bytes)
	}
	b.entries = append(b.entries, entry{ref: ref, obj: obj, line: line})
	return nil
}

func (b *builder) set() *Set {
	slices.SortFunc(b.entries, func(x, y entry) int { return x.ref.Compare(y.ref) })
	s := &Set{
		objects:   make([]Object, len(b.entries)),
		refs:      make([]Ref, len(b.entries)),
		canonical: make([]byte, 0, b.size),
	}
	for i, e := range b.entries {
		s.objects[i], s.refs[i] = e.obj, e.ref
		s.canonical = append(s.canonical, e.line...)
	}
	return s
}
