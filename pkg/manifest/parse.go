package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// File is a manifest file, in memory.
type File struct {
	Path string // slash-separated; used in problems, and its extension .json selects JSON
	Data []byte
}

// Parse reads the objects of all files. Files hold any number of YAML documents, or of JSON values one after the other; documents without content are
// skipped, and the items of List kinds become objects of their own. The error, if any, is a [*Problems]; then the Set is nil. Parse keeps
// no reference to the files' data.
//
// A Set without objects is no error here: whether a bundle may be empty is for the caller to say.
func Parse(files []File, limits Limits) (*Set, error) {
	p := &parser{limits: limits.withDefaults(), places: make(map[Ref]place)}
	p.builder.limits = p.limits
	if err := p.files(files); err != nil {
		var fatal Problem
		if !errors.As(err, &fatal) {
			fatal = Problem{Message: err.Error(), Err: err}
		}
		// Nothing was looked at beyond it, so it must be seen first.
		p.problems.Entries = append([]Problem{fatal}, p.problems.Entries[:min(len(p.problems.Entries), maxProblems-1)]...)
		return nil, &p.problems
	}
	if err := p.problems.err(); err != nil {
		return nil, err
	}
	set := p.builder.set()
	set.files = make([]string, set.Len())
	for i, ref := range set.refs {
		set.files[i] = p.places[ref].file
	}
	return set, nil
}

// parser is the state of one call of Parse.
type parser struct {
	limits   Limits
	builder  builder
	problems Problems
	places   map[Ref]place

	file     string // being parsed
	document int    // in file
	read     int    // documents in all files, with those that are null or not valid
}

// place is where an object was found.
type place struct {
	file string
	line int
}

// files returns an error only for limits on the whole, which end parsing.
func (p *parser) files(files []File) error {
	if len(files) > p.limits.Files {
		return tooManyFiles(p.limits)
	}
	size := 0
	for _, file := range files {
		if size += len(file.Data); size > p.limits.Bytes {
			return Problem{File: file.Path, Message: fmt.Sprintf("with this file, the manifests are larger than %d bytes", p.limits.Bytes), Err: ErrArtifactTooLarge}
		}
	}
	for _, file := range files {
		p.file, p.document = file.Path, 0
		if err := p.parseFile(file); err != nil {
			return err
		}
	}
	return nil
}

func tooManyFiles(limits Limits) error {
	return Problem{Message: fmt.Sprintf("there are more than %d files", limits.Files), Err: ErrTooManyFiles}
}

func (p *parser) parseFile(file File) error {
	data := bytes.TrimPrefix(file.Data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		p.problems.add(Problem{File: file.Path, Line: lineOfInvalidUTF8(data), Message: "is not UTF-8; save the file in that encoding"})
		return nil
	}
	if strings.EqualFold(path.Ext(file.Path), ".json") {
		return p.parseChunk(chunk{data: data}, true)
	}
	for _, c := range splitYAML(data) {
		if c.blank() {
			continue
		}
		if err := p.parseChunk(c, false); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) parseChunk(c chunk, json bool) error {
	if len(c.data) > p.limits.DocumentBytes {
		p.problems.add(Problem{File: p.file, Line: c.offset + 1, Document: p.document + 1, Err: ErrDocumentTooLarge,
			Message: fmt.Sprintf("the document is larger than %d bytes; split it", p.limits.DocumentBytes)})
		return nil
	}
	err := c.documents(json, func(root *yaml.Node) error {
		if err := p.countDocument(); err != nil || root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
			return err
		}
		p.document++
		return p.node(&converter{offset: c.offset, objectMax: p.limits.ObjectBytes}, root, 0, inherited{})
	})
	var syntax *syntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	p.problems.add(Problem{File: p.file, Line: syntax.line + c.offset, Document: p.document + 1, Message: syntax.message})
	return p.countDocument()
}

// countDocument returns an error when there are so many documents that most cannot be objects. Parsing each costs microseconds, however small it is.
func (p *parser) countDocument() error {
	const spare = 1000 // for documents that are not wanted, but not hostile
	if p.read++; p.read > p.limits.Objects+spare {
		return Problem{File: p.file, Message: fmt.Sprintf("there are more than %d documents", p.limits.Objects+spare), Err: ErrTooManyObjects}
	}
	return nil
}

// inherited is what the items of a typed list, such as ConfigMapList, do not repeat.
type inherited struct{ apiVersion, kind string }

// node adds the object at n, or the objects in it if it is a list.
func (p *parser) node(conv *converter, n *yaml.Node, lists int, from inherited) error {
	ref := peek(n, from)
	reported := make(map[int]bool) // lines
	conv.report = func(line int, path fieldPath, message string, err error) {
		reported[line] = true
		p.problems.add(Problem{File: p.file, Line: line, Document: p.document, Object: ref, Field: path.String(), Message: message, Err: err})
	}
	if n.Kind != yaml.MappingNode {
		conv.report(n.Line+conv.offset, nil, "an object must be a map, not "+nodeName(n), nil)
		return nil
	}
	if items, of, ok := listItems(n); ok {
		if lists++; lists > maxListNesting {
			conv.report(n.Line+conv.offset, nil, fmt.Sprintf("lists nest deeper than %d levels", maxListNesting), ErrTooDeep)
			return nil
		}
		for _, item := range items {
			if err := p.node(conv, item, lists, of); err != nil {
				return err
			}
		}
		return nil
	}

	obj, ok := conv.object(n)
	if !ok {
		return nil
	}
	if from.kind != "" && obj["kind"] == nil && obj["apiVersion"] == nil {
		obj["apiVersion"], obj["kind"] = from.apiVersion, from.kind
	}
	normalize(obj)
	// A value that could not be converted is null by now; that it is, is no news.
	unconverted := maps.Clone(reported)
	for _, f := range check(obj) {
		if line := f.path.line(n) + conv.offset; !unconverted[line] {
			conv.report(line, f.path, f.message, f.err)
		}
	}
	if len(reported) > 0 {
		return nil
	}
	return p.object(conv, obj, n.Line+conv.offset)
}

// object adds an object that is correct by itself.
func (p *parser) object(conv *converter, obj Object, line int) error {
	key := obj.Ref()
	if first, dup := p.places[key]; dup {
		conv.report(line, nil, fmt.Sprintf("is a duplicate of the object at %s:%d", first.file, first.line), ErrDuplicateObject)
		return nil
	}
	p.places[key] = place{file: p.file, line: line}
	err := p.builder.add(key, obj)
	if errors.Is(err, ErrObjectTooLarge) {
		conv.report(line, nil, err.Error(), ErrObjectTooLarge)
		return nil
	}
	if err != nil {
		return Problem{File: p.file, Line: line, Document: p.document, Message: err.Error(), Err: err}
	}
	return nil
}

// maxListNesting is how deep lists may be items of lists. One level occurs in the wild.
const maxListNesting = 4

// listItems returns the items of n if it is a List: a kind that ends so, with a list of items and no name.
func listItems(n *yaml.Node) (items []*yaml.Node, of inherited, ok bool) {
	kind, list := child(n, "kind"), child(n, "items")
	if kind == nil || list == nil || !strings.HasSuffix(kind.Value, "List") || child(child(n, "metadata"), "name") != nil {
		return nil, of, false
	}
	if of.kind = strings.TrimSuffix(kind.Value, "List"); of.kind != "" {
		if apiVersion := child(n, "apiVersion"); apiVersion != nil {
			of.apiVersion = apiVersion.Value
		}
	}
	return list.Content, of, list.Kind == yaml.SequenceNode || list.Tag == "!!null"
}

// peek returns as much of the identity of the object at n as can be read without converting it.
func peek(n *yaml.Node, from inherited) string {
	read := func(n *yaml.Node) string {
		if n == nil || n.Kind != yaml.ScalarNode {
			return ""
		}
		return clip(n.Value)
	}
	metadata := child(n, "metadata")
	group, _ := splitAPIVersion(read(child(n, "apiVersion")))
	ref := Ref{Group: group, Kind: read(child(n, "kind")), Namespace: read(child(metadata, "namespace")), Name: read(child(metadata, "name"))}
	if ref.Kind == "" {
		ref.Kind = from.kind
	}
	if ref.Kind == "" || ref.Name == "" {
		return strings.TrimSpace(ref.Kind + " " + ref.Name)
	}
	return ref.String()
}

// child returns the value of a key of a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func nodeName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default:
		return "a single value"
	}
}

// lineOfInvalidUTF8 returns the 1-based line of the first byte that is not part of UTF-8.
func lineOfInvalidUTF8(data []byte) int {
	valid := 0
	for valid < len(data) {
		r, size := utf8.DecodeRune(data[valid:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		valid += size
	}
	return lineAt(data, valid)
}
