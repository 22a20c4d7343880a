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

// syntaxError is an error in the notation.
type syntaxError struct {
	line    int // 1-based, in the chunk
	message string
}

func (e *syntaxError) Error() string { return e.message }

// documents calls yield with the root of each document of the chunk. Like kubectl it takes JSON for JSON even where YAML may be: YAML reads escapes and
// numbers differently.
func (c chunk) documents(json bool, yield func(root *yaml.Node) error) error {
	text := bytes.TrimSpace(c.data)
	looks := bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("["))
	if json || looks && c.jsonDocuments(func(*yaml.Node) error { return nil }) == nil {
		return c.jsonDocuments(yield)
	}
	return c.yamlDocuments(yield)
}

// yamlDocuments parses all documents of the chunk and calls yield with the root of each. It ends with the first error, its own *syntaxError or yield's.
func (c chunk) yamlDocuments(yield func(root *yaml.Node) error) error {
	decoder := yaml.NewDecoder(bytes.NewReader(c.data))
	for {
		var doc yaml.Node
		err := decodeYAML(decoder, &doc)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.yamlError(err.Error())
		}
		if len(doc.Content) != 1 {
			continue
		}
		if err := yield(doc.Content[0]); err != nil {
			return err
		}
	}
}

var (
	// yamlLine is how yaml/v3 words the position in its errors. In the first line it leaves it out.
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	// yamlParserError are the messages of its parser, whose lines are counted from 0; those of its scanner are counted from 1.
	yamlParserError = regexp.MustCompile(`^(did not find expected (<|node content|'-' indicator|key|',' or)|` +
		`found undefined tag handle|found duplicate %|found incompatible YAML document)`)
	yamlUnknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
)

func (c chunk) yamlError(text string) *syntaxError {
	match := yamlLine.FindStringSubmatch(text)
	if match == nil {
		return &syntaxError{line: 1, message: "invalid YAML: " + clip(text)}
	}
	message := text[len(match[0]):]
	line, _ := strconv.Atoi(match[1])
	anchor := yamlUnknownAnchor.FindStringSubmatch(message)
	switch {
	case match[1] != "" && yamlParserError.MatchString(message):
		line++
	case match[1] != "":
	case anchor != nil:
		// This error comes without a position: take the first place that looks like it.
		line = lineAt(c.data, bytes.Index(c.data, []byte("*"+anchor[1])))
	case message == "control characters are not allowed":
		line = lineAt(c.data, bytes.IndexFunc(c.data, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f }))
	default:
		line = 1
	}
	// What ends too early is found out behind the end.
	last := lineAt(c.data, len(bytes.TrimRight(c.data, " \t\r\n")))
	return &syntaxError{line: min(line, last), message: "invalid YAML: " + clip(message)}
}

// lineAt returns the 1-based line of data in which the byte at offset is; the first for a negative offset.
func lineAt(data []byte, offset int) int {
	return bytes.Count(data[:max(offset, 0)], []byte("\n")) + 1
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
