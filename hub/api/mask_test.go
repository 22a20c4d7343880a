package api_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestFieldsOfAnswers(t *testing.T) {
	h := smallFleet(t)
	for _, tc := range []struct{ fields, want string }{
		{"metadata.name", `metadata {name: "berlin"}`},
		{"kind, metadata.name", `kind: "Cluster" metadata {name: "berlin"}`},
		{"metadata.labels.env,status.facts.nodes,metadata.name", `metadata {name: "berlin" labels {key: "env" value: "prod"}} status {facts {nodes: 6}}`},
		{"status.groups,status.presence", `status {presence: "Connected" groups: "all" groups: "prod"}`},
		{"status.facts.kubernetesVersion,status.facts.kubernetes_version", `status {facts {kubernetes_version: "v1.31.2"}}`},
		{"metadata.labels.none", `metadata {}`},
		{"metadata.labels,metadata.labels.env", `metadata {labels {key: "env" value: "prod"} labels {key: "phase" value: "blue"}}`},
		{"metadata.labels.env,metadata.labels", `metadata {labels {key: "env" value: "prod"} labels {key: "phase" value: "blue"}}`},
	} {
		got := must[*yardarmv1.Cluster](t)(h.GetCluster(apitest.WithHeader(t.Context(), "x-yardarm-fields", tc.fields), &hubv1.GetClusterRequest{Name: "berlin"}))
		want := &yardarmv1.Cluster{}
		if err := prototext.Unmarshal([]byte(tc.want), want); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("%s: got %v", tc.fields, got)
		}
	}
	// The rows are as they were.
	if c := getCluster(t, h, "berlin"); c.Status.Facts.Region != "eu" || c.Metadata.Labels["phase"] != "blue" {
		t.Errorf("the store has %v", c)
	}
	for _, fields := range []string{"nothing", "metadata.nothing", "metadata.name.x", "metadata..name", ",", "metadata.name,", strings.Repeat("kind,", 1000)} {
		_, err := h.GetCluster(apitest.WithHeader(t.Context(), "x-yardarm-fields", fields), &hubv1.GetClusterRequest{Name: "berlin"})
		refused(t, err, codes.InvalidArgument, "fields")
	}
}

// TestFieldsOfStreamsAndREST narrow the messages of a watch, and REST's answers.
func TestFieldsOfStreamsAndREST(t *testing.T) {
	h := smallFleet(t)
	stream := must[hubv1.FleetService_WatchClient](t)(h.Watch(apitest.WithHeader(t.Context(), "x-yardarm-fields", "type,cluster.metadata.name"), &hubv1.WatchRequest{Kind: "Cluster", Name: "berlin"}))
	first := must[*hubv1.WatchResponse](t)(stream.Recv())
	if want := (&hubv1.WatchResponse{Type: first.Type, Resource: &hubv1.WatchResponse_Cluster{Cluster: &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "berlin"}}}}); first.Type == "" || !proto.Equal(first, want) {
		t.Errorf("watched %v", first)
	}
	query := url.Values{"fields": {"clusters.metadata.name,totalSize"}, "filter": {"env=prod"}, "page_size": {"1"}}
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/v1/clusters?"+query.Encode(), nil))
	req.Header.Set("Authorization", "Bearer "+h.Token)
	resp := must[*http.Response](t)(h.HTTP.Do(req))
	defer resp.Body.Close()
	body := must[[]byte](t)(io.ReadAll(resp.Body))
	if got := strings.NewReplacer(" ", "", "\n", "").Replace(string(body)); got != `{"clusters":[{"metadata":{"name":"berlin"}}],"totalSize":2}` {
		t.Errorf("status %d: %s", resp.StatusCode, got)
	}
}
