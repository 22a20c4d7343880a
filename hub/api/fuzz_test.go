package api_test

import (
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// answered fails for what is the hub's fault: whatever comes, a caller is answered or refused.
func answered(t *testing.T, err error) {
	t.Helper()
	switch status.Code(err) {
	case codes.Internal, codes.Unknown, codes.Unavailable, codes.DeadlineExceeded:
		t.Errorf("the hub failed: %v", err)
	}
}

func seed(f *testing.F, m proto.Message) []byte {
	f.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

func FuzzApply(f *testing.F) {
	h := apitest.Start(f)
	h.Enrolled(f, "berlin", map[string]string{"env": "prod"})
	cel := group("cel", "")
	cel.GetClusterGroup().Spec.Expression = `facts.nodes > 2 && labels["a"].matches("^x")`
	f.Add(seed(f, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod"), bundle("web", "prod"), cel}}))
	f.Add(seed(f, &hubv1.ApplyRequest{DryRun: true, Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Cluster{Cluster: &yardarmv1.Cluster{
		Metadata: &yardarmv1.ObjectMeta{Name: "berlin", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"a/b": "c"}}}}}}}))
	f.Add(seed(f, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{}, {Resource: &hubv1.Resource_Bundle{}}}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		req := &hubv1.ApplyRequest{}
		if proto.Unmarshal(raw, req) != nil {
			t.Skip()
		}
		resp, err := h.Apply(t.Context(), req)
		answered(t, err)
		if err == nil && len(resp.GetResults()) != len(req.GetResources()) {
			t.Errorf("%d results of %d resources", len(resp.Results), len(req.Resources))
		}
		for _, call := range []func() error{
			func() error { _, err := h.ListClusters(t.Context(), &hubv1.ListClustersRequest{}); return err },
			func() error { _, err := h.ListBundles(t.Context(), &hubv1.ListBundlesRequest{}); return err },
		} {
			answered(t, call())
		}
	})
}

func FuzzPublish(f *testing.F) {
	h := apitest.Start(f)
	if _, err := h.Apply(f.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod")}}); err != nil {
		f.Fatal(err)
	}
	file := apitest.ConfigMap("", "web", "1")
	f.Add(seed(f, &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}}), file.Path, file.Data, uint8(3))
	f.Add(seed(f, &hubv1.Publication{Bundle: "web", DryRun: true, Provenance: &yardarmv1.Provenance{Message: "m"}}), "a.json", []byte(`{"kind":"List"}`), uint8(0))
	f.Add([]byte{}, "", []byte("a: &a [*a]"), uint8(1))
	f.Fuzz(func(t *testing.T, raw []byte, path string, data []byte, pieces uint8) {
		p := &hubv1.Publication{}
		if proto.Unmarshal(raw, p) != nil || !utf8.ValidString(path) {
			t.Skip() // this client cannot send it
		}
		stream, err := h.PublishRevision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		send := func(m *hubv1.PublishRevisionRequest) { _ = stream.Send(m) }
		send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_Publication{Publication: p}})
		n := len(data)/(int(pieces)+1) + 1
		for len(data) > 0 {
			piece := data[:min(n, len(data))]
			data = data[len(piece):]
			send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_File{File: &hubv1.FileChunk{Path: path, Data: piece}}})
		}
		_, err = stream.CloseAndRecv()
		answered(t, err)
	})
}
