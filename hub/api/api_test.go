package api_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// refused checks a refusal's code, and that its message names all of what it must.
func refused(t *testing.T, err error, code codes.Code, words ...string) *status.Status {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code {
		t.Fatalf("got %v: %q, want %v", st.Code(), st.Message(), code)
	}
	for _, word := range words {
		if !strings.Contains(st.Message(), word) {
			t.Errorf("message %q does not say %q", st.Message(), word)
		}
	}
	return st
}

// fields are the paths of the field violations in a refusal.
func fields(st *status.Status) []string {
	var out []string
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.FieldViolations {
				out = append(out, v.Field)
			}
		}
	}
	return out
}

// reason is the machine-readable reason of a refusal.
func reason(st *status.Status) string {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}

// must is for calls that a test needs and does not test.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func group(name, label string) *hubv1.Resource {
	key, value, _ := strings.Cut(label, "=")
	spec := &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{}}
	if key != "" {
		spec.Selector.MatchLabels = map[string]string{key: value}
	}
	return &hubv1.Resource{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: &yardarmv1.ClusterGroup{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindClusterGroup, Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec,
	}}}
}

func bundle(name string, groups ...string) *hubv1.Resource {
	spec := &yardarmv1.BundleSpec{}
	for _, g := range groups {
		spec.Targets = append(spec.Targets, &yardarmv1.Target{Group: g})
	}
	return &hubv1.Resource{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}}}
}

func apply(t *testing.T, h *apitest.Hub, resources ...*hubv1.Resource) *hubv1.ApplyResponse {
	t.Helper()
	resp, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: resources})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func outcomes(resp *hubv1.ApplyResponse) string {
	var out []string
	for _, r := range resp.GetResults() {
		out = append(out, r.GetOutcome())
	}
	return strings.Join(out, " ")
}

// publish makes a revision of one ConfigMap.
func publish(t *testing.T, h *apitest.Hub, bundle, value string, groups ...string) *hubv1.PublishRevisionResponse {
	t.Helper()
	resp, err := h.Publish(t.Context(), &hubv1.Publication{Bundle: bundle, Groups: groups}, apitest.ConfigMap("", bundle, value))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// drain reads a stream to its end.
func drain[T any](stream interface{ Recv() (T, error) }) ([]T, error) {
	var out []T
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
}

func names[T interface{ GetMetadata() *yardarmv1.ObjectMeta }](items []T) string {
	var out []string
	for _, i := range items {
		out = append(out, i.GetMetadata().GetName())
	}
	return strings.Join(out, " ")
}

func number(n int) string { return fmt.Sprintf("%02d", n) }
