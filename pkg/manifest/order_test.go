package manifest

import (
	"slices"
	"strings"
	"testing"
)

func TestStages(t *testing.T) {
	var text strings.Builder
	for _, kind := range []string{
		"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration", "acme.io/v1 Widget", "networking.k8s.io/v1 Ingress", "apps/v1 Deployment", "v1 Service",
		"v1 Secret", "rbac.authorization.k8s.io/v1 RoleBinding", "rbac.authorization.k8s.io/v1 Role", "storage.k8s.io/v1 StorageClass",
		"apiextensions.k8s.io/v1 CustomResourceDefinition", "v1 Namespace", "acme.io/v1 Service", "v1 ConfigMap", "batch/v1 Job", "apiregistration.k8s.io/v1 APIService",
	} {
		apiVersion, name, _ := strings.Cut(kind, " ")
		text.WriteString("---\n{apiVersion: " + apiVersion + ", kind: " + name + ", metadata: {name: x}}\n")
	}
	s := mustParse(t, text.String())
	const want = `definitions (wait): Namespace x, apiextensions.k8s.io/CustomResourceDefinition x
classes: storage.k8s.io/StorageClass x
roles: rbac.authorization.k8s.io/Role x
configuration: ConfigMap x, Secret x, rbac.authorization.k8s.io/RoleBinding x
services: Service x
workloads: apps/Deployment x, batch/Job x
exposure: networking.k8s.io/Ingress x
custom: acme.io/Service x, acme.io/Widget x
interception: admissionregistration.k8s.io/ValidatingWebhookConfiguration x, apiregistration.k8s.io/APIService x
`
	var got strings.Builder
	for _, stage := range s.Stages() {
		got.WriteString(stage.Name)
		if stage.Wait {
			got.WriteString(" (wait)")
		}
		for i, obj := range stage.Objects {
			got.WriteString([]string{": ", ", "}[min(i, 1)] + obj.Ref().String())
			if name := obj.Ref().StageName(); name != stage.Name {
				t.Errorf("%s: StageName() = %s, want %s", obj.Ref(), name, stage.Name)
			}
		}
		got.WriteString("\n")
	}
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestDeleteOrderIsTheReverse(t *testing.T) {
	s := mustParse(t, fixture(9)+"---\n{apiVersion: v1, kind: Namespace, metadata: {name: prod}}\n---\n{apiVersion: acme.io/v1, kind: Widget, metadata: {name: w}}")
	var apply [][]Ref
	for _, stage := range s.Stages() {
		var refs []Ref
		for _, obj := range stage.Objects {
			refs = append(refs, obj.Ref())
		}
		apply = append(apply, refs)
	}
	slices.Reverse(apply)
	got := DeleteOrder(s.Refs())
	if len(got) != 5 || !slices.EqualFunc(got, apply, slices.Equal) {
		t.Errorf("got  %v\nwant %v", got, apply)
	}
	if DeleteOrder(nil) != nil || Order(nil) != nil {
		t.Error("nothing has an order")
	}
}

func TestOrderTable(t *testing.T) {
	seen := map[string]string{}
	for _, stage := range stages {
		for _, kind := range stage.kinds {
			if other, ok := seen[kind]; ok {
				t.Errorf("%s is in %s and %s", kind, other, stage.name)
			}
			seen[kind] = stage.name
			group, name, ok := strings.Cut(kind, "/")
			if !ok {
				group, name = "", kind
			}
			if err := (Ref{group, name, "", "x"}).Validate(); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
	if stages[unlisted].name != customStage || unlisted == 0 {
		t.Errorf("kinds that are not listed go to stage %d, %s", unlisted, stages[unlisted].name)
	}
}
