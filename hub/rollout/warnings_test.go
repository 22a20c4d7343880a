package rollout

import (
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestWarnings(t *testing.T) {
	all := made(4)
	for i := range all {
		all[i].Groups = []string{"prod"}
		all[i].Labels = map[string]string{"tier": "gold"}
	}
	gold := &yardarmv1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}
	lead := &yardarmv1.LabelSelector{MatchLabels: map[string]string{"tier": "lead"}}
	for name, test := range map[string]struct {
		stages []*yardarmv1.Stage
		want   string
	}{
		"nothing":                   {[]*yardarmv1.Stage{{Clusters: 1}, {Group: "prod"}, {}}, ""},
		"a stage that others empty": {[]*yardarmv1.Stage{{Group: "prod"}, {Name: "gold", Selector: gold}, {}}, "stage gold gets no cluster: those that it is for go with stages before it"},
		"a stage for none":          {[]*yardarmv1.Stage{{Group: "lab"}, {Selector: lead}, {}}, "stage stage-1 gets no cluster: no cluster of the bundle is one of those that it is for; stage stage-2 gets no cluster: no cluster of the bundle is one of those that it is for"},
		"what is left may be none":  {[]*yardarmv1.Stage{{Clusters: 9}, {Percent: 50}, {}}, ""},
		"a budget of all":           {[]*yardarmv1.Stage{{FailureBudget: "4"}}, ""},
		"a share":                   {[]*yardarmv1.Stage{{FailureBudget: "100%"}}, ""},
		"a budget larger than that": {[]*yardarmv1.Stage{{Clusters: 1, FailureBudget: "1"}, {FailureBudget: "4"}}, "stage stage-2 never fails: 4 of its clusters may, and it has 3"},
	} {
		if violations := Check(&yardarmv1.RolloutStrategy{Stages: test.stages}, nil); len(violations) > 0 {
			t.Errorf("%s: %v", name, violations)
		}
		if got := strings.Join(Warnings("b", &yardarmv1.RolloutStrategy{Stages: test.stages}, all), "; "); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if got := Warnings("b", &yardarmv1.RolloutStrategy{Stages: test.stages}, nil); len(got) > 0 {
			t.Errorf("%s: without any cluster: %q", name, got)
		}
	}
}
