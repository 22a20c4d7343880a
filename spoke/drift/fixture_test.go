package drift

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/ignore"
)

// owns is an entry of managedFields: who has which fields, as the API server writes them.
type owns struct{ manager, fields string }

// ours is our entry.
func ours(fields string) owns { return owns{"yardarm", fields} }

// object makes a live object from YAML.
func object(t *testing.T, text string, entries ...owns) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{Object: values(t, text)}
	var managed []metav1.ManagedFieldsEntry
	for _, e := range entries {
		entry := metav1.ManagedFieldsEntry{
			Manager: e.manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(e.fields),
		}
		switch e.manager {
		case "yardarm":
			entry.Operation = metav1.ManagedFieldsOperationApply
		case "kube-controller-manager", "kubectl":
			entry.Subresource = "scale"
		}
		managed = append(managed, entry)
	}
	u.SetManagedFields(managed)
	return u
}

// values reads YAML as the values that objects have.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	set, err := manifest.Parse([]manifest.File{{Path: "test.yaml", Data: []byte("apiVersion: v1\nkind: Thing\nmetadata: {name: x}\n" + text)}}, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set.Objects()[0].Clone()
}

func pointers(t *testing.T, texts ...string) []ignore.Pointer {
	t.Helper()
	var all []ignore.Pointer
	for _, text := range texts {
		p, err := ignore.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// yamlOf writes an object's fields but those of its identity.
func yamlOf(t *testing.T, object map[string]any) string {
	t.Helper()
	rest := map[string]any{}
	for key, v := range object {
		if key != "apiVersion" && key != "kind" && key != "metadata" {
			rest[key] = v
		}
	}
	text, err := yaml.Marshal(rest)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(string(text))
}
