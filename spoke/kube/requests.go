package kube

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// requests counts what is asked of the API server.
type requests struct{ total *prometheus.CounterVec }

func newRequests(registerer prometheus.Registerer) (*requests, error) {
	r := &requests{total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "yardarm_spoke_api_requests_total",
		Help: "Requests to the API server, by verb and by class of the answer: 2xx and so on, or error where there was none.",
	}, []string{"verb", "code"})}
	if registerer == nil {
		return r, nil
	}
	if err := registerer.Register(r.total); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return r, nil
}

// wrap makes a transport count.
func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return counted{requests: r, next: next}
}

type counted struct {
	*requests
	next http.RoundTripper
}

func (c counted) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(request)
	code := "error"
	if err == nil {
		code = fmt.Sprintf("%dxx", response.StatusCode/100)
	}
	c.total.WithLabelValues(verb(request), code).Inc()
	return response, err
}

// verb is what the API server's audit log calls a request. What is no request for objects, such as discovery, is a get.
func verb(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1" {
			return "watch"
		}
		if isCollection(r.URL.Path) {
			return "list"
		}
		return "get"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/apply-patch") {
			return "apply"
		}
		return "patch"
	case http.MethodDelete:
		return "delete"
	}
	return "other"
}

// isCollection tells whether a path names all objects of a kind, in a namespace or in all.
func isCollection(path string) bool {
	// api/v1/… or apis/GROUP/VERSION/…, after what a proxy may have in front.
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i, part := range parts {
		switch {
		case part == "api" && len(parts) > i+1:
			parts = parts[i+2:]
		case part == "apis" && len(parts) > i+2:
			parts = parts[i+3:]
		default:
			continue
		}
		if len(parts) > 2 && parts[0] == "namespaces" {
			parts = parts[2:]
		}
		return len(parts) == 1
	}
	return false
}
