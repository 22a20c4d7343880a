package placement

import (
	"bytes"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// varied is the example with an artifact for prod, another one for canary, and one more that is as that of prod.
func varied() *snapshot {
	s := example()
	s.revision.Spec.Digest, s.revision.Spec.Size = "dp", 1
	s.revision.Spec.Variants = []*yardarmv1.RevisionVariant{{Name: "", Digest: "dp", Size: 1}, {Name: "same", Digest: "dp", Size: 1}, {Name: "small", Digest: "ds", Size: 2}}
	s.revision.Spec.Targets = []*yardarmv1.Target{{Group: "nobody", Variant: "gone"}, {Group: "canary", Variant: "small"}, {Group: "prod"}, {Group: "as-prod", Variant: "same"}, {Group: "late", Variant: "gone"}}
	return s
}

// The first target that a cluster belongs to says which variant it gets. Where none says it, or there is no such variant, it gets nothing.
func TestAssignVariants(t *testing.T) {
	s := varied()
	s.groups["five"] = []string{"late"}
	all := assignAll(s)
	for uid, want := range map[string]string{"one": "small ds", "two": " dp", "three": " dp", "four": "", "five": ""} {
		a := all[uid]
		if want == "" {
			if a != nil {
				t.Errorf("%s gets %v", uid, a)
			}
			continue
		}
		if a.GetVariant()+" "+a.GetDigest() != want || a.Size != s.revision.Spec.Variant(a.Variant).Size || !bytes.Equal(a.Hash, holdings.AssignmentHash(a)) {
			t.Errorf("%s gets %v, want %s", uid, a, want)
		}
	}
	s.accept("one", "ds")
	if got := assignAll(s); len(got["one"].AcceptedDeletions) != 1 {
		t.Error("a deletion on the way to the variant is not accepted")
	}
	s.accept("one", "dp")
	if got := assignAll(s); len(got["one"].AcceptedDeletions) != 0 {
		t.Error("a deletion on the way to another variant is accepted")
	}
	if ArtifactFor(nil, []string{"prod"}).GetDigest() != "" {
		t.Error("there is something of no revision")
	}
}

func TestAlikeVariants(t *testing.T) {
	r := varied().revision
	was := &storev1.Before{Groups: []string{"prod"}}
	for name, tc := range map[string]struct {
		groups []string
		want   bool
	}{
		"as it was":                {[]string{"prod"}, true},
		"another variant":          {[]string{"canary", "prod"}, false},
		"a variant with the same":  {[]string{"as-prod"}, true},
		"a variant that is absent": {[]string{"late"}, false},
		"no target":                {[]string{"all"}, false},
	} {
		if got := Alike(r, was, &storev1.Before{Groups: tc.groups}); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Two revisions put the same into a cluster if all but their numbers is the same there.
func TestSame(t *testing.T) {
	base := assignAll(varied())["one"]
	for name, tc := range map[string]struct {
		change func(*snapshot)
		want   bool
	}{
		"the number":        {func(s *snapshot) { s.revision.Spec.Number = 4 }, true},
		"another's variant": {func(s *snapshot) { s.revision.Spec.Variants[0].Digest = "d4" }, true},
		"its variant":       {func(s *snapshot) { s.revision.Spec.Variants[2].Digest = "d4" }, false},
		"delivery":          {func(s *snapshot) { s.revision.Spec.Delivery = &yardarmv1.DeliveryPolicy{Namespace: "other"} }, false},
		"customization":     {func(s *snapshot) { s.revision.Spec.Customization = nil }, false},
		"a label":           {func(s *snapshot) { s.clusters["one"].Metadata.Labels["region"] = "us" }, false},
		"nothing of it":     {func(s *snapshot) { s.revision.Spec.Targets = nil }, false},
	} {
		s := varied()
		tc.change(s)
		if got := Same(base, assignAll(s)["one"]); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
