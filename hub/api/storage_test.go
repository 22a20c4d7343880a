package api_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A customization may make other versions of a definition than its manifest has, and another in each cluster: what counts is what clusters make of it.
func TestStorageChangesByCustomization(t *testing.T) {
	stored := func(version string) *yardarmv1.Customization {
		patch := "spec: {versions: [{name: v1, served: true, storage: true}, {name: v2, served: true, storage: false}]}"
		if version == "v2" {
			patch = "spec: {versions: [{name: v1, served: true, storage: false}, {name: v2, served: true, storage: true}]}"
		}
		return &yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "CustomResourceDefinition"}, Patch: patch}}}
	}
	label := func(version string) *yardarmv1.Customization {
		return &yardarmv1.Customization{Substitute: true, Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "CustomResourceDefinition"},
			Patch: "spec: {versions: [{name: \"${labels.version:-" + version + "}\", served: true, storage: true}]}"}}}
	}
	schema := &yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "CustomResourceDefinition"},
		Patch: `[{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/type", "value": "object"}, {"op": "replace", "path": "/spec/versions/0/storage", "value": false}, {"op": "replace", "path": "/spec/versions/1/storage", "value": true}]`}}}
	others := &yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "ConfigMap"}, Patch: "data: {key: other}"}}}
	unfit := &yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "CustomResourceDefinition"}, Patch: `[{"op": "remove", "path": "/spec/nothing"}]`}}}
	const toV2 = "ships.example.com: v1 v2 "
	for name, tc := range map[string]struct {
		before, after *yardarmv1.Customization // of prod; lab has none
		manifest      []string                 // versions that are published with it; the same where there are none
		want          string
	}{
		"nothing of it":           {nil, others, nil, ""},
		"it stores otherwise":     {nil, stored("v2"), nil, toV2},
		"and goes back":           {stored("v2"), nil, nil, "ships.example.com: v2 v1 "},
		"as before":               {stored("v2"), stored("v2"), nil, ""},
		"what the manifest does":  {stored("v1"), stored("v1"), []string{"v2", "v1"}, "ships.example.com: v1 v2 "}, // in lab alone
		"along with others":       {others, stored("v2"), nil, toV2},
		"by a label":              {label("v1"), label("v2"), nil, "ships.example.com: v1 v2 v1"}, // in rome alone, which has none
		"by way of the schema":    {nil, schema, nil, toV2},
		"of what is just made":    {schema, schema, []string{"v2", "v1"}, "ships.example.com: v1 v2 ; ships.example.com: v2 v1 "},
		"what cannot be done":     {nil, unfit, nil, ""},
		"a version goes by label": {nil, label("v2"), nil, "ships.example.com: v1 v2 v1; ships.example.com: v1 v9 v1,v2"},
	} {
		t.Run(name, func(t *testing.T) {
			h := apitest.Start(t)
			apply(t, h, group("prod", "env=prod"), group("lab", "env=lab"))
			h.Enrolled(t, "berlin", map[string]string{"env": "prod", "version": "v9"})
			h.Enrolled(t, "rome", map[string]string{"env": "prod"})
			h.Enrolled(t, "hut", map[string]string{"env": "lab"})
			customize := func(c *yardarmv1.Customization) *hubv1.ApplyResponse {
				t.Helper()
				return apply(t, h, &hubv1.Resource{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: "fleet"}, Spec: &yardarmv1.BundleSpec{
					Targets: []*yardarmv1.Target{{Group: "prod", Customization: c}, {Group: "lab"}}}}}})
			}
			send := func(versions ...string) {
				t.Helper()
				crd := ships(versions...)
				crd.Data = []byte(strings.ReplaceAll(string(crd.Data), "served: true", "schema: {openAPIV3Schema: {type: object}}, additionalPrinterColumns: [{name: a, type: string, jsonPath: .a, priority: 1}], served: true"))
				must[any](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "fleet"}, crd, apitest.ConfigMap("", "other", `"1"`)))
			}
			customize(tc.before)
			send("v1", "v2")
			resp := customize(tc.after)
			if tc.manifest != nil {
				send(tc.manifest...)
			}
			var got []string
			tx := h.Store.Read()
			b := tx.BundleByName("fleet")
			for _, c := range tx.Revision(b.Metadata.Uid, b.Status.LatestRevision).Spec.StorageChanges {
				got = append(got, c.Definition+": "+c.From+" "+c.To+" "+strings.Join(c.Removed, ","))
			}
			if strings.Join(got, "; ") != tc.want {
				t.Errorf("changes %q, want %q", got, tc.want)
			}
			if warned := strings.Contains(strings.Join(resp.Results[0].Warnings, "\n"), "waits for a confirmation"); tc.manifest == nil && warned != (tc.want != "") {
				t.Errorf("warnings %q", resp.Results[0].Warnings)
			}
		})
	}
}

// ships is a definition that has these versions; objects are stored in the first.
func ships(versions ...string) manifest.File {
	text := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ships.example.com}\nspec:\n  versions:\n"
	for i, v := range versions {
		text += "  - {name: " + v + ", served: true, storage: " + map[bool]string{true: "true", false: "false"}[i == 0] + "}\n"
	}
	return manifest.File{Path: "ships.yaml", Data: []byte(text)}
}

// A revision that stores objects in another way than what its clusters run is told so when it is published, by whichever way, and only then.
func TestStorageChangesAreFound(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	berlin := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	changes := func(resp *hubv1.PublishRevisionResponse, want ...string) {
		t.Helper()
		var got []string
		for _, c := range resp.Revision.Spec.StorageChanges {
			got = append(got, c.Definition+": "+c.From+" "+c.To+" "+strings.Join(c.Removed, ","))
		}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("changes %q, want %q", got, want)
		}
		if warned := strings.Contains(strings.Join(resp.Warnings, "\n"), "waits for a confirmation"); warned != (len(want) > 0) {
			t.Errorf("warnings %q", resp.Warnings)
		}
	}
	send := func(p *hubv1.Publication, file manifest.File) *hubv1.PublishRevisionResponse {
		t.Helper()
		p.Bundle, p.Groups = "fleet", []string{"prod"}
		return must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), p, file))
	}
	changes(send(&hubv1.Publication{}, ships("v1", "v2")))
	changes(send(&hubv1.Publication{DryRun: true}, ships("v2", "v1")), "ships.example.com: v1 v2 ")
	changes(send(&hubv1.Publication{}, ships("v1", "v2", "v3")))

	uid := h.Store.Read().BundleByName("fleet").Metadata.Uid
	// Rollouts are played here: revision 3 has yet to reach anybody.
	held := func(row *storev1.Rollout, runs uint32) {
		row.BundleUid, row.Chunks = uid, 1
		h.Update(t, func(tx *store.Tx) error {
			if err := tx.PutRollout(row); err != nil {
				return err
			}
			return tx.PutRolloutMembers(uid, 0, []store.RolloutMember{{UID: berlin, Runs: runs}})
		})
	}
	changes(send(&hubv1.Publication{}, ships("v2", "v1")), "ships.example.com: v1 v2 v3")
	held(&storev1.Rollout{Revision: 3, Settled: 2, Unconfirmed: true}, 2)
	changes(send(&hubv1.Publication{}, ships("v2", "v1")), "ships.example.com: v1 v2 v3") // unchanged, and still to be confirmed

	// What supersedes it is compared with what clusters run, not with what waits.
	changes(send(&hubv1.Publication{}, ships("v2", "v1", "v3")), "ships.example.com: v1 v2 ")
	held(&storev1.Rollout{Revision: 4, Settled: 2}, 4)
	// berlin has it now, and others do not.
	kept := bundle("fleet", "prod")
	kept.GetBundle().Spec.Delivery = &yardarmv1.DeliveryPolicy{Keep: true}
	if w := strings.Join(apply(t, h, kept).Results[0].Warnings, "\n"); !strings.Contains(w, "objects are stored as v2 instead of v1") {
		t.Errorf("warnings %q", w)
	}
	held(&storev1.Rollout{Revision: 5, Settled: 5}, 5)
	undo := must[*hubv1.PublishRevisionResponse](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "fleet", ToRevision: 2}))
	changes(undo, "ships.example.com: v2 v1 ")

	// The rows of hubs that did not keep it.
	held(&storev1.Rollout{Revision: 6, Settled: 6}, 6)
	h.Update(t, func(tx *store.Tx) error {
		for a := range tx.Artifacts() {
			row := proto.CloneOf(a)
			row.Definitions = nil
			if err := tx.PutArtifact(row, nil); err != nil {
				return err
			}
		}
		return nil
	})
	changes(send(&hubv1.Publication{}, ships("v3")), "ships.example.com: v1 v3 v1,v2")
}
