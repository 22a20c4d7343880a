package cli

import (
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Of a revision with variants none is shown as the revision's.
func TestVariantsAreShown(t *testing.T) {
	f := exampleFleet()
	r := f.objects[yardarmv1.KindRevision]["web-3"].(*yardarmv1.Revision)
	r.Spec.Variants = []*yardarmv1.RevisionVariant{{Digest: r.Spec.Digest, Size: 2048, Objects: 3}, {Name: "large", Digest: "sha256:" + strings.Repeat("9", 64), Size: 4096, Objects: 7}}
	r.Spec.Targets = []*yardarmv1.Target{{Group: "prod", Variant: "large"}, {Group: "test"}, {Group: "late"}}
	h := serve(t, f)
	for args, want := range map[string][]string{
		"get revisions":           {"2 variants", "3-7"},
		"rollout history web":     {"2 variants", "3-7"},
		"describe revision web-3": {"(none)", "large", strings.Repeat("9", 64), "4.0 KiB", "test, late"},
	} {
		got := h.run(t, strings.Fields(args)...)
		for _, part := range want {
			if got.code != ExitYes || !strings.Contains(got.out, part) {
				t.Errorf("%s: exit %d, without %q:\n%s%s", args, got.code, part, got.out, got.err)
			}
		}
	}
}
