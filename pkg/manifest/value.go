package manifest

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// ParseValue reads the one value of a document in YAML or JSON that is no object but a part of one, such as a patch. Scalars, duplicate keys, aliases and
// depth are treated as [Parse] treats them. maxBytes bounds the text, and what its aliases make of it. The error is a [*Problems].
func ParseValue(data []byte, maxBytes int) (any, error) {
	var problems Problems
	conv := &converter{objectMax: maxBytes, report: func(line int, path fieldPath, message string, err error) {
		problems.add(Problem{Line: line, Field: path.String(), Message: message, Err: err})
	}}
	var values []any
	switch {
	case len(data) > maxBytes:
		problems.add(Problem{Message: fmt.Sprintf("is larger than %d bytes", maxBytes), Err: ErrDocumentTooLarge})
	case !utf8.Valid(data):
		problems.add(Problem{Line: lineOfInvalidUTF8(data), Message: "is not UTF-8"})
	default:
		err := chunk{data: data}.documents(false, func(root *yaml.Node) error {
			if len(values) == 1 {
				return &syntaxError{line: root.Line, message: "there is more than one document; one is expected"}
			}
			values = append(values, conv.value(root, 1))
			return nil
		})
		if syntax, ok := errors.AsType[*syntaxError](err); ok {
			problems.add(Problem{Line: syntax.line, Message: syntax.message})
		} else if len(values) == 0 {
			problems.add(Problem{Message: "is empty"})
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	return values[0], nil
}
