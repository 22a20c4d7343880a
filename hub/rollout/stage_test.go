package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestCheck(t *testing.T) {
	rest := &yardarmv1.Stage{Name: "rest"}
	with := func(s *yardarmv1.Stage) []*yardarmv1.Stage { return []*yardarmv1.Stage{s, rest} }
	many := make([]*yardarmv1.Stage, maxStages+1)
	for i := range many {
		many[i] = &yardarmv1.Stage{Clusters: 1}
	}
	for _, test := range []struct {
		name   string
		stages []*yardarmv1.Stage
		want   []string // fields, each with part of its message
	}{
		{"nothing", nil, nil},
		{"the default", Default().Stages, nil},
		{"by groups", []*yardarmv1.Stage{{Group: "test"}, {Group: "prod"}}, nil},
		{"by percentages", []*yardarmv1.Stage{{Percent: 10}, {Percent: 50}, {Percent: 100}}, nil},
		{"shares and times", with(&yardarmv1.Stage{Clusters: 2, Concurrency: "10%", FailureBudget: "0", Soak: durationpb.New(time.Hour), Approval: "after"}), nil},
		{"a group is left out", []*yardarmv1.Stage{{Group: "test"}}, []string{"stages: take not all clusters (those of prod)"}},
		{"percentages that do not reach 100", []*yardarmv1.Stage{{Percent: 10}, {Percent: 90}}, []string{"stages: take not all clusters (those of test, prod)"}},
		{"percentages that shrink", with2(&yardarmv1.Stage{Percent: 50}, &yardarmv1.Stage{Percent: 40}), []string{"stages[1].percent: 50 % have it already"}},
		{"more than all", with(&yardarmv1.Stage{Percent: 110}), []string{"stages[0].percent: 110"}},
		{"two ways", with(&yardarmv1.Stage{Group: "test", Clusters: 1}), []string{"stages[0]: says by more than one"}},
		{"the rest first", []*yardarmv1.Stage{rest, {Group: "test"}}, []string{"stages[0]: takes all that are left"}},
		{"one name twice", []*yardarmv1.Stage{{Name: "rest", Clusters: 1}, rest}, []string{`stages[1].name: "rest"`}},
		{"a name that is a default", []*yardarmv1.Stage{{Name: "stage-2", Clusters: 1}, {}}, []string{`stages[1].name: "stage-2"`}},
		{"a selector", with(&yardarmv1.Stage{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"-": ""}}}), []string{"stages[0].selector: "}},
		{"concurrency", with(&yardarmv1.Stage{Clusters: 1, Concurrency: "half"}), []string{`stages[0].concurrency: "half"`}},
		{"none at a time", with(&yardarmv1.Stage{Clusters: 1, Concurrency: "0%"}), []string{"stages[0].concurrency: with 0"}},
		{"a budget", with(&yardarmv1.Stage{Clusters: 1, FailureBudget: "-1"}), []string{`stages[0].failureBudget: "-1"`}},
		{"a budget of more than all", with(&yardarmv1.Stage{Clusters: 1, FailureBudget: "101%"}), []string{`stages[0].failureBudget: "101%"`}},
		{"a soak", with(&yardarmv1.Stage{Clusters: 1, Soak: durationpb.New(-1)}), []string{"stages[0].soak: "}},
		{"a deadline", with(&yardarmv1.Stage{Clusters: 1, ProgressDeadline: durationpb.New(maxWait + 1)}), []string{"stages[0].progressDeadline: "}},
		{"an approval", with(&yardarmv1.Stage{Clusters: 1, Approval: "later"}), []string{`stages[0].approval: "later"`}},
		{"too many", many, []string{"stages: there are 33", "stages: take not all"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Check(&yardarmv1.RolloutStrategy{Stages: test.stages}, []string{"test", "prod"})
			if len(got) != len(test.want) {
				t.Fatalf("violations are %v", got)
			}
			for i, want := range test.want {
				if text := got[i].Field + ": " + got[i].Message; !strings.HasPrefix(text, want) {
					t.Errorf("violation %d is %q, want %q", i, text, want)
				}
			}
		})
	}
	if got := Check(&yardarmv1.RolloutStrategy{OnFailure: "retry"}, nil); len(got) != 1 || got[0].Field != "onFailure" {
		t.Errorf("onFailure: %v", got)
	}
}

func with2(stages ...*yardarmv1.Stage) []*yardarmv1.Stage { return append(stages, &yardarmv1.Stage{}) }

func TestShares(t *testing.T) {
	strategy := &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{
		{Clusters: 1, Concurrency: "1", FailureBudget: "0"},
		{Percent: 50, Concurrency: "30%", FailureBudget: "50%", Soak: durationpb.New(time.Minute), ProgressDeadline: durationpb.New(time.Hour)},
		{},
	}}
	for _, test := range []struct{ clusters, size, concurrency, budget, restConcurrency, restBudget int }{
		{1, 0, 1, 0, 1, 1},
		{10, 4, 2, 2, 2, 1},
		{1000, 499, 150, 249, 125, 10},
	} {
		r := Begin(1, "b", strategy, 10*time.Minute, made(test.clusters))
		if got := len(inStage(r, 1)); got != test.size {
			t.Errorf("of %d, %d are in the second stage, want %d", test.clusters, got, test.size)
		}
		s, rest := r.Stages[1], r.Stages[2]
		if s.Concurrency != test.concurrency || s.Budget != test.budget || rest.Concurrency != test.restConcurrency || rest.Budget != test.restBudget {
			t.Errorf("of %d: %+v, then %+v", test.clusters, s, rest)
		}
		if s.Soak != time.Minute || s.Deadline != time.Hour || rest.Soak != 0 || rest.Deadline != 15*time.Minute {
			t.Errorf("times: %+v, then %+v", s, rest)
		}
		if first := r.Stages[0]; first.Budget != 0 || first.Concurrency != 1 || !first.Any {
			t.Errorf("the first: %+v", first)
		}
	}
}

func inStage(r *Rollout, stage int) []string {
	var uids []string
	for _, m := range r.Members {
		if m.Stage == stage {
			uids = append(uids, m.UID)
		}
	}
	return uids
}

func TestDivide(t *testing.T) {
	candidates := func() []Candidate {
		all := made(20)
		for i := range all {
			all[i].Present, all[i].Ready = true, i%2 == 0
			all[i].Labels = map[string]string{"ring": string(rune('a' + i%3))}
			all[i].Groups = []string{"prod"}
		}
		all[7].Groups = []string{"test", "prod"}
		return all
	}
	t.Run("each in one stage, the first that takes it", func(t *testing.T) {
		r := Begin(1, "b", &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Group: "test"}, {Clusters: 2}, {Percent: 40}, {Group: "prod"}}}, 0, candidates())
		if got := inStage(r, 0); !slices.Equal(got, []string{"c07"}) {
			t.Errorf("the group: %v", got)
		}
		if a, b, c := len(inStage(r, 1)), len(inStage(r, 2)), len(inStage(r, 3)); a != 2 || b != 5 || c != 12 || len(r.Members) != 20 {
			t.Errorf("%d, %d, %d of %d", a, b, c, len(r.Members))
		}
	})
	t.Run("the canary is there, labelled, and well", func(t *testing.T) {
		all := candidates()
		r := Begin(1, "b", Default(), 0, all)
		if uid := inStage(r, 0)[0]; uid[2]%2 != 0 { // even ones are ready
			t.Errorf("%s is not well", uid)
		}
		all[5].Labels[yardarmv1.LabelCanary] = "true"
		if got := inStage(Begin(1, "b", Default(), 0, all), 0); got[0] != "c05" {
			t.Errorf("%v instead of the labelled one", got)
		}
		all[5].Present = false
		if got := inStage(Begin(1, "b", Default(), 0, all), 0); got[0] == "c05" {
			t.Error("it is away")
		}
	})
	t.Run("not always the same go first", func(t *testing.T) {
		first := map[string]bool{}
		for _, bundle := range []string{"b1", "b2", "b3", "b4", "b5"} {
			first[inStage(Begin(1, bundle, Default(), 0, made(20)), 0)[0]] = true
		}
		again := Begin(1, "b1", Default(), 0, made(20))
		if len(first) < 2 || !slices.Equal(again.Members, Begin(2, "b1", Default(), 0, made(20)).Members) {
			t.Errorf("first: %v", first)
		}
	})
	t.Run("in the order of a label", func(t *testing.T) {
		r := Begin(1, "b", &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{OrderBy: "ring"}}}, 0, candidates())
		rings := ""
		for _, m := range r.Members {
			rings += string(rune('a' + index(m.UID)%3))
		}
		if rings != strings.Repeat("a", 7)+strings.Repeat("b", 7)+strings.Repeat("c", 6) {
			t.Error(rings)
		}
	})
}
