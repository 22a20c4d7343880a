package cli

import (
	"context"
	"time"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// ListProblems has two of web, and none of other bundles.
func (f *fleet) ListProblems(_ context.Context, req *hubv1.ListProblemsRequest) (*hubv1.ListProblemsResponse, error) {
	if req.GetBundle() != "" && req.GetBundle() != "web" {
		return &hubv1.ListProblemsResponse{Clusters: 1}, nil
	}
	return &hubv1.ListProblemsResponse{TotalSize: 3, FailingClusters: 13, Clusters: 120, Problems: []*hubv1.Problem{
		{Phase: "Degraded", Reason: "ImagePullBackOff", Kind: "apps/Deployment", Message: "pod <name>\n\x1b[31mcannot pull", Bundles: []string{"api", "web"},
			Clusters: 12, UnheardClusters: 1, UnheardSince: ago(26 * time.Hour), Since: ago(3 * time.Hour),
			Examples: []*hubv1.ProblemExample{{Cluster: "eu-1", Bundle: "api"}, {Cluster: "eu-1", Bundle: "web"}, {Cluster: "eu-2", Bundle: "web"}},
			Shared: []*hubv1.SharedTrait{
				{Type: "fact", Key: "provider", Value: "aws", Failing: 12, FailingTotal: 12, Others: 3, OthersTotal: 107},
				{Type: "label", Key: "region", Value: "eu", Failing: 11, FailingTotal: 12, Others: 0, OthersTotal: 107},
				{Type: "spoke", Key: "version", Value: "v1.2.3", Failing: 12, FailingTotal: 12, Others: 1, OthersTotal: 107},
			}},
		{Phase: "Held", Reason: "MassDeletion", Message: "<n> of <n> objects would be removed", Bundles: []string{"web"}, Clusters: 1, Since: ago(time.Minute),
			Examples: []*hubv1.ProblemExample{{Cluster: "us-1", Bundle: "web", Message: "7 of 9 objects would be removed", Since: ago(time.Minute), AsOf: ago(0)}}},
	}}, nil
}
