package api_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// newerField is one that no message of this hub has.
var newerField = protowire.AppendString(protowire.AppendTag(nil, 10_000, protowire.BytesType), "of a newer hub")

// newer answers a row as a newer hub has written it: with a field more in it and in its parts.
func newer[M proto.Message](row M) M {
	row = proto.CloneOf(row)
	row.ProtoReflect().SetUnknown(newerField)
	row.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() != nil && !f.IsList() && !f.IsMap() {
			v.Message().SetUnknown(newerField)
		}
		return true
	})
	return row
}

// TestNewerFieldsStay: what a newer hub has written into rows stays when this one changes them; only a spec that is applied takes the
// place of the whole spec that was there.
func TestNewerFieldsStay(t *testing.T) {
	h := apitest.Start(t)
	role := func(verb string) *hubv1.Resource {
		return &hubv1.Resource{Resource: &hubv1.Resource_Role{Role: &yardarmv1.Role{
			Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RoleSpec{Rules: []*yardarmv1.Rule{{Resources: []string{"bundles"}, Verbs: []string{verb}}}},
		}}}
	}
	binding := func(token string) *hubv1.Resource {
		return &hubv1.Resource{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{
			Metadata: &yardarmv1.ObjectMeta{Name: "rb"}, Spec: &yardarmv1.RoleBindingSpec{Role: "r", Subjects: []*yardarmv1.Subject{{Kind: "Token", Name: token}}},
		}}}
	}
	edge := h.Enrolled(t, "edge", nil)
	apply(t, h, group("all", ""), role("get"), binding("a"))
	publish(t, h, "web", "one", "all")
	h.Update(t, func(tx *store.Tx) error {
		for _, err := range []error{
			tx.PutCluster(newer(tx.Cluster(edge))), tx.PutGroup(newer(tx.Group("all"))), tx.PutBundle(newer(tx.BundleByName("web"))),
			tx.PutRole(newer(tx.Role("r"))), tx.PutRoleBinding(newer(tx.RoleBinding("rb"))),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	// kept fails unless the field is in a row as often as it is to be.
	kept := func(after string, row proto.Message, want int) {
		t.Helper()
		encoded, err := proto.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(encoded, newerField); n != want {
			t.Errorf("after %s it is in %d parts of the row, want %d", after, n, want)
		}
	}
	cluster := func() proto.Message { return h.Store.Read().Cluster(edge) }
	bundleRow := func() proto.Message { return h.Store.Read().BundleByName("web") }

	must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "edge", Set: map[string]string{"a": "b"}}))
	kept("labels", cluster(), 3)
	must[any](t)(h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: "edge", Reason: "x"}))
	must[any](t)(h.UnbanCluster(t.Context(), &hubv1.UnbanClusterRequest{Name: "edge"}))
	kept("a ban and its end", cluster(), 3)
	publish(t, h, "web", "two")
	kept("a publication", bundleRow(), 4)
	must[any](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web"}))
	kept("an undo", bundleRow(), 4)

	apply(t, h, group("all", "env=prod"), bundle("web", "all"), role("publish"), binding("b"))
	kept("applying a group", h.Store.Read().Group("all"), 2)
	kept("applying a bundle", bundleRow(), 3)
	kept("applying a role", h.Store.Read().Role("r"), 2)
	kept("applying a role binding", h.Store.Read().RoleBinding("rb"), 2)
}
