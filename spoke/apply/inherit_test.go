package apply

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// kubectl applies an object as kubectl does: by kubectl, where the machine has it, and by the requests that it makes elsewhere.
func (e *env) kubectl(object string, serverSide bool) {
	e.t.Helper()
	program, err := exec.LookPath("kubectl")
	if err != nil {
		e.likeKubectl(object, serverSide)
		return
	}
	path := filepath.Join(e.t.(*testing.T).TempDir(), "object.yaml")
	if err := os.WriteFile(path, []byte(object), 0o600); err != nil {
		e.t.Fatal(err)
	}
	args := []string{"--kubeconfig", fleet.Cluster("a").KubeconfigPath(), "--namespace", e.ns, "apply", "--filename", path}
	if serverSide {
		args = append(args, "--server-side")
	}
	if out, err := exec.CommandContext(e.t.Context(), program, args...).CombinedOutput(); err != nil {
		e.t.Fatalf("kubectl: %v: %s", err, out)
	}
}

func (e *env) likeKubectl(object string, serverSide bool) {
	e.t.Helper()
	resource, o := e.resource(object)
	var err error
	if serverSide {
		_, err = resource.Apply(e.t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "kubectl"})
	} else {
		data, _ := o.MarshalJSON()
		o.SetAnnotations(map[string]string{lastApplied: string(data)})
		if e.get(object) == nil {
			_, err = resource.Create(e.t.Context(), o, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
		} else {
			data, _ = o.MarshalJSON()
			_, err = resource.Patch(e.t.Context(), o.GetName(), types.StrategicMergePatchType, data, metav1.PatchOptions{FieldManager: "kubectl-client-side-apply"})
		}
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// What kubectl had is the bundle's after a takeover: what the bundle has not is removed at once, and what leaves it later, then.
func TestInheritsFromKubectl(t *testing.T) {
	for name, c := range map[string]struct{ imitated, serverSide bool }{
		"kubectl":            {},
		"kubectlServerSide":  {serverSide: true},
		"imitated":           {imitated: true},
		"imitatedServerSide": {imitated: true, serverSide: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			bring := e.kubectl
			if c.imitated {
				bring = e.likeKubectl
			}
			bring(configMap("a", "k: one, old: one, older: one"), c.serverSide)
			e.edit(configMap("a", ""), `{"data":{"theirs":"one"}}`)
			e.counter.take()
			e.must(nil, configMap("a", "k: one, later: one"))
			got := e.get(configMap("a", ""))
			if data := field(got, "data"); data != "map[k:one later:one theirs:one]" {
				t.Errorf("data: %s", data)
			}
			if _, ok := got.GetAnnotations()[lastApplied]; ok {
				t.Error("the annotation of kubectl is still there")
			}
			if m := managersOf(got); !slices.Equal(m, []string{"Apply yardarm", "Update someone"}) {
				t.Errorf("managed by %v", m)
			}
			if seen := e.counter.take(); len(seen) != 3 {
				t.Errorf("requests: %v", seen)
			}
			e.must(nil, configMap("a", "later: one"))
			if data := field(e.get(configMap("a", "")), "data"); data != "map[later:one theirs:one]" {
				t.Errorf("data: %s", data)
			}
			if seen := e.counter.take(); len(seen) != 1 {
				t.Errorf("requests: %v", seen)
			}
		})
	}
}

// A workload that kubectl had keeps what the API server and controllers gave it.
func TestInheritsWorkloads(t *testing.T) {
	e := newEnv(t)
	deployment := func(env string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {a: b}}\n" +
			"  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: i, env: [" + env + "]}]}"
	}
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {a: b}, ports: [{port: 80}]}"
	e.kubectl(deployment("{name: A, value: a}, {name: B, value: b}"), false)
	e.kubectl(service, false)
	address := field(e.get(service), "spec", "clusterIP")
	e.must(nil, deployment("{name: A, value: a}"), service)
	got := e.get(deployment(""))
	if text := field(got, "spec", "template", "spec", "containers"); !strings.Contains(text, "name:A") || strings.Contains(text, "name:B") {
		t.Errorf("containers: %s", text)
	}
	if got := field(e.get(service), "spec", "clusterIP"); got != address || address == "" {
		t.Errorf("the address went from %s to %s", address, got)
	}
}

// Without a difference, nothing may change: kubectl's claims end, and its fields stay.
func TestInheritsClaimsOnlyWhenAlike(t *testing.T) {
	e := newEnv(t)
	e.kubectl(configMap("a", "k: one, old: one"), false)
	e.must(takeover("if-no-diff"), configMap("a", "k: one"))
	got := e.get(configMap("a", ""))
	if data := field(got, "data"); data != "map[k:one old:one]" {
		t.Errorf("data: %s", data)
	}
	if m := managersOf(got); !slices.Equal(m, []string{"Apply yardarm"}) {
		t.Errorf("managed by %v", m)
	}
	e.must(takeover("if-no-diff"), configMap("a", "l: one"))
	if data := field(e.get(configMap("a", "")), "data"); data != "map[l:one old:one]" {
		t.Errorf("data: %s", data)
	}
}
