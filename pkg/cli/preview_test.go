package cli

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// previewed has values that YAML would read as something else if they were not quoted, and objects that are applied in another order than that
// of their names.
const previewed = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 2, ratio: 1.5, big: 12345678901, paused: false, nothing: null, list: [], map: {}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: shop}
data: {bool: "yes", number: "1e3", none: "null", colon: "a: b", dash: "- a", empty: "", escape: "\x1b[31m", lines: "one\n  two\n\n", comment: "# a", marker: "---\n", octal: "0755"}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`

func previewedDigest(t *testing.T, text string) string {
	t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "web.yaml", Data: []byte(text)}}, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set.Digest().String()
}

func TestPreview(t *testing.T) {
	f := exampleFleet()
	reports := func(cluster string, revision uint32, digest string) *yardarmv1.Assignment {
		x := newAssignment(cluster, "web", 3, yardarmv1.PhaseReady)
		x.Status.Report.Revision, x.Status.Report.RenderedDigest = revision, digest
		return x
	}
	digest := previewedDigest(t, previewed)
	published := newAssignment("eu-1", "db", 1, yardarmv1.PhasePending)
	published.Spec.Digest = digest
	other := "sha256:" + strings.Repeat("9", 64)
	f.put(published, reports("eu-1", 3, digest), reports("eu-2", 3, other), reports("us-1", 2, other))
	h := serve(t, f)
	var b strings.Builder
	run := func(command string) {
		args := strings.Fields(command)
		b.WriteString(transcript(args, h.run(t, args...)) + "\n")
	}
	for _, command := range []string{
		"preview bundle/web --cluster eu-1", "preview web --cluster cluster/eu-1 -o json", "preview bundle web --cluster eu-2 -o name", "preview bundle/web --cluster us-1 -o name",
		"preview bundle/db --cluster eu-1 -o name", "preview bundle/web", "preview --cluster eu-1", "preview cluster/eu-1 --cluster eu-1", "preview bundle/web --cluster eu-1 -o table",
		"preview bundle/db --cluster us-1",
	} {
		run(command)
	}
	f.failWith("PreviewAssignment", status.Error(codes.FailedPrecondition, `revision 3 of bundle "web" cannot be customized for cluster "eu-1":
web.yaml: ConfigMap shop/a: data.region: ${labels.region}: the cluster has no label region: set it, or say what otherwise: ${labels.region:-…}`))
	run("preview bundle/web --cluster eu-1")
	golden(t, "preview", b.String())
}

// What is printed is what is applied, to the last value.
func TestPreviewIsPublishable(t *testing.T) {
	h := serve(t, exampleFleet())
	for _, format := range []string{formatYAML, formatJSON} {
		got := h.run(t, "preview", "bundle/web", "--cluster", "eu-1", "-o", format)
		if digest := previewedDigest(t, got.out); got.code != ExitYes || digest != previewedDigest(t, previewed) {
			t.Errorf("%s: exit %d, digest %s of\n%s", format, got.code, digest, got.out)
		}
	}
}
