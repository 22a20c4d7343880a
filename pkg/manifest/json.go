package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// jsonMaxDepth bounds the recursion of jsonReader. Lists nest objects by two levels, and lists of lists are allowed, so it is above
// maxDepth; the exact bound is kept when nodes are converted.
const jsonMaxDepth = 4 * maxDepth

// jsonReader reads JSON into the same syntax tree as YAML, so that positions, duplicate keys and everything after them have one
// implementation. encoding/json's own decoding would drop duplicate keys silently.
type jsonReader struct {
	data    []byte
	decoder *json.Decoder
	line    int   // 1-based line of the byte at counted
	counted int64 // offset up to which lines have been counted
}

// jsonDocuments calls yield with each of the values that follow each other in the chunk. It ends with the first error, its own *syntaxError or yield's.
func (c chunk) jsonDocuments(yield func(root *yaml.Node) error) error {
	r := &jsonReader{data: c.data, decoder: json.NewDecoder(bytes.NewReader(c.data)), line: 1}
	r.decoder.UseNumber()
	for {
		token, err := r.decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var root *yaml.Node
		if err == nil {
			root, err = r.value(token, 1)
		}
		if err != nil {
			return r.syntaxError(err)
		}
		if err := yield(root); err != nil {
			return err
		}
	}
}

func (r *jsonReader) value(token json.Token, depth int) (*yaml.Node, error) {
	n := &yaml.Node{Line: r.currentLine()}
	switch token := token.(type) {
	case json.Delim:
		if depth > jsonMaxDepth {
			return nil, errors.New(tooDeep)
		}
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if token == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		// In a map, Token returns keys and values alternately, so Content gets the layout of a YAML mapping.
		for r.decoder.More() {
			token, err := r.decoder.Token()
			if err != nil {
				return nil, err
			}
			child, err := r.value(token, depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err := r.decoder.Token()
		return n, err
	case string:
		n.Kind, n.Tag, n.Style, n.Value = yaml.ScalarNode, "!!str", yaml.DoubleQuotedStyle, token
	case json.Number:
		n.Kind, n.Tag, n.Style, n.Value = yaml.ScalarNode, jsonNumber, yaml.TaggedStyle, token.String()
	case bool:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!bool", strconv.FormatBool(token)
	default:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!null", "null"
	}
	return n, nil
}

// currentLine returns the line in which the last token ends, which for JSON is also where it began.
func (r *jsonReader) currentLine() int {
	end := min(r.decoder.InputOffset(), int64(len(r.data)))
	r.line += bytes.Count(r.data[r.counted:end], []byte("\n"))
	r.counted = end
	return r.line
}

// syntaxError places err at the first thing after the last good token, which it is about.
func (r *jsonReader) syntaxError(err error) *syntaxError {
	data := bytes.TrimRight(r.data, " \t\r\n")
	offset := min(int(r.decoder.InputOffset()), len(data))
	offset += len(data[offset:]) - len(bytes.TrimLeft(data[offset:], " \t\r\n,:"))
	message := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		message = "it ends too early"
	}
	return &syntaxError{line: lineAt(data, offset), message: "invalid JSON: " + message}
}
