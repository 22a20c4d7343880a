package manifest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// appendObject appends the canonical JSON of obj, without a newline. It is what encoding/json writes with HTML escaping off, several
// times faster. The values must have passed check.
func appendObject(dst []byte, obj Object) []byte {
	return appendMap(dst, obj)
}

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(dst, v)
	case map[string]any:
		return appendMap(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, item)
		}
		return append(dst, ']')
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return appendFloat(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case nil:
		return append(dst, "null"...)
	default:
		panic(fmt.Sprintf("manifest: value of type %T was not checked", v))
	}
}

func appendMap(dst []byte, m map[string]any) []byte {
	dst = append(dst, '{')
	// Most maps are small: their keys fit a buffer on the stack.
	var buffer [16]string
	names := slices.AppendSeq(buffer[:0], maps.Keys(m))
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, name)
		dst = append(dst, ':')
		dst = appendValue(dst, m[name])
	}
	return append(dst, '}')
}

// appendFloat writes a float64 that is no integer in the range of int64, or converts one that is.
func appendFloat(dst []byte, f float64) []byte {
	if integer, ok := mustFloat(f).(int64); ok {
		return strconv.AppendInt(dst, integer, 10)
	}
	format := byte('f')
	if abs := math.Abs(f); abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	// As in ECMAScript, exponents have no leading zero: 1e-7 rather than 1e-07.
	if n := len(dst); format == 'e' && n-start >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

func mustFloat(f float64) any {
	v, message := normalizeFloat(f)
	if message != "" {
		panic("manifest: float " + message)
	}
	return v
}

// appendString quotes s. Valid UTF-8 is kept as it is, except for control characters, quotes, backslashes, and the two line separators
// that JavaScript takes for ends of lines.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\b':
				dst = append(dst, '\\', 'b')
			case '\f':
				dst = append(dst, '\\', 'f')
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == '\u2028' || r == '\u2029' {
			dst = append(dst, s[start:i]...)
			dst = append(dst, '\\', 'u', '2', '0', '2', hex[r&0xf])
			start = i + size
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func sortedKeys(m map[string]any) []string {
	return slices.Sorted(maps.Keys(m))
}
