package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// chunk is a part of a file between two document markers.
type chunk struct {
	offset int // lines of the file before the chunk
	data   []byte
}

// splitYAML cuts data in front of each line that is a document marker. YAML forbids such a line even inside of block scalars and quoted
// strings, so cutting by lines is exact; and an error in one document does not hide those in the next.
func splitYAML(data []byte) []chunk {
	var chunks []chunk
	start, startLine, line := 0, 0, 0
	for pos := 0; pos < len(data); line++ {
		if pos > start && isMarker(data[pos:]) {
			chunks = append(chunks, chunk{offset: startLine, data: data[start:pos]})
			start, startLine = pos, line
		}
		next := bytes.IndexByte(data[pos:], '\n')
		if next < 0 {
			break
		}
		pos += next + 1
	}
	return append(chunks, chunk{offset: startLine, data: data[start:]})
}

func isMarker(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// blank tells whether there is no document in the chunk: nothing but comments, markers and directives. A directive in front of the
// first marker is a chunk of its own and so has no effect; %YAML needs none, and tags that %TAG would define are refused anyway.
func (c chunk) blank() bool {
	for line := range bytes.Lines(c.data) {
		line = bytes.TrimSpace(line)
		if isMarker(line) {
			line = bytes.TrimSpace(line[3:])
		}
		if len(line) > 0 && line[0] != '#' && line[0] != '%' && !bytes.Equal(line, []byte("...")) {
			return false
		}
	}
	return true
}

// syntaxError is an error in the notation, in a line of the chunk if that is not 0.
type syntaxError struct {
	line    int
	message string
}

func (e *syntaxError) Error() string { return e.message }

// yamlLine is how yaml/v3 words the position in its errors.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlDocuments parses all documents of the chunk and calls yield with the root of each that is not empty.
func (c chunk) yamlDocuments(yield func(root *yaml.Node)) error {
	decoder := yaml.NewDecoder(bytes.NewReader(c.data))
	for {
		var doc yaml.Node
		err := decodeYAML(decoder, &doc)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			match := yamlLine.FindStringSubmatch(err.Error())
			if match == nil {
				return &syntaxError{message: "invalid YAML: " + err.Error()}
			}
			line, _ := strconv.Atoi(match[1])
			return &syntaxError{line: line, message: "invalid YAML: " + err.Error()[len(match[0]):]}
		}
		if len(doc.Content) != 1 {
			continue
		}
		if root := doc.Content[0]; root.Kind != yaml.ScalarNode || root.Tag != "!!null" {
			yield(root)
		}
	}
}

// decodeYAML turns a panic of the YAML library into an error: it reports some states that it takes for impossible that way, and what
// people send to a hub must not be able to end it.
func decodeYAML(decoder *yaml.Decoder, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: parser failed: %v", r)
		}
	}()
	return decoder.Decode(doc)
}
