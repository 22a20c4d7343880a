package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// Annotations that make an object a hook: something to run at a point of a release or a sync, and to remove, but not to keep in a cluster.
const (
	helmHook = "helm.sh/hook"
	argoHook = "argocd.argoproj.io/hook"
	// argoSkip is no hook: it says that the object is not for the cluster.
	argoSkip = "Skip"
)

var (
	// helmTests are hooks that run when somebody asks for it, which nobody here does.
	helmTests = []string{"test", "test-success", "test-failure"}
	// documentStart is where a document begins. Lines are cut as [manifest.Parse] cuts them.
	documentStart = regexp.MustCompile(`(?m)^---(?:[ \t\r]|$)`)
)

// sift takes the hooks out of what was rendered, or refuses them. What is taken out leaves empty lines, so that all others keep their numbers.
func (o *Output) sift(skip bool) error {
	var refused manifest.Problems
	for i := range o.Files {
		file := &o.Files[i]
		if !mentionsHook(file.Data) {
			continue
		}
		for _, d := range documents(*file) {
			hook := d.hook()
			switch {
			case hook == nil:
				continue
			case hook.part && (hook.spare || skip):
				refused.Entries = append(refused.Entries, manifest.Problem{File: file.Path, Line: hook.line, Object: hook.object,
					Message: fmt.Sprintf("is a hook (%s) among other objects, which cannot be left out by itself; write it as a document of its own", hook.says)})
				continue
			case !hook.spare && !skip:
				refused.Entries = append(refused.Entries, manifest.Problem{File: file.Path, Line: hook.line, Object: hook.object,
					Message: fmt.Sprintf("is a hook (%s), and hooks are not run yet; turn it off in the source, or leave hooks out with hooks: skip", hook.says)})
				continue
			case !hook.quiet:
				o.warn("%s:%d: %s is left out: it is a hook (%s)", file.Path, hook.line, hook.object, hook.says)
			}
			file.Data = slices.Concat(file.Data[:d.from], blank(file.Data[d.from:d.to]), file.Data[d.to:])
		}
	}
	if n := len(refused.Entries); n > maxWarnings {
		refused.Entries, refused.More = refused.Entries[:maxWarnings], n-maxWarnings
	}
	if len(refused.Entries) > 0 {
		return &refused
	}
	return nil
}

func (o *Output) warn(format string, args ...any) {
	if len(o.Warnings) < maxWarnings {
		o.Warnings = append(o.Warnings, fmt.Sprintf(format, args...))
	}
}

func mentionsHook(data []byte) bool {
	return bytes.Contains(data, []byte(helmHook)) || bytes.Contains(data, []byte(argoHook))
}

// document is a part of a file: what is between two markers, or one of several JSON values.
type document struct {
	text     []byte
	from, to int // in the file
	line     int // that it begins with, from 0
}

// documents answers those that mention a hook.
func documents(file manifest.File) []document {
	starts := []int{0}
	if strings.ToLower(path.Ext(file.Path)) != ".json" {
		for _, at := range documentStart.FindAllIndex(file.Data, -1) {
			if at[0] > 0 {
				starts = append(starts, at[0])
			}
		}
	}
	var found []document
	for i, from := range starts {
		to := len(file.Data)
		if i+1 < len(starts) {
			to = starts[i+1]
		}
		for _, end := range values(file.Data[from:to]) {
			if d := (document{text: file.Data[from : from+end], from: from, to: from + end}); mentionsHook(d.text) {
				d.line = bytes.Count(file.Data[:from], []byte("\n"))
				found = append(found, d)
			}
			from += end
		}
	}
	return found
}

// values answers how long each JSON value of a text is; a text that is not made of them is one.
func values(text []byte) []int {
	var lengths []int
	decoder := json.NewDecoder(bytes.NewReader(text))
	for last := int64(0); ; last = decoder.InputOffset() {
		var value json.RawMessage
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) && len(lengths) > 0 {
			return lengths
		} else if err != nil {
			return []int{len(text)}
		}
		lengths = append(lengths, int(decoder.InputOffset()-last))
	}
}

// hook is what a document says of itself.
type hook struct {
	object string
	says   string // the annotation
	line   int
	// spare: nobody is asked before it is left out. quiet: nobody is told either.
	spare, quiet bool
	// part: it cannot be left out by itself.
	part bool
}

// hook answers nil for a document that is none. One that cannot be read is none either: [manifest.Parse] says what is wrong with it.
func (d document) hook() (found *hook) {
	// The YAML library reports some states that it takes for impossible by a panic.
	defer func() { _ = recover() }()
	var root yaml.Node
	if yaml.Unmarshal(d.text, &root) != nil || len(root.Content) == 0 {
		return nil
	}
	return d.hookIn(root.Content[0], 0)
}

// hookIn looks at an object, and at those in it if it is a list.
func (d document) hookIn(object *yaml.Node, lists int) *hook {
	if h := d.annotated(object); h != nil {
		return h
	}
	const maxLists = 4 // as deep as Parse takes them
	_, items := pair(object, "items")
	if items == nil || items.Kind != yaml.SequenceNode || lists > maxLists {
		return nil
	}
	for _, item := range items.Content {
		if h := d.hookIn(item, lists+1); h != nil {
			h.part = true
			return h
		}
	}
	return nil
}

// annotated answers what an object's annotations say.
func (d document) annotated(object *yaml.Node) *hook {
	_, metadata := pair(object, "metadata")
	_, annotations := pair(metadata, "annotations")
	_, kind := pair(object, "kind")
	_, name := pair(metadata, "name")
	for _, annotation := range []string{helmHook, argoHook} {
		key, value := pair(annotations, annotation)
		if key == nil {
			continue
		}
		h := &hook{object: strings.TrimSpace(scalar(kind) + " " + scalar(name)), says: annotation + ": " + scalar(value), line: d.line + key.Line}
		switch annotation {
		case helmHook:
			other := func(event string) bool { return !slices.Contains(helmTests, strings.TrimSpace(event)) }
			h.spare = !slices.ContainsFunc(strings.Split(scalar(value), ","), other)
			h.quiet = h.spare
		case argoHook:
			h.spare = scalar(value) == argoSkip
		}
		return h
	}
	return nil
}

// pair answers the nodes of a key in a map and of its value.
func pair(m *yaml.Node, name string) (key, value *yaml.Node) {
	if m != nil && m.Kind == yaml.AliasNode {
		m = m.Alias
	}
	if m == nil || m.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

// scalar is a node's text, as far as it fits in a line.
func scalar(n *yaml.Node) string {
	const limit = 80
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	text, _, _ := strings.Cut(n.Value, "\n")
	return text[:min(len(text), limit)]
}

// blank is as many empty lines.
func blank(text []byte) []byte { return bytes.Repeat([]byte("\n"), bytes.Count(text, []byte("\n"))) }
