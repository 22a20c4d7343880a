package kube

import (
	"context"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// Right is something that an account may do or not.
type Right struct {
	Verb, Group, Resource, Name string
	// Own says that it is about the spoke's own namespace; otherwise it is about the whole cluster.
	Own bool
}

// String is as in "get secrets".
func (r Right) String() string {
	text := r.Verb + " " + r.Resource
	if r.Group != "" && r.Group != "*" {
		text += "." + r.Group
	}
	if r.Name != "" {
		text += " " + r.Name
	}
	return text
}

// May asks the API server whether the spoke's account has a right.
func (k *Client) May(ctx context.Context, r Right) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	attributes := map[string]any{"verb": r.Verb, "group": r.Group, "resource": r.Resource, "name": r.Name}
	if r.Own {
		attributes["namespace"] = k.namespace
	}
	review := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"resourceAttributes": attributes}}}
	review.SetAPIVersion("authorization.k8s.io/v1")
	review.SetKind("SelfSubjectAccessReview")
	reviews := schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}
	answer, err := k.Dynamic.Resource(reviews).Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask whether the spoke may %s: %w", r, err)
	}
	allowed, _, err := unstructured.NestedBool(answer.Object, "status", "allowed")
	return allowed, err
}

// ServerTime answers the API server's clock, to the second.
func (k *Client) ServerTime(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client, err := rest.HTTPClientFor(k.config)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the API server for the time: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(k.config)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the API server for the time: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("version").String(), nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the API server for the time: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the API server for the time: %w", err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return time.Time{}, fmt.Errorf("the API server answers %s", response.Status)
	}
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the API server does not say what time it is: %w", err)
	}
	return at, nil
}
