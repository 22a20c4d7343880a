package gateway

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// referencePath is where people read what the API takes and answers.
const referencePath = "/api"

var (
	//go:embed reference.html
	referencePage string
	//go:embed reference.css
	referenceStyle string
)

// document is what the page shows of an OpenAPI 2.0 document.
type document struct {
	Paths       map[string]map[string]operation `json:"paths"`
	Definitions map[string]schema               `json:"definitions"`
}

type operation struct {
	Summary     string      `json:"summary"`
	Description string      `json:"description"`
	Parameters  []parameter `json:"parameters"`
	Responses   map[string]struct {
		Schema schema `json:"schema"`
	} `json:"responses"`
}

type parameter struct {
	schema
	Name     string `json:"name"`
	In       string `json:"in"`
	Required bool   `json:"required"`
	Schema   schema `json:"schema"`
}

// schema is a message, or what a field holds.
type schema struct {
	Ref         string            `json:"$ref"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Type        string            `json:"type"`
	Format      string            `json:"format"`
	Enum        []string          `json:"enum"`
	Items       *schema           `json:"items"`
	Additional  *schema           `json:"additionalProperties"`
	Properties  map[string]schema `json:"properties"`
}

// Words is what the document says of it in words.
func (s schema) Words() string { return strings.TrimSpace(s.Title + "\n" + s.Description) }

// Message is the definition that s, or each of its elements, is of; empty for none.
func (s schema) Message() string {
	switch {
	case s.Items != nil:
		return s.Items.Message()
	case s.Additional != nil:
		return s.Additional.Message()
	}
	return strings.TrimPrefix(s.Ref, "#/definitions/")
}

// Kind is as in "string", "list of integer (int64)" and "map of text to v1Selector".
func (s schema) Kind() string {
	switch {
	case s.Items != nil:
		return "list of " + s.Items.Kind()
	case s.Additional != nil:
		return "map of text to " + s.Additional.Kind()
	case s.Ref != "":
		return s.Message()
	case s.Format != "":
		return s.Type + " (" + s.Format + ")"
	}
	return cmp.Or(s.Type, "anything")
}

// call is one operation, of a path and a method.
type call struct {
	operation
	Method, Path string
}

// Takes is the message in the body; empty for none.
func (c call) Takes() string {
	for _, p := range c.Parameters {
		if p.In == "body" {
			return p.Schema.Message()
		}
	}
	return ""
}

// Answers is the message that is answered, which of a stream is one line.
func (c call) Answers() string {
	answer := c.Responses["200"].Schema
	return cmp.Or(answer.Message(), answer.Properties["result"].Message())
}

// Stream tells whether answers come line by line.
func (c call) Stream() bool { return len(c.Responses["200"].Schema.Properties) > 0 }

// calls are all operations, by path.
func (d *document) calls() (out []call) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			out = append(out, call{d.Paths[path][method], strings.ToUpper(method), path})
		}
	}
	return out
}

// newReference makes the page of an OpenAPI document, once. It holds no script and loads nothing.
func newReference(openAPI []byte) (http.Handler, error) {
	var d document
	if err := json.Unmarshal(openAPI, &d); err != nil {
		return nil, fmt.Errorf("gateway: read the OpenAPI document: %w", err)
	}
	page, err := template.New("reference").Parse(referencePage)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	var text bytes.Buffer
	if err := page.Execute(&text, map[string]any{"Style": template.CSS(referenceStyle), "Calls": d.calls(), "Definitions": d.Definitions}); err != nil {
		return nil, fmt.Errorf("gateway: write the page about the API: %w", err)
	}
	style := sha256.Sum256([]byte(referenceStyle))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(text.Bytes())
	}), nil
}
