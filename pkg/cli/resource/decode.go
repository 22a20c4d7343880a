package resource

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxProblems is how many problems Decode lists; whoever fixes twenty runs it again.
	maxProblems = 20
	// MaxFile is the size of a resource file, in bytes. A resource takes about a kilobyte, so this is thousands of them.
	MaxFile = 4 << 20
)

// File is a file of resources, in memory.
type File struct {
	Path string // as errors call it
	Data []byte
}

// Document is one resource, and where it was written.
type Document struct {
	Resource *hubv1.Resource
	Type     Type
	Name     string
	File     string
	Line     int // 1-based
	Document int // 1-based position among the documents of the file that are not empty

	lines map[string]int // of fields, by path
}

// String returns TYPE/NAME.
func (d Document) String() string { return d.Type.Name + "/" + d.Name }

// Locate makes a problem of what is wrong with a field: it finds the line of the field, or of the nearest one above it that was written.
func (d Document) Locate(field, message string) manifest.Problem {
	line := d.Line
	for path := field; path != ""; path = parentPath(path) {
		if found, ok := d.lines[path]; ok {
			line = found
			break
		}
	}
	return manifest.Problem{File: d.File, Line: line, Document: d.Document, Object: d.String(), Field: field, Message: message}
}

// parentPath cuts the last field or index off a path.
func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// Decode reads all resources of all files, which hold YAML documents or JSON. It is strict: fields that there are not, fields that are there twice, values
// of a wrong type and resources that are there twice are errors. The error is a [*manifest.Problems] that names file, line and field of each. What is
// under status is the hub's to say, and is ignored.
func Decode(files []File) ([]Document, error) {
	d := &decoder{seen: make(map[string]Document)}
	for _, file := range files {
		d.readFile(file)
	}
	if len(d.problems.Entries) > 0 {
		return nil, &d.problems
	}
	return d.documents, nil
}

type decoder struct {
	documents []Document
	seen      map[string]Document // by TYPE/NAME
	problems  manifest.Problems

	file   string
	number int // of the document
}

func (d *decoder) add(p manifest.Problem) {
	p.File, p.Document = d.file, d.number
	if len(d.problems.Entries) >= maxProblems {
		d.problems.More++
		return
	}
	d.problems.Entries = append(d.problems.Entries, p)
}

// yamlLine is how yaml/v3 words the position in its errors.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (d *decoder) readFile(file File) {
	d.file, d.number = file.Path, 0
	if len(file.Data) > MaxFile {
		d.add(manifest.Problem{Message: fmt.Sprintf("the file is larger than %d MiB; split it", MaxFile>>20)})
		return
	}
	parser := yaml.NewDecoder(bytes.NewReader(file.Data))
	for {
		root, err := nextDocument(parser)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			d.number++
			match := yamlLine.FindStringSubmatch(err.Error())
			problem := manifest.Problem{Message: "is not YAML: " + err.Error()}
			if match != nil {
				problem.Message = "is not YAML: " + strings.TrimPrefix(err.Error(), match[0])
				problem.Line, _ = strconv.Atoi(match[1])
			}
			d.add(problem)
			return
		}
		if root == nil {
			continue
		}
		d.number++
		d.readResource(root)
	}
}

// nextDocument returns the root of the next document, nil if that is empty.
func nextDocument(parser *yaml.Decoder) (root *yaml.Node, err error) {
	defer func() {
		// The parser is known to panic on some malformed input.
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("yaml: the parser gave up: %v", r)
		}
	}()
	var doc yaml.Node
	if err := parser.Decode(&doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, nil
	}
	return doc.Content[0], nil
}

// readResource reads a resource, or each item of a List.
func (d *decoder) readResource(node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		d.add(manifest.Problem{Line: node.Line, Message: "is " + describeNode(node) + ", not a resource with apiVersion, kind, metadata and spec"})
		return
	}
	kind, kindLine := scalarField(node, "kind")
	if kind == "List" {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == "items" && node.Content[i+1].Kind == yaml.SequenceNode {
				for _, item := range node.Content[i+1].Content {
					d.readResource(item)
				}
			}
		}
		return
	}
	name := nameOf(node)
	object := strings.TrimSpace(kind + " " + name)
	version, versionLine := scalarField(node, "apiVersion")
	fail := func(line int, field, message string) {
		d.add(manifest.Problem{Line: line, Object: object, Field: field, Message: message})
	}
	switch {
	case kind == "":
		fail(node.Line, "kind", "is missing; it is one of "+applicable)
		return
	case version == "":
		fail(node.Line, "apiVersion", "is missing; it is "+yardarmv1.APIVersion)
		return
	case version != yardarmv1.APIVersion && !strings.HasPrefix(version, "yardarm.dev/"):
		fail(versionLine, "apiVersion", fmt.Sprintf("%s is not %s; objects for the clusters go into a directory that 'yardarm publish' takes", version, yardarmv1.APIVersion))
		return
	case version != yardarmv1.APIVersion:
		fail(versionLine, "apiVersion", fmt.Sprintf("%s is not known; it is %s", version, yardarmv1.APIVersion))
		return
	}
	resource := &hubv1.Resource{}
	document := Document{Resource: resource, Name: name, File: d.file, Line: node.Line, Document: d.number}
	message := newMessage(kind, resource)
	switch {
	case message != nil:
	case kind == yardarmv1.KindRevision:
		fail(kindLine, "kind", "revisions are made by 'yardarm publish', not applied")
		return
	case kind == yardarmv1.KindAssignment:
		fail(kindLine, "kind", "assignments follow from groups and bundles and are not applied")
		return
	case kind == yardarmv1.KindToken:
		fail(kindLine, "kind", "tokens are made by 'yardarm token create', not applied")
		return
	default:
		fail(kindLine, "kind", fmt.Sprintf("there is no kind %s; it is one of %s", kind, applicable))
		return
	}
	document.Type, _ = ParseType(kind)
	if name == "" {
		fail(node.Line, "metadata.name", "is missing")
		return
	}
	walk := &walker{lines: make(map[string]int)}
	value := walk.message(node, message.ProtoReflect().Descriptor(), "")
	for _, problem := range walk.problems {
		problem.Object = object
		d.add(problem)
	}
	if len(walk.problems) > 0 {
		return
	}
	data, err := JSON(value)
	if err == nil {
		err = protojson.Unmarshal(data, message)
	}
	if err != nil {
		// What the walker takes and protobuf does not, such as a malformed time.
		fail(node.Line, "", strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: "))
		return
	}
	document.lines = walk.lines
	if first, ok := d.seen[document.String()]; ok {
		fail(node.Line, "", fmt.Sprintf("is there twice, first in %s:%d", first.File, first.Line))
		return
	}
	d.seen[document.String()] = document
	d.documents = append(d.documents, document)
}

// applicable are the kinds that newMessage knows.
const applicable = "Cluster, ClusterGroup, Bundle, Strategy, Gate, Role, RoleBinding, Notification and SourceCredentials"

// newMessage makes an empty message of a kind and puts it into the resource; nil for kinds that are not applied.
func newMessage(kind string, resource *hubv1.Resource) proto.Message {
	switch kind {
	case yardarmv1.KindCluster:
		m := &yardarmv1.Cluster{}
		resource.Resource = &hubv1.Resource_Cluster{Cluster: m}
		return m
	case yardarmv1.KindClusterGroup:
		m := &yardarmv1.ClusterGroup{}
		resource.Resource = &hubv1.Resource_ClusterGroup{ClusterGroup: m}
		return m
	case yardarmv1.KindBundle:
		m := &yardarmv1.Bundle{}
		resource.Resource = &hubv1.Resource_Bundle{Bundle: m}
		return m
	case yardarmv1.KindStrategy:
		m := &yardarmv1.Strategy{}
		resource.Resource = &hubv1.Resource_Strategy{Strategy: m}
		return m
	case yardarmv1.KindGate:
		m := &yardarmv1.Gate{}
		resource.Resource = &hubv1.Resource_Gate{Gate: m}
		return m
	case yardarmv1.KindRole:
		m := &yardarmv1.Role{}
		resource.Resource = &hubv1.Resource_Role{Role: m}
		return m
	case yardarmv1.KindRoleBinding:
		m := &yardarmv1.RoleBinding{}
		resource.Resource = &hubv1.Resource_RoleBinding{RoleBinding: m}
		return m
	case yardarmv1.KindNotification:
		m := &yardarmv1.Notification{}
		resource.Resource = &hubv1.Resource_Notification{Notification: m}
		return m
	case yardarmv1.KindSourceCredentials:
		m := &yardarmv1.SourceCredentials{}
		resource.Resource = &hubv1.Resource_SourceCredentials{SourceCredentials: m}
		return m
	}
	return nil
}
