package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// diffText is a diff in lines, as in "2 of prod (a b): ~ConfigMap web: data.key "1" → "2"".
func diffText(d *hubv1.Diff) string {
	lines := []string{fmt.Sprintf("unchanged %d, not compared %d", d.GetUnchanged(), d.GetNotCompared())}
	for _, p := range d.GetParts() {
		line := fmt.Sprintf("%d of %s (%s) +%d ~%d -%d:", p.Clusters, p.Group, strings.Join(p.Examples, " "), p.Added, p.Changed, p.Pruned)
		for _, o := range p.Objects {
			line += fmt.Sprintf(" %s %s", o.Action, o.Object)
			for _, f := range o.Fields {
				line += fmt.Sprintf(" %s %s→%s", f.Path, f.Before, f.After)
			}
			line += ";"
		}
		lines = append(lines, line+p.Problem)
	}
	return strings.Join(lines, "\n")
}

func TestDiff(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("test", "env=test"))
	uids := map[string]string{}
	for _, name := range []string{"berlin", "oslo", "rome"} {
		env := "prod"
		if name == "rome" {
			env = "test"
		}
		uids[name] = h.Enrolled(t, name, map[string]string{"env": env})
	}
	secret := manifest.File{Path: "s.yaml", Data: []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: hidden}\n")}
	diff := func(groups []string, files ...manifest.File) string {
		t.Helper()
		return diffText(must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Groups: groups, DryRun: true, Diff: true}, files...)).GetDiff())
	}
	if got := diff([]string{"prod"}, apitest.ConfigMap("", "web", `"1"`)); got != "unchanged 0, not compared 0\n2 of prod (berlin oslo) +1 ~0 -0: added ConfigMap web;" &&
		got != "unchanged 0, not compared 0\n2 of prod (oslo berlin) +1 ~0 -0: added ConfigMap web;" {
		t.Errorf("of a new bundle: %s", got)
	}
	must[any](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Groups: []string{"prod", "test"}}, apitest.ConfigMap("", "web", `"1"`), apitest.ConfigMap("", "old", `"1"`), secret))
	if got := diff(nil, apitest.ConfigMap("", "web", `"1"`), apitest.ConfigMap("", "old", `"1"`), secret); got != "unchanged 3, not compared 0" {
		t.Errorf("of the same: %s", got)
	}
	changed := manifest.File{Path: "s.yaml", Data: []byte(strings.Replace(string(secret.Data), "hidden", "covered", 1))}
	got := diff([]string{"prod"}, apitest.ConfigMap("", "web", `"2"`), apitest.ConfigMap("", "new", `"1"`), changed)
	for _, want := range []string{"2 of prod (", "+1 ~2 -1:", "added ConfigMap new;", `changed ConfigMap web data.key "1"→"2";`, "pruned ConfigMap old;", "(secret)→(secret);",
		"\n1 of  (rome) +0 ~0 -3: pruned ConfigMap old; pruned ConfigMap web; pruned Secret s;"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "hidden") || strings.Contains(got, "covered") {
		t.Errorf("shows a secret's value: %s", got)
	}
	// It changed nothing.
	if r := assignment(t, h, "berlin", "web").Spec.Revision; r != 1 {
		t.Errorf("revision %d", r)
	}

	_, err := h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Diff: true}, apitest.ConfigMap("", "web", `"2"`))
	refused(t, err, codes.InvalidArgument, "diff")
	// Whoever may publish and not see manifests gets no diff.
	blind := &yardarmv1.Role{Metadata: &yardarmv1.ObjectMeta{Name: "blind"}, Spec: &yardarmv1.RoleSpec{Rules: []*yardarmv1.Rule{
		{Verbs: []string{yardarmv1.VerbPublish, yardarmv1.VerbGet}, Resources: []string{yardarmv1.ResourceBundles}}}}}
	token := h.Issue(t, "ci", time.Time{})
	apply(t, h, &hubv1.Resource{Resource: &hubv1.Resource_Role{Role: blind}}, &hubv1.Resource{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{
		Metadata: &yardarmv1.ObjectMeta{Name: "ci"}, Spec: &yardarmv1.RoleBindingSpec{Role: "blind", Subjects: []*yardarmv1.Subject{{Kind: yardarmv1.SubjectToken, Name: "ci"}}}}}})
	ci := &apitest.Hub{FleetServiceClient: h.As(t, token)}
	must[any](t)(ci.Publish(t.Context(), &hubv1.Publication{Bundle: "web", DryRun: true}, apitest.ConfigMap("", "web", `"2"`)))
	_, err = ci.Publish(t.Context(), &hubv1.Publication{Bundle: "web", DryRun: true, Diff: true}, apitest.ConfigMap("", "web", `"2"`))
	refused(t, err, codes.PermissionDenied, "artifact")
}

// BenchmarkDiff compares in 10,000 clusters with a hundred different customizations a bundle of fifty objects, while a revision of it is under way.
func BenchmarkDiff(b *testing.B) {
	const clusters, inputs, objects = 10_000, 100, 50
	h := apitest.Start(b)
	h.Update(b, func(tx *store.Tx) error {
		for i := range clusters {
			uid := fmt.Sprintf("c%05d", i)
			if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid, Labels: map[string]string{"env": "prod", "site": fmt.Sprint("s", i%inputs)}}}); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := h.Apply(b.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod"), {Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{
		Metadata: &yardarmv1.ObjectMeta{Name: "web"}, Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "prod"}}, Customization: &yardarmv1.Customization{Substitute: true}}}}}}}); err != nil {
		b.Fatal(err)
	}
	files := func(value string) (out []manifest.File) {
		for i := range objects {
			out = append(out, apitest.ConfigMap("", fmt.Sprint("o", i), value+"-${labels.site}"))
		}
		return out
	}
	if _, err := h.Publish(b.Context(), &hubv1.Publication{Bundle: "web"}, files("a")...); err != nil {
		b.Fatal(err)
	}
	h.Update(b, func(tx *store.Tx) error {
		web := tx.BundleByName("web")
		row := proto.CloneOf(tx.Rollout(web.Metadata.Uid))
		row.Phase, row.Settled, row.Chunks = uint32(rollout.Progressing), 0, store.RolloutChunks(clusters)
		err := tx.PutRollout(row)
		assigner, chunks := placement.NewAssigner(tx, web, 1), map[uint32][]store.RolloutMember{}
		for c := range tx.Clusters() {
			uid := c.Metadata.Uid
			at := store.RolloutChunk(uid, row.Chunks)
			chunks[at] = append(chunks[at], store.RolloutMember{UID: uid, Runs: 1, State: uint32(rollout.Given)})
			err = errors.Join(err, tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Report: &yardarmv1.Report{Bundle: "web", BundleUid: web.Metadata.Uid, Revision: 1,
				AssignmentHash: assigner.Assign(tx, c).Hash, Phase: yardarmv1.PhaseReady}}))
		}
		for chunk, members := range chunks {
			err = errors.Join(err, tx.PutRolloutMembers(web.Metadata.Uid, chunk, members))
		}
		return err
	})
	for b.Loop() {
		r, err := h.Publish(b.Context(), &hubv1.Publication{Bundle: "web", DryRun: true, Diff: true}, files("b")...)
		if err != nil || len(r.GetDiff().GetParts()) != inputs || r.Diff.Parts[0].Clusters != clusters/inputs || r.Diff.NotCompared != 0 {
			b.Fatal(err, len(r.GetDiff().GetParts()), r.GetDiff().GetNotCompared())
		}
	}
}
