package manifest

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Kubernetes reads YAML 1.1, as sigs.k8s.io/yaml resolves it: yes, no, on, off, y and n are booleans, 010 is eight, 1_000 is a thousand.
// yaml/v3 is used here for its syntax tree, which has positions, but it resolves plain scalars by rules of its own; so they are
// resolved anew. TestScalarsAgreeWithKubernetes holds the two together.

// jsonNumber marks nodes that come from JSON numbers.
const jsonNumber = "!json-number"

// plainFloat is what YAML 1.1 takes for a decimal number.
var plainFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// scalar returns the value of a scalar node, or a message that says why it has none.
func scalar(n *yaml.Node) (value any, message string) {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Style&yaml.TaggedStyle == 0 {
		if n.Style&quoted != 0 {
			return n.Value, ""
		}
		return resolvePlain(n.Value)
	}
	switch n.Tag {
	case jsonNumber:
		return parseNumber(n.Value)
	case "!!str", "!!timestamp":
		return n.Value, ""
	case "!!binary":
		data, err := base64.StdEncoding.DecodeString(n.Value)
		if err != nil {
			return nil, "has tag !!binary but is not valid base64"
		}
		if !utf8.Valid(data) {
			return nil, "has tag !!binary and decodes to bytes that are not UTF-8, which JSON cannot hold"
		}
		return string(data), ""
	case "!!bool", "!!int", "!!float", "!!null":
		value, message := resolvePlain(n.Value)
		if message != "" {
			return nil, message
		}
		tag := n.Tag
		switch value.(type) {
		case nil:
			tag = "!!null"
		case bool:
			tag = "!!bool"
		case string:
			tag = "!!str"
		case float64:
			tag = "!!float"
		case int64:
			if n.Tag != "!!float" {
				tag = "!!int"
			}
		}
		if tag != n.Tag {
			return nil, "does not have the form that its tag " + n.Tag + " asks for"
		}
		return value, ""
	default:
		return nil, "has the tag " + clip(n.Tag) + ", which Kubernetes manifests cannot have"
	}
}

// resolvePlain returns the value of a scalar that is neither quoted nor tagged.
func resolvePlain(s string) (any, string) {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nil, ""
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true, ""
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false, ""
	case ".nan", ".NaN", ".NAN":
		return normalizeFloat(math.NaN())
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
		return normalizeFloat(math.Inf(1))
	}
	switch c := s[0]; {
	case c == '.':
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return normalizeFloat(f)
		}
	case c == '+' || c == '-' || c >= '0' && c <= '9':
		plain := strings.ReplaceAll(s, "_", "")
		if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
			return i, ""
		}
		if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
			return wideInteger(strconv.FormatUint(u, 10), float64(u))
		}
		if plainFloat.MatchString(plain) {
			if f, err := strconv.ParseFloat(plain, 64); err == nil {
				if strings.ContainsAny(plain, ".eE") {
					return normalizeFloat(f)
				}
				return wideInteger(strings.TrimPrefix(plain, "+"), f)
			}
		}
		// An oddity of the original: a sign after the prefix.
		if digits, ok := strings.CutPrefix(plain, "0b"); ok {
			if i, err := strconv.ParseInt(digits, 2, 64); err == nil {
				return i, ""
			}
		}
	}
	return s, ""
}

// parseNumber returns the value of a JSON number.
func parseNumber(literal string) (any, string) {
	if i, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return i, ""
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return nil, "is a number out of range"
	}
	if strings.ContainsAny(literal, ".eE") {
		return normalizeFloat(f)
	}
	return wideInteger(literal, f)
}

// wideInteger decides about an integer that is not written as an int64. Kubernetes would make it a float64; that is done here too if no digit
// is lost, and refused otherwise, because nobody writes twenty digits to have the last four replaced.
func wideInteger(digits string, f float64) (any, string) {
	value, message := normalizeFloat(f)
	if message != "" || strconv.FormatFloat(f, 'f', -1, 64) == digits {
		return value, message
	}
	kept, _ := big.NewFloat(f).Int(nil)
	if i, ok := value.(int64); ok {
		kept = big.NewInt(i)
	}
	if written, ok := new(big.Int).SetString(digits, 10); ok && written.Cmp(kept) == 0 {
		return value, ""
	}
	return nil, "is an integer that does not fit 64 bits and would lose digits; put it in quotes if it is a text"
}

// normalizeFloat returns f as int64 if it is an integer in range: JSON does not tell 1.0 from 1, and neither does Kubernetes.
func normalizeFloat(f float64) (any, string) {
	const exact = 1 << 53 // up to here, float64 tells all integers apart
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, "is not a finite number, which JSON cannot hold"
	case f != math.Trunc(f):
		return f, ""
	case f > -exact && f < exact:
		return int64(f), ""
	}
	// Beyond, what counts is how f is written, which is with the fewest digits that tell it from its neighbours: 4.6744073709551616e16 is
	// 46744073709551620 to everybody who reads JSON, although the float64 is 46744073709551616.
	if i, err := strconv.ParseInt(strconv.FormatFloat(f, 'f', -1, 64), 10, 64); err == nil {
		return i, ""
	}
	return f, ""
}

// convertNumbers replaces, in the maps and lists of v, every json.Number by an int64 or float64, and every float64 that is an integer by an int64. It
// leaves numbers that have no value, for check to find, and returns false.
func convertNumbers(v any) bool {
	ok := true
	convert := func(item any, set func(any)) {
		var value any
		message := ""
		switch item := item.(type) {
		case json.Number:
			value, message = parseNumber(item.String())
		case float64:
			value, message = normalizeFloat(item)
		default:
			ok = convertNumbers(item) && ok
			return
		}
		if message != "" {
			ok = false
			return
		}
		set(value)
	}
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			convert(item, func(value any) { v[key] = value })
		}
	case []any:
		for i, item := range v {
			convert(item, func(value any) { v[i] = value })
		}
	}
	return ok
}
