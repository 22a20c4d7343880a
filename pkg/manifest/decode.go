package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNotCanonical says that bytes are not the canonical form of any set.
var ErrNotCanonical = errors.New("not in canonical form")

// Decode is the inverse of [Set.Canonical]. It accepts canonical form only, so that a digest identifies content and not one of its
// spellings: everything else is refused with an error that wraps [ErrNotCanonical] or the limit that it exceeds. Errors name lines, never content.
//
// Decode keeps canonical as the Set's own; the caller must not change it afterwards.
func Decode(canonical []byte, limits Limits) (*Set, error) {
	limits = limits.withDefaults()
	if len(canonical) > limits.Bytes {
		return nil, fmt.Errorf("decode artifact: %w: the limit is %d bytes", ErrArtifactTooLarge, limits.Bytes)
	}
	count := bytes.Count(canonical, []byte("\n"))
	if count > limits.Objects {
		return nil, fmt.Errorf("decode artifact: %w: the limit is %d", ErrTooManyObjects, limits.Objects)
	}
	s := &Set{objects: make([]Object, 0, count), refs: make([]Ref, 0, count), canonical: canonical}
	var again []byte // the line encoded once more; reused
	for line := range bytes.Lines(canonical) {
		number := len(s.refs) + 1
		obj, err := decodeLine(line, &again, limits)
		if err != nil {
			return nil, fmt.Errorf("decode artifact: line %d: %w", number, err)
		}
		ref := obj.Ref()
		if number > 1 && s.refs[number-2].Compare(ref) >= 0 {
			return nil, fmt.Errorf("decode artifact: line %d: %w: objects are not in ascending order", number, ErrNotCanonical)
		}
		s.objects, s.refs = append(s.objects, obj), append(s.refs, ref)
	}
	return s, nil
}

func decodeLine(line []byte, again *[]byte, limits Limits) (Object, error) {
	line, ok := bytes.CutSuffix(line, []byte("\n"))
	if !ok {
		return nil, fmt.Errorf("%w: it does not end in a newline", ErrNotCanonical)
	}
	if len(line) > limits.ObjectBytes {
		return nil, ErrObjectTooLarge
	}
	obj, err := ObjectFromJSON(line)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	// Normalizing must have nothing to do; if it has, the comparison below fails.
	normalize(obj)
	if found := check(obj); len(found) > 0 {
		if found[0].err != nil {
			return nil, found[0].err
		}
		return nil, fmt.Errorf("%w: %s %s", ErrNotCanonical, found[0].path, found[0].message)
	}
	*again = appendObject((*again)[:0], obj)
	if !bytes.Equal(*again, line) {
		return nil, fmt.Errorf("%w: encoding it again gives other bytes", ErrNotCanonical)
	}
	return obj, nil
}

// ObjectFromJSON reads an object from what a program has written, with the numbers that an [Object] holds. It checks nothing else; manifests of people
// are for [Parse].
func ObjectFromJSON(data []byte) (Object, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var obj Object
	if err := decoder.Decode(&obj); err != nil {
		return nil, errors.New("it is no JSON object")
	}
	if !convertNumbers(map[string]any(obj)) {
		return nil, errors.New("a number has no value")
	}
	return obj, nil
}
