package index

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

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

// While somebody watches, an entry is as of the newest change; otherwise none is kept up for it.
func TestEntryIsOfTheNewestChange(t *testing.T) {
	f := newFleet(t)
	f.seed(3, 2)
	if c := f.index.Entry("uid-c1"); c != nil {
		t.Errorf("nobody watches, and there is an entry: %v", c.Row)
	}
	defer f.index.Watching()()
	for i := range 3 {
		f.update(func(tx *store.Tx) error {
			c := proto.CloneOf(tx.Cluster("uid-c1"))
			c.Metadata.Labels["n"] = fmt.Sprint(i)
			return tx.PutCluster(c)
		})
		tx := f.store.Read()
		got, want := map[string]string{}, map[string]string{}
		showCluster(got, f.index.Entry("uid-c1"))
		showCluster(want, ClusterOf(tx, tx.Cluster("uid-c1")))
		compare(t, "a label", got, want)
	}
	if c := f.index.Entry("uid-none"); c != nil {
		t.Errorf("there is an entry of no cluster: %v", c.Row)
	}
}
