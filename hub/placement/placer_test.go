package placement

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// What is kept from one snapshot never shows in another whose rows differ.
func TestPlacerFollowsRows(t *testing.T) {
	p, s := NewPlacer(), example()
	s.bundle.Spec = &yardarmv1.BundleSpec{Targets: append([]*yardarmv1.Target{{Group: "all"}}, s.revision.Spec.Targets...)}
	for _, step := range []struct {
		name   string
		change func()
		kept   bool
	}{
		{"at first", func() {}, false},
		{"the same again", func() {}, true},
		{"what is about a cluster", func() { s.reconciles = map[string]uint64{"two": 1}; s.accept("one", "d3") }, true},
		{"another row of the bundle", func() { s.bundle = proto.CloneOf(s.bundle); s.bundle.Metadata.Name = "site" }, false},
		{"another row of the revision", func() { s.revision = proto.CloneOf(s.revision); s.revision.Spec.Digest = "d4" }, false},
		{"no revision", func() { s.revision = nil }, false},
		{"the same row of the bundle, with one", func() { s.revision = example().revision }, false},
	} {
		before, _ := p.assigners.Peek(revisionOf{"b1", 3})
		step.change()
		for uid := range s.clusters {
			fresh := NewPlacer().Desired(s, uid)
			for how, got := range map[string][]*yardarmv1.AssignmentSpec{
				"all": p.Desired(s, uid), "among": p.DesiredAmong(s, uid, []string{"b1"}),
			} {
				if len(got) != len(fresh) || len(got) == 1 && (!proto.Equal(got[0], fresh[0]) || !bytes.Equal(got[0].Hash, holdings.AssignmentHash(got[0]))) {
					t.Errorf("%s: %s of %s: %v, want %v", step.name, how, uid, got, fresh)
				}
			}
		}
		if after, _ := p.assigners.Peek(revisionOf{"b1", 3}); (before == after) != step.kept {
			t.Errorf("%s: kept: %v, want %v", step.name, before == after, step.kept)
		}
	}
}

func TestDesiredAmong(t *testing.T) {
	p, s := NewPlacer(), example()
	s.bundle.Spec = &yardarmv1.BundleSpec{Targets: s.revision.Spec.Targets}
	among := func(uid string) int { return len(p.DesiredAmong(s, uid, []string{"b1"})) }
	if among("one") != 1 || among("four") != 0 || among("unknown") != 0 || len(p.DesiredAmong(s, "one", nil)) != 0 {
		t.Errorf("one %d, four %d, unknown %d", among("one"), among("four"), among("unknown"))
	}
	s.clusters["one"].Spec = &yardarmv1.ClusterSpec{Removal: &yardarmv1.Removal{}}
	if among("one") != 0 || len(p.Desired(s, "one")) != 0 {
		t.Error("a cluster that is being deleted is to run something")
	}
	if s.bundle = nil; among("two") != 0 {
		t.Error("a bundle that is gone is to run")
	}
}

// Clusters that all differ do not make an Assigner grow without bound, and get what they should.
func TestAssignerIsBoundedAndShared(t *testing.T) {
	p, s := NewPlacer(), example()
	const clusters = maxCommon + 100
	for i := range clusters {
		name := fmt.Sprintf("n%d", i)
		s.clusters[name] = newCluster(name, map[string]string{"region": name})
		s.groups[name] = []string{"prod"}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range clusters {
				if a := p.Desired(s, fmt.Sprintf("n%d", i)); !bytes.Equal(a[0].Hash, holdings.AssignmentHash(a[0])) {
					t.Errorf("%s has the hash of another", a[0].Cluster)
				}
			}
		})
	}
	all.Wait()
	kept, _ := p.assigners.Peek(revisionOf{"b1", 3})
	if n := len(kept.(*Assigner).common); n != maxCommon {
		t.Errorf("%d hashes are kept, want %d", n, maxCommon)
	}
}
