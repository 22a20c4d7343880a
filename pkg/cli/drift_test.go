package cli

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (f *fleet) AcceptDrift(_ context.Context, req *hubv1.AcceptDriftRequest) (*hubv1.PublishRevisionResponse, error) {
	f.note(req)
	bundle, err := find[*yardarmv1.Bundle](f, yardarmv1.KindBundle, req.GetBundle())
	if err != nil {
		return nil, err
	}
	resp := &hubv1.PublishRevisionResponse{Revision: newRevision(req.GetBundle(), bundle.GetStatus().GetRevision()+1, "sha256:"+strings.Repeat("2", 64)), Outcome: "published", Clusters: 4}
	if req.GetDryRun() {
		resp.Diff = &hubv1.Diff{Unchanged: 3, Parts: []*hubv1.DiffPart{{Group: "prod", Clusters: 1, Changed: 1, Examples: req.GetClusters(),
			Objects: []*hubv1.ObjectDiff{{Object: "apps/Deployment shop/web", Action: "changed", Fields: []*hubv1.FieldDiff{{Path: "spec.replicas", Before: "3", After: "5"}}}}}}}
	}
	return resp, nil
}

func TestAcceptDrift(t *testing.T) {
	h := serve(t, exampleFleet())
	// On a terminal, it is shown what would change, and asked.
	args := []string{"drift", "accept", "bundle/db", "cluster/eu-1", "--field", "spec.replicas"}
	got := h.invoke(t, invocation{args: args, in: "n\n", terminal: true})
	want := &hubv1.AcceptDriftRequest{Bundle: "db", Clusters: []string{"eu-1"}, Fields: []*hubv1.DriftedField{{Object: "apps/StatefulSet prod/db", Path: "spec.replicas"}}, DryRun: true}
	if got.code != ExitNo || !strings.Contains(got.out, "spec.replicas: 3 → 5") || !strings.Contains(got.err, "Accept it? [y/N]") || !proto.Equal(h.lastCall(), want) {
		t.Errorf("%+v, %v", got, h.lastCall())
	}
	want.DryRun = false
	got = h.invoke(t, invocation{args: args, in: "y\n", terminal: true})
	if got.code != ExitYes || !strings.Contains(got.out, "published (to 4 clusters)\n") || !proto.Equal(h.lastCall(), want) {
		t.Errorf("%+v, %v", got, h.lastCall())
	}
	// In a script, it is not.
	got = h.run(t, "drift", "accept", "bundle/db", "cluster/eu-1", "cluster/eu-2", "--group", "prod", "-o", "name")
	if got.out != "revision/db-2\n" || !proto.Equal(h.lastCall(), &hubv1.AcceptDriftRequest{Bundle: "db", Clusters: []string{"eu-1", "eu-2"}, Group: "prod"}) {
		t.Errorf("%+v, %v", got, h.lastCall())
	}
}
