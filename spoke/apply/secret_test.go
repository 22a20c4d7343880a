package apply

import (
	"reflect"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestWithoutStringData(t *testing.T) {
	secret := func(fields manifest.Object) manifest.Object {
		fields["apiVersion"], fields["kind"] = "v1", "Secret"
		return fields
	}
	for name, c := range map[string]struct{ object, want manifest.Object }{
		"texts": {
			secret(manifest.Object{"data": map[string]any{"a": "eA==", "b": "eQ=="}, "stringData": map[string]any{"b": "z"}}),
			secret(manifest.Object{"data": map[string]any{"a": "eA==", "b": "eg=="}}),
		},
		"texts alone": {secret(manifest.Object{"stringData": map[string]any{"b": "z"}}), secret(manifest.Object{"data": map[string]any{"b": "eg=="}})},
		"no texts":    {secret(manifest.Object{"data": map[string]any{"a": "eA=="}}), secret(manifest.Object{"data": map[string]any{"a": "eA=="}})},
		"a number":    {secret(manifest.Object{"stringData": map[string]any{"a": int64(1)}}), secret(manifest.Object{"stringData": map[string]any{"a": int64(1)}})},
		"another kind": {
			manifest.Object{"apiVersion": "example.com/v1", "kind": "Secret", "stringData": map[string]any{"a": "x"}},
			manifest.Object{"apiVersion": "example.com/v1", "kind": "Secret", "stringData": map[string]any{"a": "x"}},
		},
	} {
		before := c.object.Clone()
		if got := withoutStringData(c.object); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v", name, got)
		}
		if !reflect.DeepEqual(c.object, before) {
			t.Errorf("%s: the object was changed", name)
		}
	}
}
