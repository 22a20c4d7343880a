package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func strategies() []*yardarmv1.Strategy {
	meta := func(name string) *yardarmv1.ObjectMeta {
		return &yardarmv1.ObjectMeta{Name: name, CreationTimestamp: ago(time.Hour)}
	}
	return []*yardarmv1.Strategy{
		{Kind: yardarmv1.KindStrategy, Metadata: meta("careful"), Status: &yardarmv1.StrategyStatus{Bundles: []string{"db", "web"}}, Spec: &yardarmv1.RolloutStrategy{
			OnFailure: yardarmv1.OnFailurePause, Stages: []*yardarmv1.Stage{
				{Name: "canary", Clusters: 1, FailureBudget: "0"}, {Group: "test", Soak: durationpb.New(10 * time.Minute), Approval: yardarmv1.ApprovalAfter},
				{Name: "eu", Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"region": "eu"}}, ProgressDeadline: durationpb.New(time.Hour)},
				{Name: "early", Percent: 10, OrderBy: "site"}, {Name: "rest", Concurrency: "50"}}}},
		{Kind: yardarmv1.KindStrategy, Metadata: meta("plain"), Spec: &yardarmv1.RolloutStrategy{}},
	}
}

func (f *fleet) ListStrategies(context.Context, *hubv1.ListStrategiesRequest) (*hubv1.ListStrategiesResponse, error) {
	return &hubv1.ListStrategiesResponse{Strategies: strategies(), TotalSize: 2}, nil
}

func (f *fleet) GetStrategy(_ context.Context, req *hubv1.GetStrategyRequest) (*yardarmv1.Strategy, error) {
	for _, s := range strategies() {
		if s.Metadata.Name == req.GetName() {
			return s, nil
		}
	}
	return find[*yardarmv1.Strategy](f, yardarmv1.KindStrategy, req.GetName())
}

func (f *fleet) DeleteStrategy(_ context.Context, req *hubv1.DeleteStrategyRequest) (*hubv1.DeleteStrategyResponse, error) {
	f.note(req)
	return &hubv1.DeleteStrategyResponse{}, nil
}

func TestStrategies(t *testing.T) {
	h := serve(t, exampleFleet())
	var b strings.Builder
	for _, command := range []string{"get strategies", "describe strategy careful", "describe strategy plain", "get strategy carefull", "delete strategy careful --yes", "get strategies -w"} {
		args := strings.Fields(command)
		b.WriteString(transcript(args, h.run(t, args...)) + "\n")
	}
	golden(t, "strategy", b.String())
}
