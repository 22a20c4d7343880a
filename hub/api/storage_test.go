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
