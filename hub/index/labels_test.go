package index

import (
	"slices"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Clusters are looked for where the fewest are, and none is told twice.
func TestLabelled(t *testing.T) {
	f := newFleet(t)
	f.update(func(tx *store.Tx) error {
		for name, labels := range map[string]map[string]string{
			"a": {"env": "prod", "tier": "web"}, "b": {"env": "prod"}, "c": {"env": "test", "tier": "web"}, "d": nil,
		} {
			m := meta(name)
			m.Labels = labels
			if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: m}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, test := range []struct{ text, want string }{
		{"", "abcd"},
		{"env", "abcd"}, {"!env", "abcd"}, {"env!=prod", "abcd"}, // looked for among all
		{"env=prod", "ab"},
		{"env in (prod,prod,test)", "abc"},
		{"env=none", ""}, {"none=prod", ""},
		{"env=prod,tier=web,env in (prod,test)", "ab"}, // as many have either: who asks looks further
		{"env in (prod,test),tier=web", "ac"},
		{"env!=prod,env=test", "c"},
	} {
		terms, err := selector.Terms(test.text)
		if err != nil {
			t.Fatal(err)
		}
		var requirements []selector.Requirement
		for _, term := range terms {
			requirements = append(requirements, term.Requirement)
		}
		var got []string
		f.index.Read(func(s *State) {
			for c := range s.Labelled(requirements) {
				got = append(got, c.Name())
			}
		})
		slices.Sort(got)
		names := strings.Join(got, "")
		if names != test.want {
			t.Errorf("%s: %q, want %q", test.text, names, test.want)
		}
	}
}
