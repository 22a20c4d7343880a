package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/requestid"
)

// refuser writes errors.
type refuser struct{ log *slog.Logger }

// write answers {"code": …, "message": …, "details": […]}, the JSON of google.rpc.Status.
func (f refuser) write(ctx context.Context, _ *runtime.ServeMux, marshaler runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	code := 0
	var custom *runtime.HTTPStatusError
	if errors.As(err, &custom) {
		code, err = custom.HTTPStatus, custom.Err
	}
	st := status.Convert(err)
	if body, ok := r.Body.(*patientBody); ok && body.tooLarge.Load() {
		code = http.StatusRequestEntityTooLarge
		if st.Code() != codes.ResourceExhausted {
			st = status.New(codes.ResourceExhausted, "the request body is too large; publish smaller artifacts, or raise the hub's limit")
		}
	}
	if code == 0 {
		code = httpStatus(st.Code())
	}
	st, id := f.identify(ctx, r, st)
	w.Header().Set("X-Request-Id", id)
	body, err := marshaler.Marshal(st.Proto())
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"code":13,"message":"the error cannot be written as JSON"}`)
	}
	if st.Code() == codes.Unauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="yardarm"`)
	}
	if wait := retryAfter(st); wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(wait, 10))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}

// identify answers which request an error is of: the id that the hub has given the call, or one for what the gateway itself refuses, which then says so
// as the hub's errors do.
func (f refuser) identify(ctx context.Context, r *http.Request, st *status.Status) (*status.Status, string) {
	given := r.Header.Values(requestid.Header)
	if md, ok := runtime.ServerMetadataFromContext(ctx); ok && len(md.HeaderMD.Get(requestid.Header)) == 1 {
		given = md.HeaderMD.Get(requestid.Header)
	}
	id := requestid.Of(given, rand.Reader)
	if len(st.Details()) > 0 {
		return st, id
	}
	f.log.Debug("request refused", "request", id, "code", st.Code().String(), "error", st.Message())
	if with, err := st.WithDetails(&errdetails.RequestInfo{RequestId: id}); err == nil {
		st = with
	}
	return st, id
}

// retryAfter is how many seconds a refused caller is to wait, rounded up; 0 where the error does not say.
func retryAfter(st *status.Status) int64 {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return int64(math.Ceil(info.GetRetryDelay().AsDuration().Seconds()))
		}
	}
	return 0
}

func (f refuser) routing(ctx context.Context, mux *runtime.ServeMux, marshaler runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	st := status.New(codes.InvalidArgument, http.StatusText(code))
	switch code {
	case http.StatusNotFound:
		st = status.New(codes.NotFound, "there is no such call; /openapi.json lists them")
	case http.StatusMethodNotAllowed:
		st = status.New(codes.Unimplemented, "the path takes another HTTP method; /openapi.json lists them")
	}
	f.write(ctx, mux, marshaler, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: st.Err()})
}

// httpStatus differs from the library's mapping in one: what the resource's state forbids is a conflict, not a bad request.
func httpStatus(code codes.Code) int {
	if code == codes.FailedPrecondition {
		return http.StatusConflict
	}
	return runtime.HTTPStatusFromCode(code)
}
