package kube

import (
	"errors"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestRequestsAreCountedByVerb(t *testing.T) {
	for _, c := range []struct{ method, path, content, want string }{
		{"GET", "/api/v1/namespaces", "", "list"},
		{"GET", "/api/v1/namespaces/prod", "", "get"},
		{"GET", "/api/v1/namespaces/prod/pods?labelSelector=a%3Db", "", "list"},
		{"GET", "/api/v1/namespaces/prod/pods/web", "", "get"},
		{"GET", "/api/v1/namespaces/prod/pods/web/status", "", "get"},
		{"GET", "/api/v1/pods?watch=true", "", "watch"},
		{"GET", "/apis/apps/v1/deployments", "", "list"},
		{"GET", "/apis/apps/v1/namespaces/prod/deployments/web", "", "get"},
		{"GET", "/apis/apps/v1", "", "get"},
		{"GET", "/apis/apps", "", "get"},
		{"GET", "/api/v1", "", "get"},
		{"GET", "/version", "", "get"},
		{"GET", "/k8s/clusters/c-1/apis/apps/v1/deployments", "", "list"},
		{"POST", "/api/v1/namespaces/prod/configmaps", "", "create"},
		{"PUT", "/api/v1/namespaces/prod/configmaps/m", "", "update"},
		{"PATCH", "/api/v1/namespaces/prod/configmaps/m", "application/merge-patch+json", "patch"},
		{"PATCH", "/api/v1/namespaces/prod/configmaps/m", "application/apply-patch+yaml", "apply"},
		{"PATCH", "/api/v1/namespaces/prod/configmaps/m", "application/apply-patch+cbor", "apply"},
		{"DELETE", "/api/v1/namespaces/prod/configmaps/m", "", "delete"},
		{"OPTIONS", "/", "", "other"},
	} {
		request, err := http.NewRequest(c.method, "https://127.0.0.1"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", c.content)
		if got := verb(request); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.want)
		}
	}
}

func TestRequestsAreCountedByAnswer(t *testing.T) {
	registry := prometheus.NewRegistry()
	r, err := newRequests(registry)
	if err != nil {
		t.Fatal(err)
	}
	status := http.StatusNotFound
	transport := r.wrap(answer(func() (*http.Response, error) {
		if status == 0 {
			return nil, errors.New("refused")
		}
		return &http.Response{StatusCode: status, Body: http.NoBody}, nil
	}))
	for _, status = range []int{http.StatusOK, http.StatusCreated, http.StatusConflict, http.StatusBadGateway, 0} {
		request, err := http.NewRequest(http.MethodDelete, "https://127.0.0.1/api/v1/nodes/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := transport.RoundTrip(request); err == nil {
			response.Body.Close()
		}
	}
	for code, want := range map[string]float64{"2xx": 2, "4xx": 1, "5xx": 1, "error": 1} {
		var m dto.Metric
		if err := r.total.WithLabelValues("delete", code).Write(&m); err != nil {
			t.Fatal(err)
		}
		if got := m.GetCounter().GetValue(); got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
}

type answer func() (*http.Response, error)

func (a answer) RoundTrip(*http.Request) (*http.Response, error) { return a() }
