package gateway

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/login"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxBody bounds the body of every call but a publication, in bytes: what gRPC takes as one message.
	maxBody = 4 << 20
	// streamKey is the metadata by which the hub says that a stream is open.
	streamKey = "x-yardarm-stream"
	// streamType is the content type of streams: one JSON object a line.
	streamType = "application/x-ndjson"
	// certificateKey is the metadata in which the client certificate of a call is passed on, to hub/api, which believes it of this connection alone.
	certificateKey = "x-yardarm-certificate-bin"
	// fieldsHeader is the header, and the metadata, of the fields that a caller wants of an answer.
	fieldsHeader = "X-Yardarm-Fields"
	// publishPath is the one call whose body is a stream.
	publishPath = "/v1/publish"
)

// newREST makes the handler of everything that is not gRPC.
func newREST(cfg Config, conn *grpc.ClientConn, by *providers) (http.Handler, error) {
	strictQueries()
	refusals := refuser{cfg.Logger}
	api := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newJSON()),
		runtime.WithErrorHandler(refusals.write),
		runtime.WithRoutingErrorHandler(refusals.routing),
		runtime.WithIncomingHeaderMatcher(passHeader),
		runtime.WithMetadata(passCertificate),
		runtime.WithOutgoingHeaderMatcher(answerHeader),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithForwardResponseOption(openStream),
		runtime.WithForwardResponseOption(tag),
		// Neither has a use here, and both let a request be another than it looks.
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptReserved),
	)
	if err := hubv1.RegisterFleetServiceHandlerClient(context.Background(), api, hubv1.NewFleetServiceClient(conn)); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	refuse := func(w http.ResponseWriter, r *http.Request, err error) {
		refusals.write(r.Context(), api, newJSON(), w, r, err)
	}
	calls := takeFields(api)
	mux := http.NewServeMux()
	if cfg.Sealer == nil {
		mux.Handle("/v1/", compressed(calls))
	} else {
		s := newSessions(cfg, conn, by, refuse)
		mux.Handle("/v1/", compressed(s.wrap(calls)))
		s.register(mux)
	}
	if cfg.Webhook != nil {
		mux.Handle("POST "+webhookPath+"{name}", webhooks{hear: cfg.Webhook, stranger: cfg.Stranger, refuse: refuse, log: cfg.Logger})
	}
	mux.Handle("GET /openapi.json", compressed(http.HandlerFunc(serveOpenAPI)))
	reference, err := newReference(hubv1.OpenAPI)
	if err != nil {
		return nil, err
	}
	mux.Handle("GET "+referencePath, reference)
	mux.HandleFunc("GET "+login.Path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(by.announcement(cfg.Sealer != nil))
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.Handle("GET /readyz", cfg.Ready)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if cfg.Pages != nil && wantsPage(r) {
			cfg.Pages.ServeHTTP(w, r)
			return
		}
		refuse(w, r, &runtime.HTTPStatusError{
			HTTPStatus: http.StatusNotFound,
			Err:        status.Error(codes.NotFound, "there is nothing at this path; /openapi.json lists what there is"),
		})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store") // answers hold the fleet's state, and may hold a token
		if !validText(r.URL) {
			refuse(w, r, status.Error(codes.InvalidArgument, "the path or the query is not UTF-8"))
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// wantsPage tells people who look for a page from programs that have mistyped a path.
func wantsPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		(strings.HasPrefix(r.URL.Path, "/assets/") || strings.Contains(r.Header.Get("Accept"), "text/html"))
}

// validText tells whether gRPC can carry what a URL says.
func validText(u *url.URL) bool {
	query, err := url.QueryUnescape(u.RawQuery)
	return utf8.ValidString(u.Path) && (err != nil || utf8.ValidString(query)) // a bad escape is the parser's to refuse
}

// takeFields has the query parameter "fields" mean what the header does. It is no field of any request.
func takeFields(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if fields := query["fields"]; err == nil && len(fields) > 0 {
			r.Header.Set(fieldsHeader, strings.Join(fields, ","))
			delete(query, "fields")
			r.URL.RawQuery = query.Encode()
		}
		next.ServeHTTP(w, r)
	})
}

// passHeader tells what of a request's headers becomes metadata. Authorization is passed by the library itself; what looks like
// gRPC metadata is not, since a caller could otherwise write what only a proxy should.
func passHeader(key string) (string, bool) {
	switch http.CanonicalHeaderKey(key) {
	case "X-Request-Id":
		return "x-request-id", true
	case "If-Match":
		return "if-match", true
	case "Idempotency-Key":
		return "idempotency-key", true
	case fieldsHeader:
		return fieldsHeader, true
	case "Traceparent":
		return "traceparent", true
	}
	return "", false
}

// passCertificate passes on the client certificate that the TLS handshake has verified.
func passCertificate(_ context.Context, r *http.Request) metadata.MD {
	leaf := verified(r)
	if leaf == nil {
		return nil
	}
	return metadata.Pairs(certificateKey, string(leaf.Raw))
}

// verified is that certificate, or nil.
func verified(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0]
}

func answerHeader(key string) (string, bool) {
	if key == "x-request-id" {
		return "X-Request-Id", true
	}
	return "", false
}

// openStream sends the headers of a stream that may have nothing to say for long, so that its caller knows that it is open. The hub marks such
// a stream once it has accepted the call; before, a refusal has a status of its own. The library asks with a nil message first.
func openStream(ctx context.Context, w http.ResponseWriter, message proto.Message) error {
	md, ok := runtime.ServerMetadataFromContext(ctx)
	if message != nil || !ok || len(md.HeaderMD.Get(streamKey)) == 0 {
		return nil
	}
	w.Header().Set("Content-Type", streamType)
	w.WriteHeader(http.StatusOK)
	return http.NewResponseController(w).Flush()
}

// tag gives a resource its version as an entity tag, which If-Match takes.
func tag(_ context.Context, w http.ResponseWriter, message proto.Message) error {
	if resource, ok := message.(interface{ GetMetadata() *yardarmv1.ObjectMeta }); ok && resource.GetMetadata().GetResourceVersion() != "" {
		w.Header().Set("ETag", `"`+resource.GetMetadata().GetResourceVersion()+`"`)
	}
	return nil
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(hubv1.OpenAPI)
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(strings.TrimSpace(text) + "\n"))
}
