package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxValue bounds one JSON value of a body, in bytes, so that a publication is held a chunk at a time: what gRPC takes as one
// message, in base64.
const maxValue = maxBody/3*4 + 1<<10

// jsonMarshaler speaks JSON as Kubernetes users know it: camelCase, and what is not set is not there. It takes no unknown fields.
type jsonMarshaler struct {
	*runtime.JSONPb
}

func newJSON() jsonMarshaler {
	return jsonMarshaler{&runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{}, UnmarshalOptions: protojson.UnmarshalOptions{}}}
}

// StreamContentType implements runtime.StreamContentType.
func (jsonMarshaler) StreamContentType(any) string { return streamType }

// NewDecoder reads JSON values one after the other, none of them larger than maxValue.
func (j jsonMarshaler) NewDecoder(r io.Reader) runtime.Decoder {
	budget := &budgetReader{r: r}
	inner := json.NewDecoder(budget)
	return runtime.DecoderFunc(func(v any) error {
		budget.left = maxValue
		message, ok := v.(proto.Message)
		if !ok {
			return fmt.Errorf("request body: cannot decode into %T", v)
		}
		var raw json.RawMessage
		if err := inner.Decode(&raw); err != nil {
			if errors.Is(err, io.EOF) {
				return err // what the callers take as the end
			}
			return fmt.Errorf("request body: %w", err)
		}
		if err := j.UnmarshalOptions.Unmarshal(raw, message); err != nil {
			return fmt.Errorf("request body: %s", plain(err))
		}
		return nil
	})
}

// plain is a protojson error without its prefix, whose space varies so that nobody relies on the text.
func plain(err error) string {
	return strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
}

// budgetReader reads on only while left is positive.
type budgetReader struct {
	r    io.Reader
	left int
}

var errValueTooLarge = fmt.Errorf("a JSON value is larger than %d bytes; send files in chunks of at most 1 MiB", maxValue)

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errValueTooLarge
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// strictQueries makes query parameters that no field has an error, as unknown fields in a body are. The library keeps its
// parser in a global, which is set here once.
var strictQueries = sync.OnceFunc(func() { runtime.NewServeMux(runtime.SetQueryParameterParser(queryParser{})) })

type queryParser struct{ runtime.DefaultQueryParser }

// Parse implements runtime.QueryParameterParser.
func (q queryParser) Parse(message proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	fields := message.ProtoReflect().Descriptor().Fields()
	for key := range values {
		name, _, _ := strings.Cut(key, ".")
		name, _, _ = strings.Cut(name, "[")
		if fields.ByTextName(name) == nil && fields.ByJSONName(name) == nil {
			return fmt.Errorf("query parameter %q: there is no such field; /openapi.json lists them", clip(name))
		}
	}
	if err := q.DefaultQueryParser.Parse(message, values, filter); err != nil {
		return fmt.Errorf("query parameters: %s", plain(err))
	}
	return nil
}

// clip shortens s for an error message.
func clip(s string) string {
	const limit = 80 // bytes
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
